// The SDR repository (IPMI 2.0 chapter 33, records chapter 43): reading it whole, and understanding the records that sensors need.

import { IpmiError } from '../errors.ts';
import { type Ask, atLeast } from './ask.ts';

export interface SdrRecord {
  id: number;
  /** Record type: 1 full sensor, 2 compact sensor, 3 event-only, 0x11 FRU locator, 0x12 controller locator, 0xc0 OEM. */
  type: number;
  /** Everything after the 5-byte header. */
  body: Buffer;
}

const RESERVATION_LOST = 0xc5;
/** Codes that say "not so many bytes at once" (section 33.12 and firmwares that say it their way). */
const TOO_MUCH = [0xca, 0xc8, 0xff, 0xc7] as const;
/** A hostile or broken BMC could chain records for ever. */
const MOST_RECORDS = 4_096;

/** Reads all records. `piece` is the largest read to begin with; it shrinks where the BMC refuses. Rejects with IpmiError. */
export async function readSdrs(ask: Ask, piece = 64): Promise<SdrRecord[]> {
  const records: SdrRecord[] = [];
  const state = { piece, reservation: await reserve(ask) };
  const seen = new Set<number>();
  for (let id = 0; id !== 0xffff; ) {
    if (seen.has(id) || records.length >= MOST_RECORDS) {
      throw new IpmiError('bad-response', `the record chain comes back to id ${id} after ${records.length} records`, {
        step: 'Get SDR',
      });
    }
    seen.add(id);
    const { next, record } = await readOne(ask, id, state);
    if (record) records.push(record);
    id = next;
  }
  return records;
}

async function reserve(ask: Ask): Promise<number> {
  const answer = await ask(0x0a, 0x22, [], { accept: [0xc1, 0xcb] });
  return answer[0] === 0 ? atLeast(answer, 3, 'Reserve SDR Repository').readUInt16LE(1) : 0;
}

interface ReadState {
  piece: number;
  reservation: number;
}

async function readOne(
  ask: Ask,
  id: number,
  state: ReadState,
): Promise<{ next: number; record: SdrRecord | undefined }> {
  // An empty repository answers the first id with "not present".
  const head = await readPiece(ask, id, 0, 5, state, id === 0);
  if (!head) return { next: 0xffff, record: undefined };
  const length = head.bytes[4]!;
  const parts: Buffer[] = [];
  for (let at = 0; at < length; ) {
    const part = (await readPiece(ask, id, 5 + at, Math.min(state.piece, length - at), state, false))!;
    parts.push(part.bytes);
    at += part.bytes.length;
  }
  return {
    next: head.next,
    record: { id: head.bytes.readUInt16LE(0), type: head.bytes[3]!, body: Buffer.concat(parts) },
  };
}

async function readPiece(ask: Ask, id: number, offset: number, bytes: number, state: ReadState, mayLack: boolean) {
  let size = bytes;
  for (let retry = 0; retry < 12; retry++) {
    const { reservation } = state;
    const answer = await ask(0x0a, 0x23, [reservation & 0xff, reservation >> 8, id & 0xff, id >> 8, offset, size], {
      accept: [RESERVATION_LOST, 0xcb, ...TOO_MUCH],
    });
    if (answer[0] === 0) {
      const data = answer.subarray(3);
      if (data.length < 1 || (offset === 0 && data.length < 5) || data.length > size) {
        throw new IpmiError('bad-response', `${data.length} bytes where ${size} were asked for`, { step: 'Get SDR' });
      }
      return { next: answer.readUInt16LE(1), bytes: data };
    }
    if (answer[0] === 0xcb) {
      if (mayLack) return undefined;
      throw new IpmiError('completion-code', `record ${id} vanished while it was read`, {
        step: 'Get SDR',
        completionCode: 0xcb,
      });
    }
    if (answer[0] === RESERVATION_LOST) state.reservation = await reserve(ask);
    else if (offset !== 0 && size > 8) {
      state.piece = Math.max(8, size >> 1);
      size = state.piece;
    } else break;
  }
  throw new IpmiError('bad-response', `record ${id} cannot be read at offset ${offset}`, { step: 'Get SDR' });
}

/** A type/length byte and its text (section 43.15): 8-bit ASCII, 6-bit ASCII, BCD plus; unicode is left as hex. */
export function sdrString(bytes: Buffer, at: number): string {
  const code = bytes[at];
  if (code === undefined) return '';
  const raw = bytes.subarray(at + 1, at + 1 + (code & 0x1f));
  const kind = code >> 6;
  if (kind === 3) return raw.toString('latin1').replace(/\0+$/, '').trimEnd();
  if (kind === 2) return sixBit(raw);
  if (kind === 1) return bcdPlus(raw);
  return raw.toString('hex');
}

export function sixBit(raw: Buffer): string {
  let out = '';
  let bits = 0;
  let held = 0;
  for (const byte of raw) {
    bits |= byte << held;
    held += 8;
    while (held >= 6) {
      out += String.fromCharCode(0x20 + (bits & 0x3f));
      bits >>= 6;
      held -= 6;
    }
  }
  return out.trimEnd();
}

export function bcdPlus(raw: Buffer): string {
  let out = '';
  for (const byte of raw) out += '0123456789 -.:,_'.charAt(byte >> 4) + '0123456789 -.:,_'.charAt(byte & 15);
  return out.trimEnd();
}

/** Two's complement of `bits` bits. */
function signed(value: number, bits: number): number {
  return value & (1 << (bits - 1)) ? value - (1 << bits) : value;
}

/** What a full or compact sensor record says; numbers are converted only for full ones. */
export interface SensorRecord {
  recordId: number;
  name: string;
  owner: number;
  lun: number;
  number: number;
  entity: number;
  instance: number;
  sensorType: number;
  /** 1 threshold, 2 to 0x0c generic states, 0x6f states of the sensor type. */
  eventType: number;
  /** `degrees C`, `RPM`, `V`, ...; empty without unit, `%` for percentages. */
  unit: string;
  /** Raw byte → value; undefined for sensors without analogue readings. */
  convert: ((raw: number) => number) | undefined;
}

/** Units of table 43-15 that machines are seen to use; others are given as `unit N`. */
const UNITS: Readonly<Record<number, string>> = {
  1: 'degrees C',
  2: 'degrees F',
  3: 'K',
  4: 'V',
  5: 'A',
  6: 'W',
  7: 'J',
  8: 'C',
  9: 'VA',
  16: 'kPa',
  17: 'psi',
  18: 'RPM',
  19: 'Hz',
  20: 'us',
  21: 'ms',
  22: 's',
  23: 'min',
  24: 'h',
  25: 'd',
  31: 'CFM',
  32: 'l',
  38: 'g',
  70: 'bit',
  72: 'B',
  84: 'dB',
  87: 'errors',
  88: 'errors',
};

const LINEAR: readonly ((x: number) => number)[] = [
  (x) => x,
  Math.log,
  Math.log10,
  Math.log2,
  Math.exp,
  (x) => 10 ** x,
  (x) => 2 ** x,
  (x) => 1 / x,
  (x) => x * x,
  (x) => x ** 3,
  Math.sqrt,
  Math.cbrt,
];

/** y = L[(M x + B 10^k1) 10^k2] (section 36.3). */
function conversion(body: Buffer): ((raw: number) => number) | undefined {
  const format = body[15]! >> 6;
  const linear = LINEAR[body[18]! & 0x7f];
  if (format === 3 || !linear) return undefined;
  const m = signed(body[19]! | ((body[20]! & 0xc0) << 2), 10);
  const b = signed(body[21]! | ((body[22]! & 0xc0) << 2), 10);
  const resultExponent = signed(body[24]! >> 4, 4);
  const bExponent = signed(body[24]! & 0x0f, 4);
  return (raw) => {
    const x = format === 0 ? raw : format === 2 ? signed(raw, 8) : raw & 0x80 ? -(~raw & 0xff) : raw;
    const value = linear((m * x + b * 10 ** bExponent) * 10 ** resultExponent);
    return Number.isFinite(value) ? Number(value.toPrecision(6)) : value;
  };
}

/** The sensor of a record, or undefined for records of other types and for truncated ones. */
export function parseSensorRecord(record: SdrRecord): SensorRecord | undefined {
  const { type, body } = record;
  const nameAt = type === 1 ? 42 : type === 2 ? 26 : -1;
  if (nameAt < 0 || body.length <= nameAt) return undefined;
  const base = body[16]!;
  const unitBits = body[15]!;
  const name = UNITS[base] ?? (base ? `unit ${base}` : '');
  return {
    recordId: record.id,
    name: sdrString(body, nameAt),
    owner: body[0]!,
    lun: body[1]! & 3,
    number: body[2]!,
    entity: body[3]!,
    instance: body[4]! & 0x7f,
    sensorType: body[7]!,
    eventType: body[8]! & 0x7f,
    unit: unitBits & 1 ? '%' : name,
    convert: type === 1 ? conversion(body) : undefined,
  };
}

/** All sensors of a record: a compact one may stand for up to 15 alike, numbered on (section 43.2, bytes 24 and 25). */
export function parseSensorRecords(record: SdrRecord): SensorRecord[] {
  const first = parseSensorRecord(record);
  if (!first) return [];
  const { type, body } = record;
  const shared = type === 2 ? body[18]! & 0x0f : 0;
  if (shared <= 1) return [first];
  const letters = (body[18]! & 0x30) === 0x10;
  const offset = body[19]! & 0x7f;
  return Array.from({ length: shared }, (_, place) => ({
    ...first,
    number: (first.number + place) & 0xff,
    instance: body[19]! & 0x80 ? (first.instance + place) & 0x7f : first.instance,
    name: `${first.name}${letters ? String.fromCharCode(0x41 + ((offset + place) % 26)) : offset + place}`,
  }));
}

export interface FruLocator {
  name: string;
  /** FRU device id behind the BMC, for `readFru`. */
  device: number;
  /** Table 43-13: 3 processor, 7 system board, 8 memory module, 10 power supply, ... */
  entity: number;
  instance: number;
}

const FRU_LOCATOR = 0x11;
const BMC_ADDRESS = 0x20;

/** A FRU device that the BMC itself keeps (section 43.8); undefined for other records and for EEPROMs behind other controllers. */
export function parseFruLocator(record: SdrRecord): FruLocator | undefined {
  const { type, body } = record;
  if (type !== FRU_LOCATOR || body.length < 11 || body[0] !== BMC_ADDRESS || !(body[2]! & 0x80)) return undefined;
  return { name: sdrString(body, 10), device: body[1]!, entity: body[7]!, instance: body[8]! };
}
