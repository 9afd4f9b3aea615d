/** What reports to a resource from outside: an agent, a script, an operator. */
import type { Context } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { Desk } from './desk.ts';
import { isHook, pausedAt } from './engine/hooks.ts';
import { openSignal, sealSignal, unsetHook } from './engine/session.ts';
import type { Live } from './engine/state.ts';
import { type Plain, stackSubject } from './model.ts';
import { handlerOf, isNested } from './resources/index.ts';
import { isDeeper } from './routes/bounds.ts';
import { deploymentEnd, openConfig, openDeployment, sealDeployment } from './software/configs.ts';
import { type FoundResource, insertSignal, signalsOfTree } from './store/resources.ts';
import * as software from './store/software.ts';

export interface SignalTarget extends FoundResource {
  readonly physical_id: string | null;
}

/** Keeps the signal and wakes the stack. @throws Fault `signal-unsupported`, `signal-invalid` */
export async function signal(desk: Desk, target: SignalTarget, body: Plain, by: Context | null): Promise<void> {
  const handler = handlerOf(target.type);
  if (!handler || isNested(handler) || !handler.signal) throw fault('signal-unsupported');
  if (isDeeper(body)) throw fault('signal-invalid', { resource: target.name, reason: 'It is nested too deeply.' });
  const text = handler.signal(body, { name: target.name });
  const { house } = desk;
  await house.db.transaction(async (tx) => {
    await insertSignal(tx, target.id, sealSignal(desk, target.id, body));
    if (isDeployment(target.type) && target.physical_id) {
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
  if (!isPolicy(target.type)) return;
  const came = await desk.scale(target);
  const about = { name: target.name, type: target.type, text: came };
  await house.db.transaction((tx) =>
    house.recorder.append(tx, 'resource.signal', stackSubject(target.stack_id), about),
  );
}

const isDeployment = (type: string): boolean =>
  type === 'OS::Heat::SoftwareDeployment' || type === 'OS::Heat::StructuredDeployment';
const isPolicy = (type: string): boolean =>
  type === 'OS::Heat::ScalingPolicy' || type === 'AWS::AutoScaling::ScalingPolicy';

/** Lets a resource that stands at a hook go on. @throws Fault `hook-unknown`, `hook-not-set` */
export async function clearHook(
  desk: Desk,
  target: SignalTarget,
  live: Live,
  { hook, by }: { hook: string; by: Context },
): Promise<void> {
  if (!isHook(hook)) throw fault('hook-unknown', { hook, resource: target.name });
  const { house } = desk;
  const heard = (await signalsOfTree(house.db, target.root_id, 0)).filter((row) => row.resource_id === target.id);
  const cleared = heard.flatMap((row) => {
    const name = unsetHook(openSignal(desk, row).body);
    return name === null ? [] : [{ id: row.id, hook: name }];
  });
  if (pausedAt(live, cleared) !== hook) throw fault('hook-not-set', { hook, resource: target.name });
  await house.db.transaction(async (tx) => {
    await insertSignal(tx, target.id, sealSignal(desk, target.id, { unset_hook: hook }));
    await house.recorder.append(
      tx,
      'resource.state',
      stackSubject(target.stack_id),
      {
        name: target.name,
        type: target.type,
        action: live.row.action,
        status: live.row.status,
        reason: `Hook ${hook} is cleared`,
        physicalId: target.physical_id,
      },
      { requestId: by.requestId },
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
  tx.afterCommit(() => desk.bell.ring(row.server_id));
  await software.patchDeployment(tx, row.id, {
    status,
    reason,
    body: sealDeployment(desk, row.id, { ...before, output_values: { ...before.output_values, ...values } }),
  });
}
