/** What a Redfish BMC offers beyond power and boot device, over the session that redfish.ts keeps. */
import type { RedfishAccount, RedfishBmc, RedfishHealth, RedfishSensor } from '../redfish/index.ts';
import type { BmcAccess } from './bmc.ts';
import type {
  Capabilities,
  ConsoleOpener,
  Health,
  IndicatorState,
  PowerPolicy,
  SensorReading,
  ThresholdName,
} from './capabilities.ts';
import { redfishConsole } from './redfish-console.ts';

export interface RedfishRoom {
  readonly access: BmcAccess;
  /** Runs `work` on the kept session; failures become sentences. `long`: many requests, two minutes instead of thirty seconds. */
  ask<T>(
    command: string,
    signal: AbortSignal | undefined,
    work: (bmc: RedfishBmc, call: { deadline: number; signal?: AbortSignal; step: string }) => Promise<T>,
    long?: boolean,
  ): Promise<T>;
  /** A console of the same BMC over IPMI. */
  ipmiConsole(access: BmcAccess): ConsoleOpener;
}

/** Redfish's names of limits → ours. */
const limits: Readonly<Record<string, ThresholdName>> = {
  lowerCaution: 'lowerNonCritical',
  lowerCritical: 'lowerCritical',
  lowerFatal: 'lowerNonRecoverable',
  upperCaution: 'upperNonCritical',
  upperCritical: 'upperCritical',
  upperFatal: 'upperNonRecoverable',
};

const health: Readonly<Record<RedfishHealth, Health>> = {
  ok: 'ok',
  warning: 'warning',
  critical: 'critical',
  absent: 'absent',
  unknown: 'unknown',
};

/** Names are told apart: firmware gives every fan of a kind the same one. */
export function readingsOf(sensors: readonly RedfishSensor[]): SensorReading[] {
  const seen = new Map<string, number>();
  return sensors.map((sensor) => {
    const count = (seen.get(sensor.name) ?? 0) + 1;
    seen.set(sensor.name, count);
    const thresholds: Partial<Record<ThresholdName, number>> = {};
    for (const [name, limit] of Object.entries(sensor.thresholds)) {
      const ours = limits[name];
      if (ours) thresholds[ours] = limit;
    }
    return {
      name: count === 1 ? sensor.name : `${sensor.name} ${count}`,
      kind: sensor.kind,
      value: sensor.value,
      unit: sensor.unit,
      health: health[sensor.health],
      thresholds,
      states: [],
    };
  });
}

const roles: Readonly<Record<string, string>> = {
  Administrator: 'administrator',
  Operator: 'operator',
  ReadOnly: 'user',
  None: 'none',
};

const policies: Readonly<Record<string, PowerPolicy>> = {
  AlwaysOff: 'always-off',
  LastState: 'previous',
  AlwaysOn: 'always-on',
};

/** Those of IPMI v2.0 and of every Redfish service that does not tell. */
const usualLongest = 20;

export function redfishCapabilities(room: RedfishRoom): Omit<Capabilities, 'probe'> {
  const { ask, access } = room;
  return {
    console: redfishConsole({
      access,
      ways: (signal) => ask('find its serial console', signal, (b, o) => b.consoles(o)),
      ipmi: room.ipmiConsole,
    }),
    sensors: {
      read: async (signal) => readingsOf(await ask('read its sensors', signal, (b, o) => b.sensors(o), true)),
    },
    eventLog: {
      async entries({ limit = 1_000 } = {}, signal) {
        const entries = await ask('read its event log', signal, (b, o) => b.log(limit, o), true);
        return entries.map(({ id, at, severity, source, text }) => ({ id, at, severity, source, text, raw: null }));
      },
      clear: (signal) => ask('clear its event log', signal, (b, o) => b.clearLog(o)),
      time: (signal) => ask('read its clock', signal, (b, o) => b.time(o)),
      setTime: (time, signal) => ask('set its clock', signal, (b, o) => b.setTime(time, o)),
    },
    inventory: {
      async read(signal) {
        const found = await ask('read its inventory', signal, (b, o) => b.inventory(o), true);
        const { manufacturer, model, serial, assetTag, uuid, parts, faults } = found;
        return { manufacturer, model, serial: serial ?? found.sku, assetTag, uuid, parts, faults };
      },
    },
    credentials: {
      async accounts(signal) {
        const { accounts } = await ask('list its users', signal, (b, o) => b.accounts(o), true);
        return accounts.map((account: RedfishAccount) => ({
          id: account.id,
          name: account.name,
          enabled: account.enabled,
          role: roles[account.role] ?? account.role,
          own: account.name === access.username,
        }));
      },
      async longestPassword(signal) {
        const { service } = await ask('read its rules for passwords', signal, (b, o) => b.accounts(o), true);
        return service.longestPassword ?? usualLongest;
      },
      setPassword: (password, signal) => ask('change the password', signal, (b, o) => b.setPassword(password, o), true),
      proves: (password, signal) => ask('try the password', signal, (b, o) => b.proves(password, o)),
    },
    virtualMedia: {
      slots: async (signal) =>
        (await ask('read its virtual media', signal, (b, o) => b.media(o))).map(({ id, types, image }) => ({
          id,
          types,
          image,
        })),
      insert: (image, slot, signal) => ask('insert a virtual medium', signal, (b, o) => b.insert(image, slot, o), true),
      eject: (slot, signal) => ask('eject a virtual medium', signal, (b, o) => b.eject(slot, o), true),
    },
    firmware: {
      read: async (signal) =>
        (await ask('read its firmware versions', signal, (b, o) => b.firmware(o), true)).map(
          ({ name, version, updateable }) => ({ component: name, version, updateable }),
        ),
    },
    indicator: {
      state: (signal) => ask('read its indicator light', signal, async (b, o) => indicatorOf(await b.system(o))),
      set: (state, signal) =>
        ask('set its indicator light', signal, async (b, o) => {
          // LocationIndicatorActive since ComputerSystem 1.12; IndicatorLED before it, and with it on some.
          const newer = 'LocationIndicatorActive' in (await b.system(o));
          const older = { on: 'Lit', blinking: 'Blinking', off: 'Off' }[state];
          await b.setSystem(newer ? { LocationIndicatorActive: state !== 'off' } : { IndicatorLED: older }, o);
        }),
    },
    powerPolicy: {
      read: (signal) =>
        ask('read its power policy', signal, async (b, o) => {
          const { PowerRestorePolicy: policy } = await b.system(o);
          return typeof policy === 'string' ? (policies[policy] ?? null) : null;
        }),
      set: (policy, signal) =>
        ask('set its power policy', signal, (b, o) => {
          const [PowerRestorePolicy] = Object.entries(policies).find(([, ours]) => ours === policy) ?? [];
          return b.setSystem({ PowerRestorePolicy }, o);
        }),
    },
    interrupt: { inject: (signal) => ask('send a diagnostic interrupt', signal, (b, o) => b.reset('interrupt', o)) },
    restarter: { restart: (signal) => ask('restart itself', signal, (b, o) => b.restart(o)) },
  };
}

function indicatorOf(system: Readonly<Record<string, unknown>>): IndicatorState | null {
  const { LocationIndicatorActive: active, IndicatorLED: led } = system;
  if (typeof active === 'boolean') return active ? 'on' : 'off';
  if (led === 'Lit') return 'on';
  if (led === 'Blinking') return 'blinking';
  return led === 'Off' ? 'off' : null;
}
