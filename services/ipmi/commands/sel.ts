// The system event log (IPMI 2.0 chapter 31, records section 32).

import { IpmiError } from '../errors.ts';
import { type Ask, atLeast, ipmiTime } from './ask.ts';

export interface SelInfo {
  entries: number;
  /** Bytes left; 0xffff means "that or more". */
  free: number;
  lastAdd: Date | undefined;
  lastErase: Date | undefined;
  overflow: boolean;
}

export interface SelEntry {
  id: number;
  /** 2 is a system event; 0xc0 to 0xff are the vendor's. */
  type: number;
  /** Undefined for an entry without time, or from before the BMC's clock was set. */
  time: Date | undefined;
  generator: number;
  sensorType: number;
  sensorNumber: number;
  eventType: number;
  /** The event went away, rather than came. */
  deasserted: boolean;
  /** Event data, three bytes. */
  data: [number, number, number];
  /** The 16 bytes in hex. */
  raw: string;
}

const MOST_ENTRIES = 65_535;

export async function selInfo(ask: Ask): Promise<SelInfo> {
  const data = atLeast(await ask(0x0a, 0x40), 14, 'Get SEL Info');
  return {
    entries: data.readUInt16LE(1),
    free: data.readUInt16LE(3),
    lastAdd: ipmiTime(data.readUInt32LE(5)),
    lastErase: ipmiTime(data.readUInt32LE(9)),
    overflow: (data[13]! & 0x80) !== 0,
  };
}

export function parseSelEntry(bytes: Buffer): SelEntry {
  atLeast(bytes, 16, 'Get SEL Entry');
  const type = bytes[2]!;
  // OEM records without time (0xe0 and up) have other fields where the time would be.
  return {
    id: bytes.readUInt16LE(0),
    type,
    time: type < 0xe0 ? ipmiTime(bytes.readUInt32LE(3)) : undefined,
    generator: bytes.readUInt16LE(7),
    sensorType: bytes[10]!,
    sensorNumber: bytes[11]!,
    eventType: bytes[12]! & 0x7f,
    deasserted: (bytes[12]! & 0x80) !== 0,
    data: [bytes[13]!, bytes[14]!, bytes[15]!],
    raw: bytes.toString('hex', 0, 16),
  };
}

/** Entries from `first` (0: the oldest) on, at most `limit`. Entries added meanwhile are read too. */
export async function readSel(ask: Ask, first = 0, limit = MOST_ENTRIES): Promise<SelEntry[]> {
  const entries: SelEntry[] = [];
  const seen = new Set<number>();
  for (let id = first; id !== 0xffff && entries.length < limit; ) {
    if (seen.has(id))
      throw new IpmiError('bad-response', `the log comes back to entry ${id}`, { step: 'Get SEL Entry' });
    seen.add(id);
    const answer = await ask(0x0a, 0x43, [0, 0, id & 0xff, id >> 8, 0, 0xff], { accept: [0xcb] });
    if (answer[0] === 0xcb) break;
    atLeast(answer, 19, 'Get SEL Entry');
    entries.push(parseSelEntry(answer.subarray(3, 19)));
    id = answer.readUInt16LE(1);
  }
  return entries;
}

/** Clears the log and waits until the BMC says that the erasure is complete. */
export async function clearSel(ask: Ask): Promise<void> {
  const reservation = atLeast(await ask(0x0a, 0x42), 2, 'Reserve SEL');
  const clear = (action: number) => ask(0x0a, 0x47, [reservation[0]!, reservation[1]!, 0x43, 0x4c, 0x52, action]);
  let state = atLeast(await clear(0xaa), 1, 'Clear SEL')[0]! & 0x0f;
  // Each question is a round trip, and the caller's deadline bounds them all.
  for (let asked = 0; state !== 1 && asked < 200; asked++)
    state = atLeast(await clear(0x00), 1, 'Clear SEL')[0]! & 0x0f;
  if (state !== 1) throw new IpmiError('bad-response', 'the erasure never completes', { step: 'Clear SEL' });
}

/** The log's clock; undefined while it only counts from the BMC's start. */
export async function selTime(ask: Ask): Promise<Date | undefined> {
  return ipmiTime(atLeast(await ask(0x0a, 0x48), 4, 'Get SEL Time').readUInt32LE(0));
}

export async function setSelTime(ask: Ask, time: Date): Promise<void> {
  const seconds = Math.floor(time.getTime() / 1000);
  if (!(seconds > 0 && seconds < 0xffffffff))
    throw new IpmiError('bad-argument', 'the time does not fit into 32 bits of seconds since 1970');
  const data = Buffer.alloc(4);
  data.writeUInt32LE(seconds);
  await ask(0x0a, 0x49, data);
}
