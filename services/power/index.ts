/** Front door of power: one BMC object for each node, kept with its session; drivers as a table. */
import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../core/clock.ts';
import type { House } from '../core/house.ts';
import {
  createIpmiTransport,
  type Exchange,
  type IpmiSocket,
  type IpmiTransport,
  openIpmiSocket,
} from '../ipmi/index.ts';
import { eventsOf, tellsOfPower } from '../redfish/index.ts';
import type { Bmc, BmcAccess, PowerState } from './bmc.ts';
import { bootWays, obeyingBmc } from './boot-ways.ts';
import { requireDriver } from './drivers.ts';
import { createFakeMachines, type FakeMachines } from './fake.ts';
import { createFleet, type Fleet, type FleetHooks, type FleetSettings } from './fleet.ts';
import { bmcName, createIpmiBmc, type IpmiBmc, ipmiConsole } from './ipmi.ts';
import { createRedfishBmc, type RedfishPowerBmc } from './redfish.ts';

export {
  type Bmc,
  type BmcAccess,
  type BmcDriver,
  type BmcInfo,
  type BootDevice,
  type BootDeviceName,
  bootDeviceNames,
  type PowerState,
  type PowerTarget,
} from './bmc.ts';
export { type BootCount, type BootWay, bootQuirks, bootsRow, bootWays, nextWay } from './boot-ways.ts';
export * from './capabilities.ts';
export { bmcDrivers, type DriverRow } from './drivers.ts';
export { createFakeMachines, type FakeChange, type FakeMachine, type FakeMachines } from './fake.ts';
export type { Fleet, FleetHooks, FleetReason, FleetSettings, FleetView } from './fleet.ts';
export { passesByItself } from './passing.ts';
export * from './report-card.ts';

export interface PowerFleet extends Omit<Fleet, 'watch'> {
  /** Looks at the node from now on, over the session that `power.bmc` keeps; call it again when the access has changed. */
  watch(access: BmcAccess, known?: PowerState | null, silent?: boolean): void;
}

export interface Power {
  /** The node's BMC; the same object as long as the access is the same. @throws Fault `driver-not-there`, `driver-unknown` */
  bmc(access: BmcAccess): Bmc;
  /** Closes the session of a node that is gone. */
  forget(key: string): void;
  /**
   * The loop that keeps all power states in view; not started yet, and stopped by `close`. Its looks are events only when they
   * failed or took more than one datagram: a thousand healthy BMCs would be a hundred rows a second that say nothing.
   */
  fleet(hooks: FleetHooks, settings?: Partial<FleetSettings>): PowerFleet;
  /** An event that a BMC POSTed under `pushUrl`, by the last part of its path; false: nobody asked for it. */
  pushed(token: string, payload: unknown): boolean;
  /** The machines behind driver `fake-hardware`: tests and simulations move them. */
  readonly fakes: FakeMachines;
  close(): Promise<void>;
}

export interface PowerDeps {
  fakes?: FakeMachines;
  /** Of the fleet loop. */
  clock?: Clock;
  /** The one UDP socket of all IPMI sessions, opened at the first command. Default: any free port on every address. */
  socketFactory?: () => Promise<IpmiSocket & { close?(): unknown }>;
  /** Where Redfish BMCs without an event stream POST their events: `https://…/baremetal/v1/bmc-events`. Default: they are polled. */
  pushUrl?: string;
  /** Waits of Redfish clients (a busy BMC, a task); tests put their own. */
  redfishWait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

interface Kept {
  readonly access: string;
  readonly bmc: Bmc;
  readonly close: () => unknown;
  /** Calls at what the BMC itself tells of its power, until the signal. */
  readonly hints?: RedfishPowerBmc['hints'];
  /** Ends the hints that a fleet loop hears. */
  heard?: AbortController;
}

export function createPower(house: Pick<House, 'recorder'>, deps: PowerDeps = {}): Power {
  const fakes = deps.fakes ?? createFakeMachines();
  const kept = new Map<string, Kept>();
  /** `host:port` → nodes behind it: exchanges are told by address, events by node. */
  const nodesAt = new Map<string, Set<string>>();
  /** Nodes that a fleet loop asks just now. */
  const swept = new Set<string>();
  const fleets = new Set<Fleet>();
  /** What a pushed event leads to, by the token of its destination. */
  const pushes = new Map<string, () => void>();
  const openSocket = deps.socketFactory ?? openIpmiSocket;
  const { clock: passing = systemClock } = deps;
  const wait = (ms: number) => new Promise<void>((resolve) => passing.after(ms, resolve));
  let transport: Promise<{ ipmi: IpmiTransport; socket: { close?(): unknown } }> | null = null;

  interface Heard {
    readonly bmc: string;
    readonly command: string;
    readonly attempts: number;
    readonly ms: number;
    /** The sentence of what went wrong. */
    readonly error: string | null;
  }

  /** Every exchange is an event of its node, but for looks of the fleet loop at which nothing is worth telling. */
  function hear(key: string, heard: Heard): void {
    const { attempts, command, error } = heard;
    const look = command === 'Get Chassis Status' || command.startsWith('GET ');
    if (error === null && attempts === 1 && look && swept.has(key)) return;
    house.recorder.emit('bmc.command', { type: 'node', id: key }, { ...heard }, { durationMs: heard.ms });
  }

  function onExchange({ bmc, command, attempts, ms, error }: Exchange): void {
    const heard = { bmc, command, attempts, ms: Math.round(ms * 10) / 10, error: error?.message ?? null };
    for (const key of nodesAt.get(bmc) ?? []) hear(key, heard);
  }

  function openTransport(): Promise<IpmiTransport> {
    transport ??= openSocket().then(
      (socket) => ({ ipmi: createIpmiTransport({ socket, onExchange }), socket }),
      (error) => {
        transport = null;
        throw error;
      },
    );
    return transport.then(({ ipmi }) => ipmi);
  }

  function make(access: BmcAccess): Omit<Kept, 'access'> {
    const driver = requireDriver(access.driver, access.name ?? access.key);
    if (driver === 'fake') {
      const name = `${access.address || 'fake'}:${access.port}`;
      const bmc = fakes.bmc(access, (command, error) =>
        hear(access.key, { bmc: name, command, attempts: 1, ms: 0, error }),
      );
      return { bmc, close: () => {} };
    }
    if (driver === 'redfish') {
      const bmc = createRedfishBmc(access, {
        onExchange: ({ bmc, command, attempts, ms, error }) =>
          hear(access.key, { bmc, command, attempts, ms: Math.round(ms * 10) / 10, error: error?.message ?? null }),
        ipmiConsole: (its) => ipmiConsole(its, openTransport),
        ...(deps.redfishWait && { wait: deps.redfishWait }),
      });
      return { bmc, close: () => bmc.close(), hints: bmc.hints };
    }
    const name = bmcName(access);
    const nodes = nodesAt.get(name) ?? new Set<string>();
    nodesAt.set(name, nodes.add(access.key));
    const bmc: IpmiBmc = createIpmiBmc(access, openTransport);
    return {
      bmc,
      close() {
        nodes.delete(access.key);
        bmc.close();
      },
    };
  }

  function forget(key: string): void {
    const found = kept.get(key);
    found?.heard?.abort();
    found?.close();
    kept.delete(key);
  }

  /** A BMC that tells of a change is looked at now, instead of at its turn. */
  function hearHints(key: string, fleet: Fleet): void {
    const found = kept.get(key);
    if (!found?.hints || found.heard) return;
    found.heard = new AbortController();
    const onHint = () => fleet.hurry(key);
    const { signal } = found.heard;
    if (deps.pushUrl === undefined) {
      found.hints(onHint, signal);
      return;
    }
    const token = randomBytes(32).toString('base64url');
    pushes.set(token, onHint);
    signal.addEventListener('abort', () => pushes.delete(token), { once: true });
    const prefix = `${deps.pushUrl}/${key}/`;
    found.hints(onHint, signal, { prefix, destination: `${prefix}${token}` });
  }

  function sweep(key: string): Promise<PowerState> | null {
    const found = kept.get(key);
    if (!found) return null;
    swept.add(key);
    return found.bmc.power().finally(() => swept.delete(key));
  }

  const power: Power = {
    fakes,
    pushed(token, payload) {
      const onHint = pushes.get(token);
      if (onHint && eventsOf(payload).some(tellsOfPower)) onHint();
      return onHint !== undefined;
    },
    fleet(hooks, settings) {
      const clock = deps.clock ? { clock: deps.clock } : {};
      const fleet = createFleet({ power: sweep, ...clock }, hooks, settings);
      fleets.add(fleet);
      /** By which access each was watched: somebody who corrects a password does not wait for the breaker's pause. */
      const watchedBy = new Map<string, Bmc>();
      return {
        ...fleet,
        watch(access, known, silent) {
          const bmc = power.bmc(access);
          fleet.watch(access.key, known, silent);
          hearHints(access.key, fleet);
          const before = watchedBy.get(access.key);
          watchedBy.set(access.key, bmc);
          if (before && before !== bmc) fleet.hurry(access.key);
        },
        unwatch(key) {
          fleet.unwatch(key);
          watchedBy.delete(key);
          const found = kept.get(key);
          found?.heard?.abort();
          delete found?.heard;
        },
      };
    },
    bmc(access) {
      const identity = JSON.stringify(access);
      const found = kept.get(access.key);
      if (found?.access === identity) return found.bmc;
      forget(access.key);
      const fresh = make(access);
      const way = bootWays.find((one) => one === access.options.bootWay) ?? 'once';
      const made: Kept = { ...fresh, access: identity, bmc: obeyingBmc(fresh.bmc, way, wait) };
      kept.set(access.key, made);
      return made.bmc;
    },
    forget,
    async close() {
      for (const fleet of fleets) fleet.stop();
      fleets.clear();
      // A Redfish session that is not deleted stays one of the BMC's few until it times out.
      const closing = [...kept.values()].map(({ hints, heard, close }) => {
        heard?.abort();
        return hints ? close() : undefined;
      });
      kept.clear();
      await Promise.all(closing);
      const opened = transport;
      transport = null;
      if (!opened) return;
      const { ipmi, socket } = await opened;
      await ipmi.close({ deadline: 1_000 });
      socket.close?.();
    },
  };
  return power;
}
