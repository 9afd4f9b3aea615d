/** A deletion of what may be gone already: somebody took it away by hand, or the process died between the two. */
import type { ErrorCode } from '../../core/errors/index.ts';
import { isFault } from '../engine/faults.ts';
import { done, type Outcome } from '../engine/handler.ts';

export async function unlessGone(deletion: Promise<unknown>, ...gone: ErrorCode[]): Promise<Outcome> {
  try {
    await deletion;
  } catch (error) {
    if (!isFault(error, ...gone)) throw error;
  }
  return done;
}
