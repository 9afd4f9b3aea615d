/**
 * The lab's bridge as the switch that it stands for: on each node's tap it says which port of which switch that is (LLDP, IEEE 802.1AB),
 * as a rack's switches do. So a machine that is discovered tells where it hangs.
 */
import { closeSync } from 'node:fs';
import { packetSocket, packetSocketMac, sendFrame } from '../core/packet-socket.ts';
import { provisioningInterface } from './layout.ts';
import { tapName } from './network.ts';
import { reason } from './thrown.ts';

export interface SwitchPort {
  /** Six bytes: the chassis, and whom the frame comes from. */
  readonly mac: Uint8Array;
  readonly port: string;
  readonly description: string;
  readonly system: string;
}

/** Table 7-1: the nearest bridge's address, which bridges do not pass on. */
const nearestBridge = Buffer.from('0180c200000e', 'hex');
const ETHERTYPE_LLDP = Buffer.from('88cc', 'hex');
const TTL_SECONDS = 120;
/** A switch says it every 30 s (msgTxInterval); a lab's machines boot faster, and shall not wait. */
const spokenEveryMs = 2_000;

function tlv(type: number, ...value: Uint8Array[]): Buffer {
  const bytes = Buffer.concat(value);
  const head = Buffer.alloc(2);
  head.writeUInt16BE((type << 9) | bytes.length);
  return Buffer.concat([head, bytes]);
}

/** A whole Ethernet frame: chassis by MAC (subtype 4), port by its interface's name (5), time to live, description, system (section 8.5). */
export const lldpFrame = ({ mac, port, description, system }: SwitchPort): Buffer =>
  Buffer.concat([
    ...[nearestBridge, mac, ETHERTYPE_LLDP],
    tlv(1, Buffer.of(4), mac),
    tlv(2, Buffer.of(5), Buffer.from(port)),
    tlv(3, Buffer.of(0, TTL_SECONDS)),
    tlv(4, Buffer.from(description)),
    tlv(5, Buffer.from(system)),
    tlv(0),
  ]);

export interface Speaking {
  /** Speaks on the taps of these nodes too. */
  speakTo(nodes: readonly { readonly index: number; readonly name: string }[]): void;
  stop(): void;
}

/** Has to run within the lab's namespace, as root. A tap whose machine is off takes no frame, and nobody misses it. */
export function speakLldp(log: (line: string) => void, everyMs = spokenEveryMs): Speaking {
  const ports = new Map<number, { readonly fd: number; readonly frame: Buffer }>();
  const timer = setInterval(() => {
    for (const { fd, frame } of ports.values()) sendFrame(fd, frame);
  }, everyMs);
  timer.unref();
  return {
    speakTo(nodes) {
      try {
        const bridge = packetSocket(provisioningInterface);
        const mac = packetSocketMac(bridge);
        closeSync(bridge);
        for (const { index, name } of nodes) {
          if (ports.has(index)) continue;
          const frame = lldpFrame({ mac, port: tapName(index), description: name, system: 'lab' });
          ports.set(index, { fd: packetSocket(tapName(index)), frame });
        }
      } catch (thrown) {
        // The machines are what a lab is for: they run without a switch that speaks.
        log(`the bridge speaks no LLDP: ${reason(thrown)}`);
      }
    },
    stop() {
      clearInterval(timer);
      for (const { fd } of ports.values()) closeSync(fd);
      ports.clear();
    },
  };
}
