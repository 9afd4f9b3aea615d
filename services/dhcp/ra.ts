import { formatMac } from './address.ts';

/**
 * The smallest router advertisement there is (RFC 4861): no prefix, router lifetime 0. It gives nobody an address or a route; it only ends the
 * search. Without any, every iPXE stage of Debian's build polls IPv6 for 16.1 s after its DHCP ACK; with this one, 0.1 s.
 */

export const ALL_NODES = 'ff02::1';
const SOLICITATION = 133;
const ADVERTISEMENT = 134;
/** RFC 4861 section 6.2.1: MaxRtrAdvInterval's default, and MinRtrAdvInterval as a third of it. */
const INTERVAL_MS = { least: 200_000, most: 600_000 };
/** RFC 4861 section 10. */
const INITIAL = { count: 3, intervalMs: 16_000 };
/** At most so many answers a second: a flood of solicitations is not doubled. */
const ANSWERS_PER_SECOND = 50;

/** ICMPv6 bytes; the checksum is zero, since the kernel writes it on a raw ICMPv6 socket (RFC 3542 section 3.1). */
export function routerAdvertisement(sourceMac?: string): Uint8Array {
  const mac = sourceMac?.split(':').map((part) => Number.parseInt(part, 16));
  if (mac && (mac.length !== 6 || mac.some((byte) => !(byte >= 0 && byte <= 255)))) {
    throw new Error(`router advertisement: "${sourceMac}" is no MAC address; write it as 52:54:00:aa:00:01`);
  }
  const bytes = new Uint8Array(mac ? 24 : 16);
  bytes[0] = ADVERTISEMENT;
  // Hop limit for hosts to use; flags M and O stay off (M would start DHCPv6); lifetime, reachable and retransmission times stay 0: unspecified.
  bytes[4] = 64;
  // Source link-layer address, RFC 4861 section 4.6.1.
  if (mac) bytes.set([1, 1, ...mac], 16);
  return bytes;
}

export type Solicitation =
  | { readonly ok: true; readonly sourceMac: string | null }
  | { readonly ok: false; readonly reason: string };

/** ICMPv6 bytes as a raw socket delivers them: without IPv6 header, checksum checked by the kernel. Never throws. */
export function readSolicitation(bytes: Uint8Array): Solicitation {
  if (bytes.length < 8) return { ok: false, reason: `${bytes.length} bytes; a router solicitation has at least 8` };
  if (bytes[0] !== SOLICITATION || bytes[1] !== 0)
    return { ok: false, reason: `ICMPv6 type ${bytes[0]} code ${bytes[1]} is no router solicitation` };
  let sourceMac: string | null = null;
  for (let at = 8; at < bytes.length; ) {
    const length = (bytes[at + 1] ?? 0) * 8;
    // RFC 4861 section 4.6: an option of length 0 spoils the packet.
    if (length === 0 || at + length > bytes.length)
      return { ok: false, reason: `option at byte ${at} does not end within the packet` };
    if (bytes[at] === 1 && length === 8) sourceMac = formatMac(bytes.subarray(at + 2, at + 8));
    at += length;
  }
  return { ok: true, sourceMac };
}

export interface AdvertisingOptions {
  /** Sends ICMPv6 bytes with hop limit 255 out of the link's interface. */
  readonly send: (bytes: Uint8Array, destination: string) => void;
  /** The interface's MAC; optional. */
  readonly sourceMac?: string;
  /** Calls back after so many milliseconds; returns what cancels that. */
  readonly schedule: (ms: number, then: () => void) => () => void;
  readonly now: () => number;
  /** 0 to 1; RFC 4861 wants the interval to vary. */
  readonly random?: () => number;
  /** One for each solicitation that was answered. */
  readonly onSolicited?: (from: string, sourceMac: string | null) => void;
}

export interface Advertising {
  /** To be called with each ICMPv6 message from the link and its source address. */
  receive(bytes: Uint8Array, from: string): void;
  stop(): void;
}

/** Advertises at once, a few times in quick succession, then at the usual interval, and answers each solicitation immediately. */
export function advertise(options: AdvertisingOptions): Advertising {
  const bytes = routerAdvertisement(options.sourceMac);
  const random = options.random ?? Math.random;
  let sent = 0;
  let cancel = (): void => {};
  let second = Number.NEGATIVE_INFINITY;
  let answered = 0;

  function multicast(): void {
    options.send(bytes, ALL_NODES);
    sent++;
    const wait =
      sent < INITIAL.count ? INITIAL.intervalMs : INTERVAL_MS.least + random() * (INTERVAL_MS.most - INTERVAL_MS.least);
    cancel = options.schedule(wait, multicast);
  }
  multicast();

  return {
    receive(message, from) {
      const solicitation = readSolicitation(message);
      if (!solicitation.ok) return;
      const at = options.now();
      if (at - second >= 1000) {
        second = at;
        answered = 0;
      }
      if (++answered > ANSWERS_PER_SECOND) return;
      // RFC 4861 section 6.2.6 delays answers so that several routers do not collide; there is one, and firmware waits for it.
      options.send(bytes, from === '::' ? ALL_NODES : from);
      options.onSolicited?.(from, solicitation.sourceMac);
    },
    stop: () => cancel(),
  };
}
