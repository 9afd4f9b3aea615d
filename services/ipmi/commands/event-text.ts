// What sensors and event log records say, in words: tables 42-1 to 42-3 of IPMI 2.0 as data. A state that begins with `!` is
// critical and with `~` a warning while it is asserted; the mark is not part of the words.

import type { SelEntry } from './sel.ts';

/** Sensor types (table 42-3, first column). */
export const SENSOR_TYPES: Readonly<Record<number, string>> = {
  1: 'temperature',
  2: 'voltage',
  3: 'current',
  4: 'fan',
  5: 'physical security',
  6: 'platform security',
  7: 'processor',
  8: 'power supply',
  9: 'power unit',
  10: 'cooling device',
  11: 'other units-based sensor',
  12: 'memory',
  13: 'drive slot',
  14: 'POST memory resize',
  15: 'system firmware progress',
  16: 'event logging',
  17: 'watchdog 1',
  18: 'system event',
  19: 'critical interrupt',
  20: 'button',
  21: 'module or board',
  22: 'microcontroller',
  23: 'add-in card',
  24: 'chassis',
  25: 'chip set',
  26: 'other FRU',
  27: 'cable or interconnect',
  28: 'terminator',
  29: 'system boot',
  30: 'boot error',
  31: 'operating system boot',
  32: 'operating system stop',
  33: 'slot or connector',
  34: 'system ACPI power state',
  35: 'watchdog',
  36: 'platform alert',
  37: 'entity presence',
  38: 'monitor chip',
  39: 'LAN',
  40: 'management subsystem health',
  41: 'battery',
  42: 'session audit',
  43: 'version change',
  44: 'FRU state',
};

/** States of the generic event types 1 to 0x0c, by offset (table 42-2). */
const GENERIC: Readonly<Record<number, readonly string[]>> = {
  1: [
    ...['~lower non-critical limit crossed', '~lower non-critical limit crossed upwards'],
    ...['!lower critical limit crossed', '!lower critical limit crossed upwards'],
    ...['!lower non-recoverable limit crossed', '!lower non-recoverable limit crossed upwards'],
    ...['~upper non-critical limit crossed downwards', '~upper non-critical limit crossed'],
    ...['!upper critical limit crossed downwards', '!upper critical limit crossed'],
    ...['!upper non-recoverable limit crossed downwards', '!upper non-recoverable limit crossed'],
  ],
  2: ['idle', 'active', 'busy'],
  3: ['state deasserted', 'state asserted'],
  4: ['predictive failure deasserted', '~predictive failure'],
  5: ['limit not exceeded', '~limit exceeded'],
  6: ['performance met', '~performance lags'],
  7: [
    ...['ok', '~non-critical, from ok', '!critical, from less severe', '!non-recoverable, from less severe'],
    ...['~non-critical, from more severe', '!critical, from non-recoverable', '!non-recoverable', 'monitor'],
    'informational',
  ],
  8: ['removed', 'inserted'],
  9: ['disabled', 'enabled'],
  10: [
    ...['running', 'in test', 'power off', 'on line', 'off line', 'off duty', '~degraded', 'power save'],
    '~installation error',
  ],
  11: [
    ...['fully redundant', '~redundancy lost', '~redundancy degraded', '~non-redundant, from redundant'],
    ...['~non-redundant, sufficient resources', '!non-redundant, insufficient resources'],
    ...['~redundancy degraded from full', '~redundancy degraded from none'],
  ],
  12: ['D0 power state', 'D1 power state', 'D2 power state', 'D3 power state'],
};

/** States of event type 0x6f, by sensor type and offset (table 42-3). */
const SPECIFIC: Readonly<Record<number, readonly string[]>> = {
  5: [
    ...['~chassis intrusion', '~drive bay intrusion', '~I/O card area intrusion', '~processor area intrusion'],
    ...['~LAN leash lost', '~unauthorised dock', '~fan area intrusion'],
  ],
  6: [
    ...['~front panel lockout violation', '~pre-boot password violation, user', '~pre-boot password violation, set-up'],
    ...['~pre-boot password violation, network boot', '~other pre-boot password violation'],
    '~out-of-band access password violation',
  ],
  7: [
    ...['!internal error', '!thermal trip', '!built-in self-test failure', '!hang in POST', '!initialisation failure'],
    ...['!configuration error', '!uncorrectable error', 'presence detected', 'disabled', 'terminator presence'],
    ...['~throttled', '!uncorrectable machine check', '~correctable machine check'],
  ],
  8: [
    ...['presence detected', '!failure', '~predictive failure', '!input lost', '!input lost or out of range'],
    ...['~input out of range', '!configuration error', 'inactive'],
  ],
  9: [
    ...[
      'power off',
      'power cycle',
      '240 VA power down',
      '~interlock power down',
      '!AC lost',
      '!soft power control failure',
    ],
    ...['!failure', '~predictive failure'],
  ],
  12: [
    ...['~correctable error', '!uncorrectable error', '!parity error', '~scrub failed', '~disabled'],
    ...['~correctable error limit reached', 'presence detected', '!configuration error', 'spare', '~throttled'],
    '!critical overtemperature',
  ],
  13: [
    ...['presence detected', '!fault', '~predictive failure', 'hot spare', 'consistency check', '!in critical array'],
    ...['!in failed array', '~rebuild', '~rebuild aborted'],
  ],
  15: ['!firmware error', '!firmware hang', 'progress'],
  16: [
    ...['~correctable memory logging disabled', '~event logging disabled', 'log cleared', '~all logging disabled'],
    ...['~log full', '~log almost full', '~correctable machine check logging disabled'],
  ],
  17: [
    ...[
      '!firmware reset',
      '!system reset',
      '!system power down',
      '!system power cycle',
      '~expired',
      '~expired, status only',
    ],
  ],
  18: [
    'reconfigured',
    'OEM boot',
    '!undetermined hardware failure',
    'auxiliary log entry',
    'PEF action',
    'clock synch',
  ],
  19: [
    ...['!front panel NMI', '!bus timeout', '!I/O channel check NMI', '!software NMI', '!PCI parity error'],
    ...['!PCI system error', '!EISA fail-safe timeout', '~bus correctable error', '!bus uncorrectable error'],
    ...['!fatal NMI', '!bus fatal error', '~bus degraded'],
  ],
  20: ['power pressed', 'sleep pressed', 'reset pressed', '~FRU latch open', 'FRU service requested'],
  25: ['!soft power control failure', '!thermal trip'],
  27: ['connected', '!configuration error'],
  29: [
    'by power up',
    'by hard reset',
    'by warm reset',
    'PXE boot requested',
    'diagnostic boot',
    'by software',
    'by system',
  ],
  30: [
    '!no bootable media',
    '~disk without boot loader',
    '!PXE server not found',
    '!invalid boot sector',
    '~selection timed out',
  ],
  31: [...['from A:', 'from C:', 'from PXE', 'to diagnostics', 'from CD', 'from ROM', 'boot completed']],
  32: [
    '!critical stop while loading',
    '!run-time critical stop',
    'graceful stop',
    'graceful shutdown',
    'PEF shutdown',
    '~agent not responding',
  ],
  33: [
    ...['!fault', 'identify', 'device installed', 'ready for installation', 'ready for removal', 'power off'],
    ...['removal requested', 'interlock', 'disabled', 'spare'],
  ],
  34: [
    ...['S0: working', 'S1', 'S2', 'S3', 'S4: to disk', 'S5: soft off', 'S4/S5: soft off', 'G3: mechanical off'],
    ...['sleeping', 'G1: sleeping', '~S5 by override', 'legacy on', 'legacy off'],
  ],
  35: [
    '~expired',
    '!hard reset',
    '!power down',
    '!power cycle',
    'reserved',
    'reserved',
    'reserved',
    'reserved',
    '~pre-timeout',
  ],
  36: ['page', 'trap', 'alert', 'event'],
  37: ['present', 'absent', 'disabled'],
  39: ['~heartbeat lost', 'heartbeat'],
  40: [
    ...['~sensor access degraded', '!controller access degraded', '!controller off line', '!controller unavailable'],
    ...['!sensor failure', '!FRU failure'],
  ],
  41: ['~low', '!failed', 'presence detected'],
  42: ['session activated', 'session deactivated', '~invalid user or password', '~password disabled'],
  43: [
    'hardware change',
    'firmware change',
    '~hardware incompatible',
    '~firmware incompatible',
    '!hardware invalid',
    '!firmware invalid',
  ],
  44: [
    ...['not installed', 'inactive', 'activation requested', 'activating', 'active', 'deactivation requested'],
    ...['deactivating', '!communication lost'],
  ],
};

export type EventSeverity = 'ok' | 'warning' | 'critical';

const SENSOR_SPECIFIC = 0x6f;
const THRESHOLD = 1;

function stateOf(eventType: number, sensorType: number, offset: number): { text: string; severity: EventSeverity } {
  const row = eventType === SENSOR_SPECIFIC ? SPECIFIC[sensorType] : GENERIC[eventType];
  const found = row?.[offset];
  if (found === undefined) return { text: `state ${offset}`, severity: 'ok' };
  if (found.startsWith('!')) return { text: found.slice(1), severity: 'critical' };
  if (found.startsWith('~')) return { text: found.slice(1), severity: 'warning' };
  return { text: found, severity: 'ok' };
}

const worse = (a: EventSeverity, b: EventSeverity): EventSeverity =>
  a === 'critical' || b === 'critical' ? 'critical' : a === 'warning' || b === 'warning' ? 'warning' : 'ok';

/** Bits of Get Sensor Reading (sensors of states, not of thresholds) in words, with the worst of their severities. */
export function stateNames(
  eventType: number,
  sensorType: number,
  bits: number,
): { names: string[]; severity: EventSeverity } {
  const names: string[] = [];
  let severity: EventSeverity = 'ok';
  for (let offset = 0; offset < 15; offset++) {
    if (!(bits & (1 << offset))) continue;
    const state = stateOf(eventType, sensorType, offset);
    names.push(state.text);
    severity = worse(severity, state.severity);
  }
  return { names, severity };
}

/** The limits that a threshold sensor has crossed (table 35-15, byte 3), in words. */
export function crossedNames(bits: number): string[] {
  const sides = ['lower non-critical', 'lower critical', 'lower non-recoverable'];
  return [...sides, ...sides.map((side) => side.replace('lower', 'upper'))].flatMap((name, bit) =>
    bits & (1 << bit) ? [`${name} limit crossed`] : [],
  );
}

export interface EventText {
  /** The sensor's type. */
  source: string;
  text: string;
  severity: EventSeverity;
  /** Raw reading that crossed a limit, and the limit, where the record holds them (table 29-6). */
  reading: number | undefined;
  limit: number | undefined;
}

const SYSTEM_EVENT = 0x02;

/** An event log record in words. Records of vendors' own types are given as such, with their bytes in `raw` of the entry. */
export function describeSelEntry(entry: SelEntry): EventText {
  const nothing = { reading: undefined, limit: undefined };
  if (entry.type !== SYSTEM_EVENT)
    return { source: 'vendor', text: `record of type 0x${entry.type.toString(16)}`, severity: 'ok', ...nothing };
  const [first, second, third] = entry.data;
  const offset = first & 0x0f;
  const source = SENSOR_TYPES[entry.sensorType] ?? `sensor type 0x${entry.sensorType.toString(16)}`;
  const state = stateOf(entry.eventType, entry.sensorType, offset);
  const threshold = entry.eventType === THRESHOLD;
  return {
    source,
    text: entry.deasserted ? `${state.text}: over` : state.text,
    severity: entry.deasserted ? 'ok' : state.severity,
    // Bits 7:6 and 5:4 of byte 1: 01 says that bytes 2 and 3 hold the reading and the limit.
    reading: threshold && first >> 6 === 1 ? second : undefined,
    limit: threshold && ((first >> 4) & 3) === 1 ? third : undefined,
  };
}
