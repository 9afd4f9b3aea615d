/** What reports to a resource from outside: an agent, a script, an operator. */
import type { Context } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { Desk } from './desk.ts';
import { sealSignal } from './engine/session.ts';
import { type Plain, stackSubject } from './model.ts';
import { handlerOf, isNested } from './resources/index.ts';
import { deploymentEnd, openConfig, openDeployment, sealDeployment } from './software/configs.ts';
import { type FoundResource, insertSignal } from './store/resources.ts';
import * as software from './store/software.ts';

export interface SignalTarget extends FoundResource {
  readonly physical_id: string | null;
}

/** Keeps the signal and wakes the stack. @throws Fault `signal-unsupported`, `signal-invalid` */
export async function signal(desk: Desk, target: SignalTarget, body: Plain, by: Context | null): Promise<void> {
  const handler = handlerOf(target.type);
  if (!handler || isNested(handler) || !handler.signal) throw fault('signal-unsupported');
  const text = handler.signal(body, { name: target.name });
  const { house } = desk;
  await house.db.transaction(async (tx) => {
    await insertSignal(tx, target.id, sealSignal(desk, target.id, body));
    if (target.type === 'OS::Heat::SoftwareDeployment' && target.physical_id) {
      const row = await software.deployment(tx, target.physical_id);
      // Only what is being waited for is answered; a late repetition changes nothing.
      if (row?.status === 'IN_PROGRESS') await endDeployment(desk, tx, row, body as { [name: string]: Plain });
    }
    await house.recorder.append(
      tx,
      'resource.signal',
      stackSubject(target.stack_id),
      { name: target.name, type: target.type, text },
      by ? { requestId: by.requestId } : {},
    );
    tx.afterCommit(() => house.operations.wake(stackSubject(target.root_id)));
  });
}

async function endDeployment(
  desk: Desk,
  tx: Parameters<typeof insertSignal>[0],
  row: software.DeploymentRow,
  body: { [name: string]: Plain },
): Promise<void> {
  const config = row.config_id ? await software.config(tx, row.config_id) : undefined;
  const { status, reason, values } = deploymentEnd(body, config ? openConfig(desk, config).outputs : []);
  const before = openDeployment(desk, row);
  await software.patchDeployment(tx, row.id, {
    status,
    reason,
    body: sealDeployment(desk, row.id, { ...before, output_values: { ...before.output_values, ...values } }),
  });
}
