// Hostile bytes for tests and benches: captures of real traffic, ways to harm them, and every decoder that reads what comes in.

import { readdirSync, readFileSync } from 'node:fs';
import { parseFru } from './commands/fru.ts';
import { parseSensorRecords } from './commands/sdr.ts';
import {
  decodeOpenRequest,
  decodeOpenResponse,
  decodeRakp1,
  decodeRakp2,
  decodeRakp3,
  decodeRakp4,
} from './handshake.ts';
import { decodeRequest, decodeResponse } from './message.ts';
import { decodePacket } from './rmcp.ts';
import { decodeSol, SolEnd } from './sol.ts';
import { parseCipherSuites } from './suites.ts';

const room = new URL('../../test/captures/ipmi/', import.meta.url);

export const capturedPackets = (): Buffer[] =>
  readdirSync(room)
    .filter((name) => !name.startsWith('derived-'))
    .flatMap(
      (name) => (JSON.parse(readFileSync(new URL(name, room), 'utf8')) as { packets: { payload: string }[] }).packets,
    )
    .map((packet) => Buffer.from(packet.payload, 'hex'));

/** One of: bits flipped, cut short, made longer, a piece replaced by noise, a length byte made extreme. */
export function mutate(bytes: Buffer, random: () => number): Buffer {
  const out = Buffer.from(bytes);
  const place = () => Math.floor(random() * out.length);
  switch (Math.floor(random() * 5)) {
    case 0:
      for (let i = 0; i <= random() * 4; i++) out[place()]! ^= 1 << Math.floor(random() * 8);
      return out;
    case 1:
      return out.subarray(0, place());
    case 2:
      return Buffer.concat([out, Buffer.alloc(1 + Math.floor(random() * 64), Math.floor(random() * 256))]);
    case 3:
      for (let at = place(), left = random() * 16; at < out.length && left > 0; at++, left--) out[at] = random() * 256;
      return out;
    default:
      out[place()] = random() < 0.5 ? 0xff : 0x00;
      return out;
  }
}

/** Nothing that it calls may throw, whatever the bytes; `turn` varies what they are taken for. */
export function decodeEverything(bytes: Buffer, turn: number): void {
  const packet = decodePacket(bytes);
  const payload = packet && (packet.kind === 'lan15' || packet.kind === 'rmcpp') ? packet.payload : bytes;
  for (const decode of [decodeOpenRequest, decodeOpenResponse, decodeRakp1, decodeRakp2, decodeRakp3, decodeRakp4])
    decode(payload);
  decodeRequest(payload);
  decodeResponse(payload);
  decodeSol(payload);
  new SolEnd('console', 100).receive(payload);
  parseCipherSuites(payload);
  parseFru(payload);
  parseFru(Buffer.concat([Buffer.from([1, 0, 1, 2, 3, 0, 0, 0xf9]), payload]));
  for (const record of parseSensorRecords({ id: 1, type: 1 + (turn % 2), body: payload }))
    record.convert?.(turn & 0xff);
}
