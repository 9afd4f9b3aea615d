/** Router advertisements over the raw socket that was handed in: without them every iPXE stage waits 16.1 s for IPv6. */
import type { Clock } from '../core/clock.ts';
import { receiveIcmpv6, sendIcmpv6 } from '../core/sockets.ts';
import { advertise } from '../dhcp/index.ts';

export interface AdvertiserDeps {
  readonly fd: number;
  readonly clock: Clock;
  readonly onAnswered: (from: string, mac: string | null) => void;
  readonly onTrouble: (text: string) => void;
}

/**
 * Node's event loop takes no raw sockets, so solicitations are looked for this often: 20 short system calls a second, and
 * firmware waits a twentieth of a second at most.
 */
const lookEveryMs = 50;
const mostAtOnce = 100;

export function startAdvertiser({ fd, clock, onAnswered, onTrouble }: AdvertiserDeps): () => void {
  const told = new Set<string>();
  const trouble = (text: string) => {
    if (told.has(text)) return;
    told.add(text);
    onTrouble(text);
  };
  const advertising = advertise({
    send(bytes, destination) {
      const error = sendIcmpv6(fd, bytes, destination);
      // Until duplicate address detection has passed, the interface has no address to send from.
      if (error !== null && error !== 'EADDRNOTAVAIL' && error !== 'EAGAIN')
        trouble(`router advertisements cannot be sent (${error}): iPXE will wait 16 s in each stage`);
    },
    schedule: (ms, then) => clock.after(ms, then),
    now: () => clock.now(),
    onSolicited: (from, mac) => onAnswered(from, mac ?? macOf(from)),
  });
  const looking = setInterval(() => {
    try {
      for (let i = 0; i < mostAtOnce; i += 1) {
        const message = receiveIcmpv6(fd);
        if (!message) return;
        advertising.receive(message.bytes, message.from);
      }
    } catch (error) {
      trouble(error instanceof Error ? error.message : String(error));
    }
  }, lookEveryMs);
  looking.unref();
  return () => {
    clearInterval(looking);
    advertising.stop();
  };
}

/** Firmware makes its link-local address of its MAC (RFC 4291 appendix A: EUI-64); null for other addresses. */
export function macOf(address: string): string | null {
  const groups = address.split(':').map((group) => Number.parseInt(group, 16));
  const bytes = groups.slice(4).flatMap((group) => [group >> 8, group & 255]);
  const [first = 0, second, third, ff, fe, ...rest] = bytes;
  if (groups.length !== 8 || ff !== 0xff || fe !== 0xfe || second === undefined || third === undefined) return null;
  return [first ^ 2, second, third, ...rest].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
