/** Bmc over Redfish: one session for each node, opened at its first command and kept; faults become sentences. */
import type { Fault } from '../core/errors/index.ts';
import { fault } from '../core/errors/index.ts';
import {
  type BootTarget,
  describeService,
  type Exchange,
  RedfishBmc,
  RedfishError,
  type ResetGoal,
  tellsOfPower,
} from '../redfish/index.ts';
import type { Bmc, BmcAccess, BootDevice, BootDeviceName, PowerTarget } from './bmc.ts';
import type { ConsoleOpener } from './capabilities.ts';
import { redfishOptions } from './redfish-access.ts';
import { redfishCapabilities } from './redfish-capabilities.ts';
import { redfishFault } from './redfish-faults.ts';

/** Milliseconds of one command: Redfish services answer in 0.1 to 5 seconds, and in 20 while they start. */
const deadline = 30_000;
/** Calls of many requests: inventories, logs, tasks. */
const longDeadline = 120_000;

const targets: Readonly<Record<BootDeviceName, BootTarget | null>> = {
  pxe: 'Pxe',
  disk: 'Hdd',
  cdrom: 'Cd',
  bios: 'BiosSetup',
  // IPMI's “safe mode” has no counterpart.
  safe: null,
};

const goals: Readonly<Record<PowerTarget, ResetGoal>> = {
  on: 'on',
  off: 'off',
  'soft off': 'soft off',
  reboot: 'reset',
  'soft reboot': 'soft reset',
};

/** What a BMC reads back → ours. */
const devices: Readonly<Record<string, BootDeviceName>> = {
  Pxe: 'pxe',
  UefiHttp: 'pxe',
  Hdd: 'disk',
  Cd: 'cdrom',
  UsbCd: 'cdrom',
  UefiCd: 'cdrom',
  BiosSetup: 'bios',
};

export interface RedfishPowerBmc extends Bmc {
  /**
   * Calls `onHint` at each event that tells of power, until the signal; reconnects by itself. A BMC without a stream is asked to POST
   * its events to `push`, where that is given; an hour later both are looked at again. An event is a reason to look, never the
   * truth: who listens reads the state.
   */
  hints(onHint: () => void, signal: AbortSignal, push?: PushAddress): void;
  close(): Promise<void>;
}

/** Where a BMC may POST its events. */
export interface PushAddress {
  /** What all subscriptions of this node begin with: those that a process left behind are known by it. */
  readonly prefix: string;
  /** Not to be guessed; the BMC keeps it. */
  readonly destination: string;
}

export interface RedfishDeps {
  /** A console of the same BMC over IPMI. */
  readonly ipmiConsole: (access: BmcAccess) => ConsoleOpener;
  readonly onExchange?: (exchange: Exchange) => void;
  /** Waits of the client; tests put their own. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const firstPause = 5_000;
const mostPause = 300_000;
const noStreamPause = 3_600_000;
const leaveMs = 1_000;

/** @throws Fault `bmc-access-invalid` */
export function createRedfishBmc(access: BmcAccess, deps: RedfishDeps): RedfishPowerBmc {
  const { wait } = deps;
  const redfish = new RedfishBmc({
    ...redfishOptions(access),
    ...(wait && { wait }),
    ...(deps.onExchange && { onExchange: deps.onExchange }),
  });
  const named = (command: string, error: unknown, wanted?: string): Fault =>
    redfishFault(access, redfish.name, command, error, wanted);

  async function ask<T>(
    command: string,
    signal: AbortSignal | undefined,
    work: (bmc: RedfishBmc, call: { deadline: number; signal?: AbortSignal; step: string }) => Promise<T>,
    long = false,
    wanted?: string,
  ): Promise<T> {
    const call = { deadline: long ? longDeadline : deadline, step: command, ...(signal && { signal }) };
    try {
      signal?.throwIfAborted();
      return await work(redfish, call);
    } catch (error) {
      if (signal?.aborted && (error === signal.reason || (error instanceof RedfishError && error.code === 'aborted')))
        throw signal.reason;
      throw named(command, error, wanted);
    }
  }

  const bmc: RedfishPowerBmc = {
    ...redfishCapabilities({ access, ask, ipmiConsole: deps.ipmiConsole }),
    power: (signal) => ask('read the power state', signal, (b, o) => b.power(o)),
    setPower: (target, signal) => ask(`switch ${target}`, signal, (b, o) => b.reset(goals[target], o)),
    async bootDevice(signal): Promise<BootDevice | null> {
      const state = await ask('read the boot device', signal, (b, o) => b.boot(o));
      const device = state.target === null ? undefined : devices[state.target];
      // A BMC that does not tell the mode has UEFI alone.
      return device ? { device, persistent: state.persistent, efi: state.efi ?? true } : null;
    },
    async setBootDevice({ device, persistent, efi }, signal) {
      const target = targets[device];
      if (target === null) {
        const text = `Redfish has no boot device ${device}; use pxe, disk, cdrom or bios`;
        throw fault('bmc-refused', {
          bmc: redfish.name,
          node: access.name ?? access.key,
          command: 'set the boot device',
          text,
        });
      }
      await ask('set the boot device', signal, (b, o) => b.setBoot({ target, persistent, efi }, o), true, device);
    },
    clearBootDevice: async (signal) => {
      await ask('clear the boot device', signal, (b, o) => b.setBoot({ target: 'None', persistent: false }, o), true);
    },
    async info(signal) {
      const found = await ask('identify itself', signal, (b, o) => b.findAnew(o));
      return {
        description: describeService(found),
        firmware: found.firmware,
        manufacturerId: null,
        productId: null,
        vendor: found.vendor,
        model: found.model,
      };
    },
    hints(onHint, signal, push) {
      const listen = async () => {
        let pause = firstPause;
        let stream: string | null = null;
        let subscription: string | null = null;
        while (!signal.aborted) {
          try {
            stream ??= await redfish.eventStream({ signal, step: 'find its event stream' });
            if (stream === null) {
              if (push) subscription = await redfish.subscribe(push, subscription, { signal });
              pause = noStreamPause;
            } else
              for await (const events of redfish.listen(stream, { signal })) {
                pause = firstPause;
                if (events.some(tellsOfPower)) onHint();
              }
          } catch {
            // A BMC without a working stream is polled like any other; its polls tell what is wrong.
          }
          if (!signal.aborted) await waitMs(pause, signal);
          pause = pause === noStreamPause ? firstPause : Math.min(pause * 2, mostPause);
        }
        // The BMC would go on to knock at a door that is not ours any more.
        if (subscription !== null) await redfish.unsubscribe(subscription, { deadline: leaveMs }).catch(() => {});
      };
      void listen();
    },
    close: () => redfish.close({ deadline: 1_000 }),
  };
  return bmc;
}

function waitMs(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    timer.unref();
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}
