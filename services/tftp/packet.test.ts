import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { negotiate } from './negotiation.ts';
import { seeded } from './network.fixture.ts';
import { readPacket, writeAck, writeError, writeOptionAck, writeRequest } from './packet.ts';

const FOLDER = new URL('../../test/captures/tftp/', import.meta.url);
interface Stored {
  readonly packets: readonly {
    readonly payload: string;
    readonly sport: number;
    readonly dport: number;
    readonly tftp?: unknown;
  }[];
}

const captures = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .sort()
  .map((file) => ({
    name: file.replace('.json', ''),
    packets: (JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Stored).packets
      .filter(({ tftp }) => tftp !== undefined)
      .map(({ payload, sport, dport }) => ({ sport, dport, bytes: new Uint8Array(Buffer.from(payload, 'hex')) })),
  }));
const packets = captures.flatMap((capture) => capture.packets);

function describePacket(bytes: Uint8Array): string {
  const read = readPacket(bytes);
  if (!read.ok) return `refused: ${read.reason}`;
  const { packet } = read;
  if (packet.kind === 'data') return `data ${packet.block} ${packet.data.length} bytes`;
  if (packet.kind === 'ack') return `ack ${packet.block}`;
  if (packet.kind === 'error') return `error ${packet.code} "${packet.message}"`;
  const options = [...packet.options].map(([name, value]) => `${name}=${value}`).join(' ');
  return packet.kind === 'option-ack'
    ? `option-ack ${options}`
    : `${packet.kind} "${packet.path}" ${packet.mode} ${options}`.trimEnd();
}

const request = (text: string): Uint8Array => new Uint8Array(Buffer.from(`\0\x01${text}`, 'latin1'));

describe('captured packets', () => {
  it.each(captures)('$name reads as its golden says', ({ name, packets }) => {
    const text = `${packets.map(({ sport, dport, bytes }) => `${sport} > ${dport} ${describePacket(bytes)}`).join('\n')}\n`;
    const golden = new URL(`${name}.golden.txt`, FOLDER);
    if (process.env.UPDATE_GOLDEN) writeFileSync(golden, text);
    expect(text).toBe(readFileSync(golden, 'utf8'));
    expect(packets.length).toBeGreaterThan(8);
  });

  it('are written again as they were read', () => {
    for (const { bytes } of packets) {
      const read = readPacket(bytes);
      if (!read.ok) throw new Error(read.reason);
      const { packet } = read;
      const again =
        packet.kind === 'read' || packet.kind === 'write'
          ? writeRequest(packet)
          : packet.kind === 'ack'
            ? writeAck(packet.block)
            : packet.kind === 'error'
              ? writeError(packet.code, packet.message)
              : packet.kind === 'option-ack'
                ? writeOptionAck(packet.options)
                : bytes;
      // Some clients pad their ACKs.
      expect(Buffer.from(bytes).subarray(0, again.length).equals(Buffer.from(again))).toBe(true);
    }
  });

  it('may be cut at every byte and mutated 10,000 times', () => {
    for (const { bytes } of packets)
      for (let length = 0; length < bytes.length; length++) readPacket(bytes.subarray(0, length));
    const random = seeded(4);
    for (let round = 0; round < 10_000; round++) {
      const bytes = packets[Math.floor(random() * packets.length)]!.bytes.slice();
      for (let i = 0; i < 4; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      const read = readPacket(bytes);
      if (read.ok && read.packet.kind === 'read') negotiate(read.packet.options, 1000);
    }
  });
});

describe('requests', () => {
  it('are read in any case, with the first of repeated options', () => {
    expect(describePacket(request('a/B\0OcTeT\0BLKSIZE\x001400\0blksize\x008\0'))).toBe(
      'read "a/B" octet blksize=1400',
    );
  });

  it('do without a last NUL and with half an option', () => {
    expect(describePacket(request('a\0octet'))).toBe('read "a" octet');
    expect(describePacket(request('a\0octet\0tsize\0'))).toBe('read "a" octet');
  });

  it('are refused without name or mode, and when they are too much', () => {
    expect(describePacket(request('a\0'))).toContain('without file name and mode');
    expect(describePacket(request('\0octet\0'))).toContain('empty file name');
    expect(describePacket(request(`${'a'.repeat(3000)}\0octet\0`))).toContain('at most 2048');
    expect(describePacket(request(`a\0octet\0${'b\x001\0'.repeat(40)}`))).toContain('more than 32 options');
    expect(describePacket(Uint8Array.of(0, 9, 0, 0))).toContain('opcode 9');
    expect(describePacket(Uint8Array.of(0))).toContain('1 bytes');
  });
});

describe('negotiation', () => {
  const agree = (options: Record<string, string>) => negotiate(new Map(Object.entries(options)), 850_528);

  it('accepts what OVMF asks, both times', () => {
    expect(agree({ tsize: '0', blksize: '1468', windowsize: '4' })).toEqual({
      blockSize: 1468,
      windowSize: 4,
      timeoutMs: undefined,
      asksSize: true,
      accepted: [
        ['tsize', '850528'],
        ['blksize', '1468'],
        ['windowsize', '4'],
      ],
    });
    expect(agree({ blksize: '1468', windowsize: '4' }).asksSize).toBe(false);
  });

  it('lowers, leaves out what is nonsense or unknown, and falls back to 512 and lock-step', () => {
    expect(agree({ blksize: '65464', windowsize: '1000' })).toMatchObject({ blockSize: 1468, windowSize: 64 });
    const nonsense = { blksize: '7', windowsize: '0', timeout: '256', multicast: '', constructor: '1', tsize: 'x' };
    expect(agree(nonsense)).toEqual({
      blockSize: 512,
      windowSize: 1,
      timeoutMs: undefined,
      asksSize: false,
      accepted: [],
    });
    expect(agree({ timeout: '3' })).toMatchObject({ timeoutMs: 3000, accepted: [['timeout', '3']] });
  });
});
