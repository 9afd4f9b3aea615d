/** Steps that move a machine through its BMC. Each is a look: what the BMC reports decides, not that it took a command. */

import type { Tx } from '../../core/database/index.ts';
import { done, minutes, type Run, type Step, type Wait, waitFor } from '../../core/operations/index.ts';
import { type PowerState, type PowerTarget, passesByItself } from '../../power/index.ts';
import { bmcOf, intend, orderBoot, recordPower, requireNode } from '../change.ts';
import type { Ground } from '../ground.ts';

/** ms between looks at a BMC that changes its machine's power; a poll costs 0.1 ms, and real machines take 2 to 10 s. */
const lookMs = 500;
/** ms after which a BMC that took the command and did nothing is told again. */
const againMs = 15_000;
/** ms that a power command may take, with one more where the boot device is set again at power-on: the lease must outlast it. */
const commandMs = 20_000;

export interface PowerStep<Params> {
  readonly name: string;
  readonly title: string;
  readonly target: Extract<PowerTarget, 'on' | 'off' | 'soft off'>;
  readonly deadlineMs?: (run: Run<Params>) => number;
  readonly when?: Step<Params>['when'];
  readonly undo?: Step<Params>['undo'];
  /** In the transaction that records the new power state. */
  readonly commit?: (run: Run<Params>, tx: Tx) => Promise<void>;
}

export function powerStep<Params>(ground: Ground, step: PowerStep<Params>): Step<Params> {
  const wanted: PowerState = step.target === 'on' ? 'on' : 'off';
  /** When this process gave the command: a restarted one gives it again, which does no harm. */
  const told = new Map<string, number>();
  return {
    name: step.name,
    title: step.title,
    deadlineMs: (run) => step.deadlineMs?.(run) ?? minutes(3) * ground.speed,
    ...(step.when && { when: step.when }),
    undo: step.undo ?? { none: 'the power state before it is not worth going back to' },
    async do(run) {
      const node = await requireNode(ground.house.db, run.subject.id);
      const bmc = bmcOf(ground, node);
      const finish = () => {
        told.delete(run.id);
        return done(wanted, async (tx) => {
          await recordPower(ground, tx, node.uuid, wanted, step.title);
          await step.commit?.(run, tx);
        });
      };
      if ((await bmc.power(run.signal)) === wanted) return finish();
      const before = told.get(run.id);
      const soft = step.target === 'soft off';
      if (before === undefined || (!soft && ground.house.clock.now() - before > againMs)) {
        await run.assertHeld(commandMs);
        await bmc.setPower(step.target, run.signal);
        told.set(run.id, ground.house.clock.now());
        if ((await bmc.power(run.signal)) === wanted) return finish();
      }
      return waitFor({
        on: soft ? 'the system on it to shut down' : `the BMC to report that the machine is ${wanted}`,
        remedy: soft
          ? 'If the system does not react to its power button, power it off hard.'
          : 'Look at the machine: a BMC that takes the command and does nothing may need a reset or mains power.',
        recheckMs: lookMs * Math.min(1, ground.speed),
      });
    },
  };
}

export const ensureOff = <Params>(ground: Ground, step: Partial<PowerStep<Params>> & { name: string }): Step<Params> =>
  powerStep(ground, { title: 'switch the machine off', target: 'off', ...step });

/** A hold lasts as long as its reason does: somebody has to find a server and stop it. The BMC's own call ends by itself. */
const holdMs = minutes(24 * 60);

interface BootDeviceStep<Params> extends Pick<Step<Params>, 'name' | 'title' | 'deadlineMs' | 'when' | 'undo'> {
  readonly device: 'pxe' | 'disk';
  readonly persistent: boolean;
  /** What the machine is told from now on when it asks the network, and why. */
  readonly intent: 'agent' | 'disk';
  readonly reason: string;
  /** Asked at each look: something to wait for before the BMC is told. */
  readonly hold?: () => Wait | null | undefined;
}

function bootDevice<Params>(ground: Ground, step: BootDeviceStep<Params>): Step<Params> {
  const { name, title, deadlineMs, when, undo, device, persistent, intent, reason, hold } = step;
  return {
    name,
    title,
    deadlineMs,
    undo,
    retry: { times: 2, delayMs: 2_000 * ground.speed, when: passesByItself },
    ...(when && { when }),
    async do(run) {
      const held = hold?.();
      if (held) return waitFor(held);
      const node = await requireNode(ground.house.db, run.subject.id);
      await run.assertHeld(commandMs);
      run.emit('node.boot-device', await orderBoot(ground, node, { device, persistent }, run.signal));
      return done(null, (tx) => intend(ground, tx, node.uuid, intent, reason));
    },
  };
}

/** Sets the next boot to the network and begins a power cycle in which the machine gets the agent. */
export const bootAgent = <Params>(
  ground: Ground,
  step: { name: string; reason: string; when?: Step<Params>['when'] },
): Step<Params> =>
  bootDevice(ground, {
    ...step,
    title: 'let the next boot be the network’s',
    deadlineMs: holdMs,
    device: 'pxe',
    persistent: false,
    intent: 'agent',
    hold: () => ground.bootHold?.(),
    async undo(run) {
      await run.transaction((tx) => intend(ground, tx, run.subject.id, 'none', 'what was under way failed'));
    },
  });

/** Sets the disk as the device of every boot from now on. */
export const bootDisk = <Params>(ground: Ground, step: { name: string; when?: Step<Params>['when'] }): Step<Params> =>
  bootDevice(ground, {
    ...step,
    title: 'boot from disk from now on',
    deadlineMs: minutes(2) * ground.speed,
    device: 'disk',
    persistent: true,
    intent: 'disk',
    reason: 'a system is on its disk',
    undo: { none: 'the boot device is set anew before every boot that matters' },
  });

/** After a failure the machine must not sit there with an agent in it. Best effort: a BMC that is away is the failure itself. */
export async function switchOffAfterFailure(ground: Ground, run: Run<unknown>): Promise<void> {
  const node = await requireNode(ground.house.db, run.subject.id);
  try {
    const bmc = bmcOf(ground, node);
    if ((await bmc.power(run.signal)) === 'on') {
      await run.assertHeld(commandMs);
      await bmc.setPower('off', run.signal);
    }
    await run.transaction((tx) => recordPower(ground, tx, node.uuid, 'off', 'after a failure'));
  } catch (error) {
    // The exchange with the BMC is an event already; only a lost lease must stop the unwinding.
    if (run.signal.aborted) throw error;
  }
}
