// Field replaceable unit data (IPMI Platform Management FRU Information Storage Definition 1.0): who made the machine, and its serial numbers.

import { IpmiError } from '../errors.ts';
import { type Ask, atLeast, inRange } from './ask.ts';
import { bcdPlus, sixBit } from './sdr.ts';

export interface FruArea {
  /** Fields in the order of the specification; empty ones are left out. */
  [field: string]: string | string[] | undefined;
  /** Fields of the vendor's own behind the named ones. */
  extra?: string[];
}

export interface Fru {
  chassis?: FruArea;
  board?: FruArea;
  product?: FruArea;
  /** What could not be read, in words: a broken area does not hide the good ones. */
  faults: string[];
}

const SMALLER = [0xc7, 0xc8, 0xca, 0xff] as const;

/** Reads the FRU device whole. `piece`: bytes a request to begin with. Rejects with completion code 0xcb where there is none. */
export async function readFru(ask: Ask, device = 0, piece = 64): Promise<Buffer> {
  inRange(device, 0, 255, 'FRU device');
  const info = atLeast(await ask(0x0a, 0x10, [device]), 3, 'Get FRU Inventory Area Info');
  const size = info.readUInt16LE(0);
  const words = (info[2]! & 1) !== 0;
  const parts: Buffer[] = [];
  let step = words ? piece & ~1 : piece;
  for (let at = 0; at < size; ) {
    const want = Math.min(step, size - at);
    const offset = words ? at >> 1 : at;
    const count = words ? Math.max(1, want >> 1) : want;
    const answer = await ask(0x0a, 0x11, [device, offset & 0xff, offset >> 8, count], { accept: SMALLER });
    if (answer[0] !== 0) {
      if (step <= 8)
        throw new IpmiError('bad-response', `byte ${at} of ${size} cannot be read`, { step: 'Read FRU Data' });
      step = Math.max(8, (step >> 1) & ~1);
      continue;
    }
    const data = answer.subarray(2, 2 + want);
    if (data.length === 0)
      throw new IpmiError('bad-response', `no data at byte ${at} of ${size}`, { step: 'Read FRU Data' });
    parts.push(data);
    at += data.length;
  }
  return Buffer.concat(parts);
}

const CHASSIS = ['part', 'serial'];
const BOARD = ['manufacturer', 'product', 'serial', 'part', 'fruFile'];
const PRODUCT = ['manufacturer', 'product', 'part', 'version', 'serial', 'asset', 'fruFile'];

/** Understands the bytes of `readFru`. Never throws: truncated or wrong data end in `faults`. */
export function parseFru(bytes: Buffer): Fru {
  const fru: Fru = { faults: [] };
  if (bytes.length < 8 || (bytes[0]! & 0x0f) !== 1) {
    fru.faults.push('the common header is missing');
    return fru;
  }
  if (sum(bytes.subarray(0, 8)) !== 0) fru.faults.push('the common header has a wrong checksum');
  const areas = [
    ['chassis', bytes[2]!, 3, CHASSIS],
    ['board', bytes[3]!, 6, BOARD],
    ['product', bytes[4]!, 3, PRODUCT],
  ] as const;
  for (const [name, offset, fieldsAt, fields] of areas) {
    if (offset === 0) continue;
    const start = offset * 8;
    const length = (bytes[start + 1] ?? 0) * 8;
    const area = bytes.subarray(start, start + length);
    if (length < 8 || area.length < length) {
      fru.faults.push(`the ${name} area is cut off`);
      continue;
    }
    if (sum(area) !== 0) fru.faults.push(`the ${name} area has a wrong checksum`);
    const parsed = parseFields(area, fieldsAt, fields);
    if (name === 'board') {
      // Minutes since 1996-01-01 UTC; 0 is "not told".
      const minutes = area.readUIntLE(3, 3);
      if (minutes) parsed.made = new Date(Date.UTC(1996, 0, 1) + minutes * 60_000).toISOString();
    }
    fru[name] = parsed;
  }
  return fru;
}

function parseFields(area: Buffer, at: number, names: readonly string[]): FruArea {
  const out: FruArea = {};
  const extra: string[] = [];
  let field = 0;
  // The last byte is the checksum; 0xc1 ends the fields.
  for (let i = at; i < area.length - 1 && area[i] !== 0xc1; field++) {
    const code = area[i]!;
    const raw = area.subarray(i + 1, Math.min(i + 1 + (code & 0x3f), area.length - 1));
    const value = fieldText(code >> 6, raw);
    const name = names[field];
    if (value) {
      if (name) out[name] = value;
      else extra.push(value);
    }
    i += 1 + (code & 0x3f);
  }
  if (extra.length) out.extra = extra;
  return out;
}

function fieldText(kind: number, raw: Buffer): string {
  if (kind === 3) return raw.toString('latin1').replace(/\0+$/, '').trim();
  if (kind === 2) return sixBit(raw);
  if (kind === 1) return bcdPlus(raw);
  return raw.toString('hex');
}

function sum(bytes: Buffer): number {
  let total = 0;
  for (const byte of bytes) total += byte;
  return total & 0xff;
}
