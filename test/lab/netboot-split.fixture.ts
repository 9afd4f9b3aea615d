/**
 * Whose the seconds of a boot were, by the packets of its wire: the time before a packet belongs to who sent it. So what a
 * server takes to answer is the server's, and what firmware takes to ask, to start or to wait is the firmware's.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { macBytes } from '../../services/boot/frame.ts';
import { enterNamespace } from '../../services/core/sockets.ts';

export interface Packet {
  /** ms since 1970. */
  readonly at: number;
  readonly isTheirs: boolean;
  readonly what: string;
}

export interface Split {
  /** Seconds from power-on to the first packet of the machine: its firmware alone. */
  readonly beforeFirst: number;
  /** From power-on to the first packet of DHCP. */
  readonly beforeDhcp: number;
  /** From the first packet of DHCP on, until the script was asked for. */
  readonly machine: number;
  readonly server: number;
  /** From power-on to the request for the script. */
  readonly script: number;
  /** Longest waits, for people. */
  readonly longest: readonly string[];
}

const MAGIC = 0xa1b2c3d4;

/** Hears a tap from now on; what resolves gives the packets of that MAC, and ends it. */
export async function hear(netns: string, tap: string, file: string): Promise<(mac: string) => Promise<Packet[]>> {
  // Immediate: else the kernel hands packets over a block at a time, and the last block is lost to the signal.
  const words = ['-i', tap, '-n', '-U', '--immediate-mode', '-s', '600', '-Z', 'root', '-w', file];
  const dump = enterNamespace(netns, () => spawn('tcpdump', words, { stdio: ['ignore', 'ignore', 'pipe'] }));
  // It says so when it listens.
  await once(dump.stderr, 'data');
  return async (mac) => {
    const ended = once(dump, 'exit');
    dump.kill();
    await ended;
    const packets = packetsOf(readFileSync(file), mac);
    rmSync(file);
    return packets;
  };
}

/** What comes from our side and answers nobody: the watch for foreign servers asks everybody, the kernel looks for neighbours. */
const noAnswers: ReadonlySet<string> = new Set(['DHCP DISCOVER', 'ARP', 'IPv6', 'other']);

/** What the machine of that MAC sent and was sent, of a pcap with microseconds in this machine's byte order. */
export function packetsOf(pcap: Buffer, mac: string): Packet[] {
  if (pcap.length < 24 || pcap.readUInt32LE(0) !== MAGIC) return [];
  const own = Buffer.from(macBytes(mac));
  const packets: Packet[] = [];
  for (let at = 24; at + 16 <= pcap.length; ) {
    const length = pcap.readUInt32LE(at + 8);
    const frame = pcap.subarray(at + 16, at + 16 + length);
    const time = pcap.readUInt32LE(at) * 1000 + pcap.readUInt32LE(at + 4) / 1000;
    at += 16 + length;
    const [isTheirs, what] = [frame.subarray(6, 12).equals(own), describe(frame)];
    if (isTheirs || !noAnswers.has(what)) packets.push({ at: time, isTheirs, what });
  }
  return packets;
}

function describe(frame: Buffer): string {
  const type = frame.readUInt16BE(12);
  if (type === 0x0806) return 'ARP';
  if (type === 0x86dd) return 'IPv6';
  if (type !== 0x0800 || frame.length < 42) return 'other';
  const payload = 14 + ((frame[14] ?? 0) & 15) * 4;
  const [from, to] = [frame.readUInt16BE(payload), frame.readUInt16BE(payload + 2)];
  if (frame[23] === 17) {
    if (to === 67 || to === 68) return dhcp(frame.subarray(payload + 8));
    return from === 69 || to === 69 ? 'TFTP request' : `UDP ${from}→${to}`;
  }
  const data = payload + (((frame[payload + 12] ?? 0) >> 4) & 15) * 4;
  const said = frame.subarray(data, data + 80).toString('latin1');
  return /^(GET|HEAD) /.test(said) ? `HTTP ${said.split('\r')[0]}` : `TCP ${from}→${to}`;
}

/** `script after 3.4 s: 3.3 before its first DHCP packet, 0.1 the machine’s since, 0.03 ours; longest: …`. */
export function splitText(split: Split | null): string {
  if (!split) return 'no script was asked for';
  const { script, beforeDhcp, machine, server, longest } = split;
  const parts = `${beforeDhcp.toFixed(2)} s before its first DHCP packet, ${machine.toFixed(2)} s the machine’s since, ${server.toFixed(2)} s ours`;
  return `script asked for ${script.toFixed(2)} s after power-on: ${parts}; longest since: ${longest.slice(0, 3).join(', ')}`;
}

const messages = ['', 'DISCOVER', 'OFFER', 'REQUEST', 'DECLINE', 'ACK', 'NAK', 'RELEASE', 'INFORM'];

function dhcp(payload: Buffer): string {
  for (let at = 240; at + 2 < payload.length && payload[at] !== 255; ) {
    if (payload[at] === 0) {
      at += 1;
      continue;
    }
    if (payload[at] === 53) return `DHCP ${messages[payload[at + 2] ?? 0] ?? '?'}`;
    at += 2 + (payload[at + 1] ?? 0);
  }
  return 'DHCP';
}

/** Null where the script was never asked for. */
export function splitOf(packets: readonly Packet[], startedAt: number): Split | null {
  const first = packets.findIndex(({ isTheirs }) => isTheirs);
  const begin = packets.findIndex(({ isTheirs, what }) => isTheirs && what.startsWith('DHCP'));
  const script = packets.findIndex(({ isTheirs, what }) => isTheirs && /GET .*script\.ipxe/.test(what));
  if (begin < 0 || script < 0) return null;
  const seconds = (index: number) => ((packets[index]?.at ?? 0) - startedAt) / 1000;
  const gaps = packets.slice(begin + 1, script + 1).map((packet, i) => {
    const before = packets[begin + i];
    return { ...packet, after: before?.what ?? '', took: (packet.at - (before?.at ?? 0)) / 1000 };
  });
  const sum = (isTheirs: boolean) => gaps.reduce((total, gap) => total + (gap.isTheirs === isTheirs ? gap.took : 0), 0);
  return {
    beforeFirst: seconds(first),
    beforeDhcp: seconds(begin),
    machine: sum(true),
    server: sum(false),
    script: seconds(script),
    longest: gaps
      .toSorted((a, b) => b.took - a.took)
      .slice(0, 5)
      .map(
        ({ took, after, what, isTheirs }) =>
          `${took.toFixed(2)} s ${isTheirs ? 'machine' : 'server'}: ${after} → ${what}`,
      ),
  };
}
