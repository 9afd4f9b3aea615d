/** What a machine that is not there offers beyond power and boot device: small, whole, and the same at each start. */
import { fault } from '../core/errors/index.ts';
import type { BmcAccess } from './bmc.ts';
import type {
  Capabilities,
  ConsoleOptions,
  IndicatorState,
  LogEntry,
  PowerPolicy,
  SensorReading,
} from './capabilities.ts';

/** What the BMC of a fake machine holds. */
export interface FakeHoldings {
  /** Null takes any password: nodes of driver `fake-hardware` need none. */
  password: string | null;
  /** Like a BMC that says yes and keeps the old password. */
  ignoresPassword: boolean;
  log: LogEntry[];
  indicator: IndicatorState;
  policy: PowerPolicy;
  /** Milliseconds that the BMC's clock is ahead. */
  skewMs: number;
  media: string | null;
  console: ConsoleOptions | null;
  interrupts: number;
  restarts: number;
}

export const newHoldings = (): FakeHoldings => ({
  ...{ password: null, ignoresPassword: false, log: [], indicator: 'off', policy: 'previous', skewMs: 0, media: null },
  ...{ console: null, interrupts: 0, restarts: 0 },
});

export interface FakeRoom {
  readonly access: BmcAccess;
  readonly name: string;
  readonly holdings: () => FakeHoldings;
  readonly isOn: () => boolean;
  readonly now: () => number;
  command<T>(title: string, signal: AbortSignal | undefined, work: () => T): Promise<T>;
}

const user = 'admin';
const longest = 20;
const slot = 'CD';

export function fakeCapabilities(room: FakeRoom): Capabilities {
  const { access, name, command, holdings, isOn, now } = room;
  const refuse = (what: string, text: string) =>
    fault('bmc-refused', { bmc: name, node: access.name ?? access.key, command: what, text });

  const requireSlot = (what: string, wanted: string | undefined) => {
    if (wanted !== undefined && wanted !== slot) throw refuse(what, `it has no slot ${wanted}, only ${slot}`);
  };

  return {
    sensors: { read: (signal) => command('Get Sensor Reading', signal, () => readings(isOn())) },
    eventLog: {
      entries: ({ limit = 1_000 } = {}, signal) => command('Get SEL Entry', signal, () => holdings().log.slice(-limit)),
      clear: (signal) =>
        command('Clear SEL', signal, () => {
          holdings().log = [];
        }),
      time: (signal) => command('Get SEL Time', signal, () => new Date(now() + holdings().skewMs)),
      setTime: (time, signal) =>
        command('Set SEL Time', signal, () => {
          holdings().skewMs = time.getTime() - now();
        }),
    },
    inventory: {
      read: (signal) =>
        command('Read FRU Data', signal, () => ({
          ...{ manufacturer: 'Undercloud', model: 'fake', serial: access.key, assetTag: null, uuid: null, faults: [] },
          parts: [
            {
              ...{ kind: 'board' as const, name: 'system board', manufacturer: 'Undercloud', model: 'fake' },
              ...{ serial: access.key, part: null, more: {} },
            },
          ],
        })),
    },
    console: {
      open: (options, signal) =>
        command('Activate Payload', signal, () => {
          const its = holdings();
          if (its.console && options.steal !== true)
            throw fault('bmc-console-in-use', {
              ...{ bmc: name, node: access.name ?? access.key, text: 'one stream is all that it has' },
            });
          its.console?.onClose?.('The console was taken by another.');
          its.console = options;
          const isOpen = () => its.console === options;
          return {
            pending: 0,
            write(data) {
              // A machine that echoes: what is typed is seen.
              if (isOpen()) queueMicrotask(() => isOpen() && options.onData(Buffer.from(data)));
              return isOpen();
            },
            break: isOpen,
            async close() {
              if (!isOpen()) return;
              its.console = null;
              options.onClose?.(null);
            },
          };
        }),
    },
    credentials: {
      accounts: (signal) =>
        command('Get User Name', signal, () => [
          { id: '2', name: access.username || user, enabled: true, role: 'administrator', own: true },
        ]),
      longestPassword: (signal) => command('Test User Password', signal, () => longest),
      setPassword: (password, signal) =>
        command('Set User Password', signal, () => {
          if (Buffer.byteLength(password) > longest) throw refuse('set its password', 'the password is too long');
          if (!holdings().ignoresPassword) holdings().password = password;
          else holdings().password ??= access.password;
        }),
      proves: (password, signal) =>
        command('Open Session', signal, () => holdings().password === null || holdings().password === password),
    },
    virtualMedia: {
      slots: (signal) =>
        command('Get Virtual Media', signal, () => [{ id: slot, types: ['CD', 'DVD'], image: holdings().media }]),
      insert: (image, wanted, signal) =>
        command('Insert Media', signal, () => {
          requireSlot('insert the medium', wanted);
          holdings().media = image;
        }),
      eject: (wanted, signal) =>
        command('Eject Media', signal, () => {
          requireSlot('eject the medium', wanted);
          holdings().media = null;
        }),
    },
    firmware: {
      read: (signal) =>
        command('Get Device ID', signal, () => [{ component: 'BMC', version: '1.0', updateable: false }]),
    },
    indicator: {
      state: (signal) => command('Get Chassis Status', signal, () => holdings().indicator),
      set: (state, signal) =>
        command('Chassis Identify', signal, () => {
          holdings().indicator = state;
        }),
    },
    powerPolicy: {
      read: (signal) => command('Get Chassis Status', signal, () => holdings().policy),
      set: (policy, signal) =>
        command('Set Power Restore Policy', signal, () => {
          holdings().policy = policy;
        }),
    },
    interrupt: {
      inject: (signal) =>
        command('Chassis Control diag', signal, () => {
          if (!isOn()) throw refuse('inject a diagnostic interrupt', 'the machine is off');
          holdings().interrupts += 1;
        }),
    },
    probe: {
      suites: (signal) =>
        command('Get Channel Cipher Suites', signal, () => ({ advertised: [17], accepted: [17], spoken: 'nothing' })),
      sessions: (signal) =>
        command('Get Session Info', signal, () => ({ possible: null, opened: 8, refused: false, freed: true })),
    },
    restarter: {
      restart: (signal) =>
        command('Cold Reset', signal, () => {
          holdings().restarts += 1;
        }),
    },
  };
}

const readings = (on: boolean): SensorReading[] => [
  {
    ...{ name: 'CPU Temp', kind: 'temperature', value: on ? 42 : null, unit: 'degrees C', states: [] },
    ...{ health: on ? 'ok' : 'unknown', thresholds: { upperCritical: 95 } },
  },
  {
    ...{ name: 'FAN1', kind: 'fan', value: on ? 5_400 : null, unit: 'RPM', states: [] },
    ...{ health: on ? 'ok' : 'unknown', thresholds: { lowerCritical: 500 } },
  },
  {
    ...{ name: 'PS1 Status', kind: 'state', value: null, unit: '', states: ['presence detected'] },
    ...{ health: 'ok', thresholds: {} },
  },
];
