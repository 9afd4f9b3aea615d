/**
 * Machines that are not there: driver `fake-hardware`. Shipped, for trying the appliance without hardware and for
 * tests. A machine takes time to change its power (`delayMs`), can be told to fail, and says when it changes.
 */

import type { Clock } from '../core/clock.ts';
import { systemClock } from '../core/clock.ts';
import { fault } from '../core/errors/index.ts';
import type { Bmc, BmcAccess, BootDevice, PowerState, PowerTarget } from './bmc.ts';
import { type FakeHoldings, fakeCapabilities, newHoldings } from './fake-capabilities.ts';

export interface FakeMachine extends FakeHoldings {
  power: PowerState;
  bootDevice: BootDevice | null;
  /** Milliseconds from a power command to its effect. */
  delayMs: number;
  /** While set, every command fails with this sentence. */
  failing: string | null;
  /** Like some real BMCs: takes a boot device and forgets it. */
  forgetsBootDevice: boolean;
  /** How often it has been switched on, resets included. */
  starts: number;
}

export type FakeChange = { readonly key: string; readonly power: PowerState; readonly bootDevice: BootDevice | null };

export interface FakeMachines {
  /** The machine of this key, made (off) when it is first asked for. */
  machine(key: string): FakeMachine;
  /** Hears each start and stop. A one-shot boot device is still in the change and gone from the machine. */
  onChange(listener: (change: FakeChange) => void): () => void;
  bmc(access: BmcAccess, heard?: (command: string, error: string | null) => void): Bmc;
  forget(key: string): void;
}

const mostEntries = 100;

export function createFakeMachines(clock: Clock = systemClock): FakeMachines {
  const machines = new Map<string, FakeMachine>();
  const listeners = new Set<(change: FakeChange) => void>();

  function machine(key: string): FakeMachine {
    let found = machines.get(key);
    if (!found) {
      found = {
        ...{ power: 'off', bootDevice: null, delayMs: 0, failing: null, forgetsBootDevice: false, starts: 0 },
        ...newHoldings(),
      };
      machines.set(key, found);
    }
    return found;
  }

  function become(key: string, power: PowerState): void {
    const it = machine(key);
    const bootDevice = it.bootDevice;
    it.power = power;
    it.log.push({
      id: String(it.log.length + 1),
      at: new Date(clock.now() + it.skewMs),
      ...{ severity: 'ok', source: 'Power unit', text: `power ${power}`, raw: null },
    });
    if (it.log.length > mostEntries) it.log.shift();
    if (power === 'on') {
      it.starts += 1;
      if (bootDevice && !bootDevice.persistent) it.bootDevice = null;
    }
    for (const listener of listeners) listener({ key, power, bootDevice });
  }

  function change(key: string, target: PowerTarget): void {
    const it = machine(key);
    if (target === 'off' || target === 'soft off') {
      if (it.power !== 'off') become(key, 'off');
    } else if (target === 'on') {
      if (it.power !== 'on') become(key, 'on');
    } else become(key, 'on');
  }

  return {
    machine,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    forget: (key) => void machines.delete(key),
    bmc(access, heard = () => {}) {
      const delay = Number(access.options.delayMs ?? 0);
      const it = machine(access.key);
      if (delay > 0) it.delayMs = delay;
      const name = `${access.address || 'fake'}:${access.port}`;
      /** A session outlives a change of the password. */
      let loggedIn = false;

      async function command<T>(title: string, signal: AbortSignal | undefined, work: () => T): Promise<T> {
        signal?.throwIfAborted();
        const failing = machine(access.key).failing;
        if (failing !== null) {
          const failure = fault('bmc-unreachable', { bmc: name, node: access.name ?? access.key, text: failing });
          heard(title, failure.sentence);
          throw failure;
        }
        const { password } = machine(access.key);
        // Proving another password is a log-in of its own, which needs no other.
        const itself = title === 'Open Session';
        if (!itself && !loggedIn && password !== null && password !== access.password) {
          const details = { bmc: name, node: access.name ?? access.key, user: access.username || '(empty)' };
          const failure = fault('bmc-credentials', { ...details, text: 'it holds another password for this user' });
          heard(title, failure.sentence);
          throw failure;
        }
        loggedIn ||= !itself;
        heard(title, null);
        return work();
      }

      return {
        ...fakeCapabilities({
          access,
          name,
          command,
          holdings: () => machine(access.key),
          isOn: () => machine(access.key).power === 'on',
          now: () => clock.now(),
        }),
        power: (signal) => command('Get Chassis Status', signal, () => machine(access.key).power),
        setPower: (target, signal) =>
          command(`Chassis Control ${target}`, signal, () => {
            const { delayMs } = machine(access.key);
            if (delayMs > 0) clock.after(delayMs, () => change(access.key, target));
            else change(access.key, target);
          }),
        bootDevice: (signal) => command('Get System Boot Options', signal, () => machine(access.key).bootDevice),
        setBootDevice: (wanted, signal) =>
          command('Set System Boot Options', signal, () => {
            const found = machine(access.key);
            if (!found.forgetsBootDevice) {
              found.bootDevice = { ...wanted };
              return;
            }
            throw fault('bmc-boot-device-not-kept', {
              bmc: name,
              node: access.name ?? access.key,
              wanted: wanted.device,
              found: found.bootDevice?.device ?? 'nothing',
            });
          }),
        clearBootDevice: (signal) =>
          command('Set System Boot Options', signal, () => {
            machine(access.key).bootDevice = null;
          }),
        info: (signal) =>
          command('Get Device ID', signal, () => ({
            description: 'a machine that is not there',
            firmware: '1.0',
            manufacturerId: null,
            productId: null,
            vendor: 'Undercloud',
            model: 'fake',
          })),
      };
    },
  };
}
