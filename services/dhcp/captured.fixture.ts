import { readdirSync, readFileSync } from 'node:fs';

/** The captures of test/captures/dhcp: what real firmware and clients sent, and what dnsmasq 2.90 answered. */
export interface CapturedPacket {
  readonly n: number;
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  readonly bytes: Uint8Array;
  readonly light: {
    readonly type: string;
    readonly yiaddr: string;
    readonly chaddr: string;
    readonly siaddr: string;
    readonly length: number;
  };
}

export interface Capture {
  readonly name: string;
  readonly packets: readonly CapturedPacket[];
}

export const CAPTURES_FOLDER = new URL('../../test/captures/dhcp/', import.meta.url);

interface Stored {
  readonly packets: readonly (Omit<CapturedPacket, 'bytes' | 'light'> & {
    readonly payload: string;
    readonly dhcp?: CapturedPacket['light'];
  })[];
}

export function captures(): Capture[] {
  return readdirSync(CAPTURES_FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => {
      const stored = JSON.parse(readFileSync(new URL(file, CAPTURES_FOLDER), 'utf8')) as Stored;
      const packets = stored.packets.flatMap((packet) =>
        packet.dhcp
          ? [{ ...packet, bytes: new Uint8Array(Buffer.from(packet.payload, 'hex')), light: packet.dhcp }]
          : [],
      );
      return { name: file.replace(/\.json$/, ''), packets };
    });
}

/** A small seeded generator (mulberry32), so that a failing run can be had again. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
