/** What an IPMI BMC offers beyond power and boot device, over the session that ipmi.ts keeps; consoles and log-ins on their own. */
import { fault } from '../core/errors/index.ts';
import {
  type BmcUser,
  crossedNames,
  describeSelEntry,
  type Fru,
  type FruArea,
  type Guid,
  IpmiError,
  type IpmiSession,
  parseFruLocator,
  parseSensorRecords,
  type SdrRecord,
  type Sensor,
  type SensorRecord,
  stateNames,
} from '../ipmi/index.ts';
import type { BmcAccess } from './bmc.ts';
import type {
  BmcAccount,
  Capabilities,
  Health,
  InventoryPart,
  LogEntry,
  PartKind,
  SensorKind,
  SensorReading,
  ThresholdName,
} from './capabilities.ts';
import { ipmiProbe } from './ipmi-probe.ts';

export interface AskCall {
  readonly deadline: number;
  readonly signal?: AbortSignal;
}

export interface IpmiRoom {
  readonly access: BmcAccess;
  /** Runs `work` on the kept session; failures become sentences. `long`: many exchanges, two minutes instead of ten seconds. */
  ask<T>(
    command: string,
    signal: AbortSignal | undefined,
    work: (session: IpmiSession, call: AskCall) => Promise<T>,
    long?: boolean,
  ): Promise<T>;
  /** A session object beside the kept one, not opened yet; whoever takes it closes it. */
  another(password?: string, suites?: readonly number[]): Promise<IpmiSession>;
  fault(command: string, error: unknown): Error;
}

export function ipmiCapabilities(room: IpmiRoom): Omit<Capabilities, 'virtualMedia'> {
  const { ask } = room;
  /** Read once: a repository takes seconds, and does not change while the BMC runs. Dropped when a reading fails. */
  let repository: Promise<SdrRecord[]> | null = null;

  const sdrs = (signal: AbortSignal | undefined): Promise<SdrRecord[]> => {
    repository ??= ask('read the sensor records', signal, (s, o) => s.sdrs(o), true).catch((error) => {
      repository = null;
      throw error;
    });
    return repository;
  };

  const sensorRecords = async (signal: AbortSignal | undefined): Promise<SensorRecord[]> =>
    (await sdrs(signal)).flatMap(parseSensorRecords);

  const ownUser = async (signal: AbortSignal | undefined): Promise<BmcUser> => {
    const users = await ask('list its users', signal, (s, o) => s.users(undefined, o), true);
    const found = users.find(({ name }) => name === room.access.username);
    if (found) return found;
    const text = `it lists no user ${room.access.username || 'without a name'}`;
    const { access } = room;
    throw fault('bmc-refused', { ...named(access), command: 'find our own user', text });
  };

  return {
    sensors: {
      async read(signal) {
        const records = await sensorRecords(signal);
        const found = await ask('read its sensors', signal, (s, o) => s.readSensors(records, o), true).catch(
          (error) => {
            repository = null;
            throw error;
          },
        );
        return found.map(readingOf);
      },
    },
    eventLog: {
      async entries({ limit = 1_000 } = {}, signal) {
        // Sensors' names make an entry worth reading; a log without them is still a log.
        const records = await sensorRecords(signal).catch(() => []);
        const entries = await ask('read its event log', signal, (s, o) => s.sel(o), true);
        return entries.slice(-limit).map((entry) => logEntryOf(entry, records));
      },
      clear: (signal) => ask('clear its event log', signal, (s, o) => s.clearSel(o), true),
      time: async (signal) => (await ask('read its clock', signal, (s, o) => s.selTime(o))) ?? null,
      setTime: (time, signal) => ask('set its clock', signal, (s, o) => s.setSelTime(time, o)),
    },
    inventory: {
      async read(signal) {
        const guid = await ask('read its GUID', signal, (s, o) => s.systemGuid(o)).catch(() => null);
        const main = await ask('read its FRU data', signal, (s, o) => s.fru(0, o), true);
        const parts = partsOf(main, 'chassis');
        const faults = main.faults.map((text) => `FRU 0: ${text}.`);
        const locators = (await sdrs(signal).catch(() => [])).flatMap((record) => parseFruLocator(record) ?? []);
        for (const { device, name, entity } of locators) {
          if (device === 0) continue;
          try {
            const fru = await ask('read its FRU data', signal, (s, o) => s.fru(device, o), true);
            parts.push(...partsOf(fru, entityKinds[entity] ?? 'other', name));
            faults.push(...fru.faults.map((text) => `FRU ${device} (${name}): ${text}.`));
          } catch (error) {
            signal?.throwIfAborted();
            faults.push(`FRU ${device} (${name}): ${error instanceof Error ? error.message : String(error)}`);
          }
        }
        const { product, board, chassis } = main;
        return {
          manufacturer: text(product?.manufacturer) ?? text(board?.manufacturer),
          model: text(product?.product) ?? text(board?.product),
          serial: text(product?.serial) ?? text(chassis?.serial) ?? text(board?.serial),
          assetTag: text(product?.asset),
          uuid: guid && plausibleUuid(guid),
          parts,
          faults,
        };
      },
    },
    console: {
      async open({ onData, onClose, steal = false }, signal) {
        const session = await room.another();
        const call = { deadline: 10_000, ...(signal && { signal }) };
        try {
          const stream = await session.sol(
            {
              onData,
              steal,
              onClose(reason) {
                void session.close({ deadline: 1_000 });
                onClose?.(reason ? room.fault('keep the console open', reason).message : null);
              },
            },
            call,
          );
          return {
            write: (data) => stream.write(data),
            break: () => stream.break(),
            get pending() {
              return stream.pending;
            },
            async close() {
              await stream.close();
              await session.close({ deadline: 1_000 });
            },
          };
        } catch (error) {
          void session.close({ deadline: 1_000 });
          if (signal?.aborted) throw signal.reason;
          if (error instanceof IpmiError && error.step === 'Activate Payload' && error.completionCode === consoleTaken)
            throw fault('bmc-console-in-use', { ...named(room.access), text: error.fault }, error);
          throw room.fault('open the console', error);
        }
      },
    },
    credentials: {
      async accounts(signal) {
        const users = await ask('list its users', signal, (s, o) => s.users(undefined, o), true);
        return users.filter(({ name, enabled, id }) => name !== '' || (id === 1 && enabled === true)).map(accountOf);
      },
      async longestPassword(signal) {
        const { id } = await ownUser(signal);
        const { password } = room.access;
        // Completion code 0x81: stored with the other size (section 22.30). A BMC that refuses the test keeps the old 16.
        const keeps20 = await ask('test its password', signal, (s, o) => s.testUserPassword(id, password, 20, o)).catch(
          () => false,
        );
        return keeps20 ? 20 : 16;
      },
      async setPassword(password, signal) {
        const { id } = await ownUser(signal);
        // 16 bytes wherever they suffice: that is what every BMC keeps, and all that an IPMI 1.5 session can prove.
        const size = Buffer.byteLength(password) > 16 ? 20 : 16;
        await ask('set its password', signal, (s, o) => s.setUserPassword(id, password, size, o));
      },
      async proves(password, signal) {
        const session = await room.another(password);
        try {
          await session.open({ deadline: 10_000, ...(signal && { signal }) });
          return true;
        } catch (error) {
          if (signal?.aborted) throw signal.reason;
          if (error instanceof IpmiError && error.code === 'bad-password') return false;
          throw room.fault('prove the password', error);
        } finally {
          await session.close({ deadline: 1_000 });
        }
      },
    },
    firmware: {
      async read(signal) {
        const id = await ask('identify itself', signal, (s, o) => s.deviceId(o));
        const version = id.auxiliary && !/^0*$/.test(id.auxiliary) ? `${id.firmware} (${id.auxiliary})` : id.firmware;
        return [{ component: 'BMC', version, updateable: null }];
      },
    },
    indicator: {
      async state(signal) {
        const { identify } = await ask('read its indicator', signal, (s, o) => s.chassisStatus(o));
        return identify === 'unknown' ? null : identify === 'timed' ? 'blinking' : identify;
      },
      async set(state, signal) {
        // IPMI knows no steady light: identifying is what the machine does to be found (section 28.5). 240 s where "on" is refused.
        await ask('set its indicator', signal, async (s, o) => {
          if (state === 'off') return s.identify(0, o);
          await s.identify('on', o).catch((error) => {
            if (error instanceof IpmiError && error.completionCode !== undefined) return s.identify(240, o);
            throw error;
          });
        });
      },
    },
    powerPolicy: {
      async read(signal) {
        const { policy } = await ask('read its power policy', signal, (s, o) => s.chassisStatus(o));
        return policy === 'unknown' ? null : policy;
      },
      set: (policy, signal) => ask('set its power policy', signal, (s, o) => s.setPowerPolicy(policy, o)),
    },
    interrupt: {
      inject: (signal) => ask('inject a diagnostic interrupt', signal, (s, o) => s.power('diag', o)),
    },
    probe: ipmiProbe(room),
    restarter: {
      restart: (signal) =>
        ask('restart itself', signal, (s, o) =>
          s.resetBmc('cold', o).catch((error) => {
            // Some BMCs go at once, without an answer.
            if (!(error instanceof IpmiError && error.code === 'uncertain')) throw error;
          }),
        ),
    },
  };

  function accountOf(user: BmcUser): BmcAccount {
    const roles = ['none', 'callback', 'user', 'operator', 'administrator', 'oem'];
    return {
      id: String(user.id),
      name: user.name,
      enabled: user.enabled ?? null,
      role: roles[user.privilege] ?? 'none',
      own: user.name === room.access.username,
    };
  }
}

/** Completion code of Activate Payload (section 24.1): the payload is active on another session. */
const consoleTaken = 0x80;

const named = (access: BmcAccess) => ({ bmc: `${access.address}:${access.port}`, node: access.name ?? access.key });

const text = (value: string | string[] | undefined): string | null =>
  typeof value === 'string' && value !== '' ? value : null;

/** Sensor types of table 42-3 that measure something; units tell the rest. */
const kinds: Readonly<Record<number, SensorKind>> = { 1: 'temperature', 2: 'voltage', 3: 'current', 4: 'fan' };
const THRESHOLD = 1;

function kindOf(sensor: Sensor): SensorKind {
  if (sensor.eventType !== THRESHOLD && sensor.value === undefined) return 'state';
  if (sensor.unit === 'W') return 'power';
  return kinds[sensor.sensorType] ?? 'other';
}

export function readingOf(sensor: Sensor): SensorReading {
  const { name, unit, value, thresholds } = sensor;
  const asserted =
    sensor.eventType === THRESHOLD
      ? { names: crossedNames(sensor.states), severity: 'ok' as const }
      : stateNames(sensor.eventType, sensor.sensorType, sensor.states);
  const health: Health = sensor.health === 'non-recoverable' ? 'critical' : sensor.health;
  const limits: Partial<Record<ThresholdName, number>> = thresholds ?? {};
  return {
    name,
    kind: kindOf(sensor),
    value: value ?? null,
    unit: value === undefined && sensor.eventType !== THRESHOLD ? '' : unit,
    health: health === 'ok' ? asserted.severity : health,
    thresholds: limits,
    states: asserted.names,
  };
}

function logEntryOf(entry: Parameters<typeof describeSelEntry>[0], records: readonly SensorRecord[]): LogEntry {
  const said = describeSelEntry(entry);
  const sensor = records.find(
    ({ number, sensorType }) => number === entry.sensorNumber && sensorType === entry.sensorType,
  );
  const value = (raw: number | undefined) =>
    raw === undefined || !sensor?.convert ? null : `${sensor.convert(raw)} ${sensor.unit}`.trim();
  const [reading, limit] = [value(said.reading), value(said.limit)];
  const measured = reading === null ? '' : limit === null ? `: ${reading}` : `: ${reading}, limit ${limit}`;
  return {
    id: String(entry.id),
    at: entry.time ?? null,
    severity: said.severity,
    source: sensor?.name || said.source,
    text: `${said.text}${measured}`,
    raw: entry.raw,
  };
}

/** Entities of table 43-13 that are parts of a machine. */
const entityKinds: Readonly<Record<number, PartKind>> = {
  3: 'processor',
  4: 'disk',
  7: 'board',
  8: 'memory',
  10: 'power-supply',
  11: 'other',
  15: 'disk',
  16: 'board',
  23: 'chassis',
  26: 'disk',
  32: 'memory',
};

function partsOf(fru: Fru, kind: PartKind, name?: string): InventoryPart[] {
  const part = (area: FruArea | undefined, its: PartKind, title: string): InventoryPart[] =>
    area
      ? [
          {
            kind: its,
            name: title,
            manufacturer: text(area.manufacturer),
            model: text(area.product),
            serial: text(area.serial),
            part: text(area.part),
            more: moreOf(area),
          },
        ]
      : [];
  if (name !== undefined) return [...part(fru.board, kind, name), ...(fru.board ? [] : part(fru.product, kind, name))];
  return [...part(fru.chassis, 'chassis', 'chassis'), ...part(fru.board, 'board', 'system board')];
}

function moreOf(area: FruArea): Record<string, string> {
  const out: Record<string, string> = {};
  for (const field of ['version', 'asset', 'fruFile', 'made']) {
    const value = text(area[field]);
    if (value !== null) out[field] = value;
  }
  if (area.extra) out.extra = area.extra.join(', ');
  return out;
}

/**
 * Vendors disagree about the order of a GUID's bytes. The reading whose version (1 to 5) and variant are those of RFC 4122 is the
 * one that a person sees in the firmware; SMBIOS' order first, as most BMCs copy it from there. Null when none is.
 */
export function plausibleUuid(guid: Guid): string | null {
  return [guid.smbios, guid.rfc4122, guid.ipmi].find((one) => /^.{8}-.{4}-[1-5].{3}-[89ab]/.test(one)) ?? null;
}
