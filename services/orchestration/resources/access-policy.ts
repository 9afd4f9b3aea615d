/** OS::Heat::AccessPolicy: which resources of the stack a user of AWS::IAM may read by DescribeStackResource. */
import { done, type Handler } from '../engine/handler.ts';

export const accessPolicy: Handler = {
  type: 'OS::Heat::AccessPolicy',
  named: true,
  create: () => done,
};
