/**
 * What the switches say of themselves (LLDP, IEEE 802.1AB): one frame of each port that is heard within a time, as
 * ironic-python-agent reports it: pairs of TLV type and value in hex.
 *
 * Node opens no packet socket, and tcpdump would cost the ramdisk 3 MB. Linux’s macvtap needs neither: a second card on top of the
 * first, whose frames are read from a character device as from a file, while the first goes on with its own.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf } from './failure.ts';
import { runTool } from './tool.ts';

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

/** struct virtio_net_hdr (linux/virtio_net.h): what macvtap puts before each frame. */
const VIRTIO_HEADER = 10;
const mostBytes = 2048;
const lookEveryMs = 50;

/** What lies in the tap by now: the first LLDP frame of it, null where there is none. */
function lookInto(fd: number, buffer: Buffer): LldpTlv[] | null {
  for (;;) {
    let length: number;
    try {
      length = readSync(fd, buffer);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
      throw error;
    }
    const tlvs = readLldp(buffer.subarray(VIRTIO_HEADER, length));
    if (tlvs && tlvs.length > 0) return tlvs;
  }
}

async function listen(device: string, tap: string, ms: number): Promise<LldpTlv[] | null> {
  // A card that init did not choose is down, and then nothing comes in.
  await runTool('ip', ['link', 'set', device, 'up']);
  await runTool('ip', ['link', 'add', 'link', device, 'name', tap, 'type', 'macvtap']);
  try {
    // It has a MAC of its own, and a switch that allows one to a port would shut the port if it spoke: no IPv6, so it is mute.
    await writeFile(`/proc/sys/net/ipv6/conf/${tap}/disable_ipv6`, '1').catch(() => {});
    // Promiscuous, since 01:80:c2:00:00:0e is a group that it has not joined.
    await runTool('ip', ['link', 'set', tap, 'promisc', 'on']);
    await runTool('ip', ['link', 'set', tap, 'up']);
    const index = (await readFile(`/sys/class/net/${tap}/ifindex`, 'utf8')).trim();
    const fd = openSync(`/dev/tap${index}`, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const buffer = Buffer.alloc(mostBytes);
      for (const until = performance.now() + ms; performance.now() < until; await delay(lookEveryMs)) {
        const tlvs = lookInto(fd, buffer);
        if (tlvs) return tlvs;
      }
      return null;
    } finally {
      closeSync(fd);
    }
  } finally {
    await runTool('ip', ['link', 'del', tap]).catch(() => '');
  }
}

/** By interface, all at once; those that heard nothing are left out, and `log` is told of those that cannot be listened to. */
export async function neighboursOf(
  devices: readonly string[],
  seconds: number,
  log: (line: string) => void,
): Promise<Map<string, LldpTlv[]>> {
  const found = new Map<string, LldpTlv[]>();
  if (seconds <= 0) return found;
  // Where it is part of the kernel there is no such module, and `ip link add` says whether it is there.
  await runTool('modprobe', ['-q', 'macvtap']).catch(() => '');
  await Promise.all(
    devices.map(async (device, i) => {
      const tlvs = await listen(device, `lldp${i}`, seconds * 1000).catch((error: unknown) => {
        log(`the switch at ${device} cannot be listened to: ${reasonOf(error)}`);
        return null;
      });
      if (tlvs) found.set(device, tlvs);
    }),
  );
  return found;
}
