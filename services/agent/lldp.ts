/**
 * What the switches say of themselves (LLDP, IEEE 802.1AB): one frame of each port that is heard within a time, as
 * ironic-python-agent reports it: pairs of TLV type and value in hex. The frame is taken by tcpdump, which the hardware
 * profile of the ramdisk has (in the lab's it would cost 3 MB, and a bridge speaks no LLDP); the reading is pure.
 */
import { spawn } from 'node:child_process';
import { findTool, runTool } from './tool.ts';

/** Type, and the value in hex. */
export type LldpTlv = readonly [type: number, value: string];

const ETHERTYPE_LLDP = 0x88cc;
const ETHERTYPE_VLAN = 0x8100;
const mostTlvs = 128;

/** The TLVs of an Ethernet frame; null where it is no LLDP. Cut off, it gives what is whole. */
export function readLldp(frame: Buffer): LldpTlv[] | null {
  if (frame.length < 16) return null;
  const isTagged = frame.readUInt16BE(12) === ETHERTYPE_VLAN;
  const at = isTagged ? 18 : 14;
  if (frame.length < at || frame.readUInt16BE(at - 2) !== ETHERTYPE_LLDP) return null;
  const tlvs: LldpTlv[] = [];
  for (let i = at; i + 2 <= frame.length && tlvs.length < mostTlvs; ) {
    const head = frame.readUInt16BE(i);
    const type = head >> 9;
    const length = head & 0x1ff;
    // End of LLDPDU.
    if (type === 0 || i + 2 + length > frame.length) break;
    tlvs.push([type, frame.subarray(i + 2, i + 2 + length).toString('hex')]);
    i += 2 + length;
  }
  return tlvs;
}

/** The first frame of a pcap file in either byte order; null where there is none. */
export function firstFrame(pcap: Buffer): Buffer | null {
  if (pcap.length < 40) return null;
  const isLittle = pcap[0] === 0xd4 || pcap[0] === 0x4d;
  const length = isLittle ? pcap.readUInt32LE(32) : pcap.readUInt32BE(32);
  return pcap.length >= 40 + length ? pcap.subarray(40, 40 + length) : null;
}

async function listen(program: string, device: string, ms: number): Promise<LldpTlv[] | null> {
  // A card that init did not choose is down, and then nothing comes in.
  await runTool('ip', ['link', 'set', device, 'up']).catch(() => '');
  const filter = ['-i', device, '-n', '-U', '-c', '1', '-s', '1600', '-Z', 'root', '-w', '-'];
  const child = spawn(program, [...filter, 'ether', 'proto', '0x88cc'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  await new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('close', () => resolve());
  });
  clearTimeout(timer);
  const frame = firstFrame(Buffer.concat(parts));
  return frame && readLldp(frame);
}

/** By interface, all at once; those that heard nothing are left out. */
export async function neighboursOf(devices: readonly string[], seconds: number): Promise<Map<string, LldpTlv[]>> {
  const found = new Map<string, LldpTlv[]>();
  const program = await findTool('tcpdump');
  if (!program || seconds <= 0) return found;
  await Promise.all(
    devices.map(async (device) => {
      const tlvs = await listen(program, device, seconds * 1000);
      if (tlvs && tlvs.length > 0) found.set(device, tlvs);
    }),
  );
  return found;
}
