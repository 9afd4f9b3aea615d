/** What is wrong with a request, with AWS's word for it. */
import { type Fault, fault } from '../../core/errors/index.ts';

export const cfnFault = (code: string, reason: string, status = 400): Fault =>
  fault('cfn-invalid', { code, reason, status });
