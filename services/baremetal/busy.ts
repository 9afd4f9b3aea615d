/** A node that is worked on: Ironic's sentence, and behind it what the work is and what it waits for. */

import type { Context } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import { Fault, fault } from '../core/errors/index.ts';
import type { Json, Operation } from '../core/operations/index.ts';
import { type Ground, nodeSubject } from './ground.ts';

export function busyFault(ground: Ground, uuid: string, error: Fault): Fault {
  const { operation, step, waiting } = error.details;
  return fault('node-busy', { node: uuid, host: ground.hostname, operation, step, waiting }, error);
}

/** @throws Fault `node-busy` */
export async function requireIdle(ground: Ground, uuid: string): Promise<void> {
  const activity = await ground.house.operations.activity(nodeSubject(uuid));
  if (!activity) return;
  throw fault('node-busy', {
    node: uuid,
    host: ground.hostname,
    operation: activity.kind,
    step: activity.title,
    waiting: activity.waiting?.on ?? 'its own work to finish',
  });
}

/** Starts an operation on a node within the caller's transaction. @throws Fault `node-busy` */
export async function startOn<Params extends Json>(
  ground: Ground,
  tx: Tx,
  operation: Operation<Params>,
  uuid: string,
  params: Params,
  context: Context,
): Promise<string> {
  try {
    return await ground.house.operations.start(tx, operation, { subject: nodeSubject(uuid), params, context });
  } catch (error) {
    if (error instanceof Fault && error.code === 'subject-busy') throw busyFault(ground, uuid, error);
    // Two starters at the same instant: the unique index is the lock.
    if ((error as { code?: string }).code === '23505')
      throw fault('node-busy', {
        node: uuid,
        host: ground.hostname,
        operation: 'another operation',
        step: 'starting',
        waiting: 'its first step',
      });
    throw error;
  }
}
