/**
 * The provisioning wire, as frames: one packet socket, read in turns, for the watch (DHCP answers of others) and for
 * captures (all that one machine says and hears). With nobody capturing the kernel hands up DHCP answers alone.
 */
import type { Clock } from '../core/clock.ts';
import { type Frame, filterPackets, packetSocketMac, receiveFrame, sendFrame } from '../core/packet-socket.ts';
import { frameFilter, mostCaptured } from './frame.ts';
import { snapLength } from './pcap.ts';

export interface Wire {
  /** Bytes of our own MAC there. */
  readonly mac: Uint8Array;
  send(frame: Uint8Array): string | null;
  /** Hears every DHCP answer (UDP to port 68) and every ARP answer on the wire. Returns the way out. */
  onAnswer(listener: (frame: Frame) => void): () => void;
  /** Hears every frame from and to these MACs, and every DHCP answer. Null when too many are captured already. */
  capture(macs: readonly string[], listener: (frame: Frame, at: number) => void): (() => void) | null;
  stop(): void;
}

/** Ten system calls a second while nothing is captured. */
const lookMs = 100;
/** A ramdisk of 50 MB comes in 35,000 frames within a second or so; the socket holds 4 MB of them. */
const captureLookMs = 4;
const mostAtOnce = 4000;

export function openWire(fd: number, clock: Clock, onTrouble: (text: string) => void): Wire {
  const answers = new Set<(frame: Frame) => void>();
  const captures = new Map<(frame: Frame, at: number) => void, readonly string[]>();
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    for (let i = 0; i < mostAtOnce; i += 1) {
      const frame = receiveFrame(fd, snapLength + 1024);
      if (!frame) return;
      const at = clock.now();
      for (const listener of captures.keys()) listener(frame, at);
      if (!frame.isOutgoing) for (const listener of answers) listener(frame);
    }
  }

  function arrange(): void {
    clearInterval(timer);
    try {
      filterPackets(fd, frameFilter([...new Set([...captures.values()].flat())]));
    } catch (error) {
      onTrouble(error instanceof Error ? error.message : String(error));
    }
    timer = setInterval(look, captures.size > 0 ? captureLookMs : lookMs);
    timer.unref();
  }

  arrange();
  return {
    mac: packetSocketMac(fd),
    send: (frame) => sendFrame(fd, frame),
    onAnswer(listener) {
      answers.add(listener);
      return () => answers.delete(listener);
    },
    capture(macs, listener) {
      const all = new Set([...captures.values(), macs].flat());
      if (all.size > mostCaptured) return null;
      captures.set(listener, macs);
      arrange();
      return () => {
        look();
        captures.delete(listener);
        arrange();
      };
    },
    stop() {
      clearInterval(timer);
      filterPackets(fd, [[0x06, 0, 0, 0]]);
      answers.clear();
      captures.clear();
    },
  };
}
