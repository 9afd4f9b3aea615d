/** Looks at a wire before, or while, an undercloud lives on it: who else answers DHCP, and does anybody advertise a router. */
import { randomBytes, randomInt } from 'node:crypto';
import type dgram from 'node:dgram';
import { closeSync, existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import {
  datagramFrom,
  datagramSocket,
  enterNamespace,
  icmpv6Socket,
  ROUTER_ADVERTISEMENT,
  receiveIcmpv6,
  sendIcmpv6,
} from '../core/sockets.ts';
import { BOOTREQUEST, decodePacket, encodePacket, MESSAGE, OPTION } from '../dhcp/index.ts';
import { macIn } from './neighbour.ts';

export interface ForeignServer {
  /** Option 54. */
  readonly serverId: string | null;
  /** Where the OFFER came from. */
  readonly source: string;
  /** By ARP; null when it is not to be had: the interface needs an address of that server's network for it. */
  readonly mac: string | null;
  readonly offered: string;
  readonly bootFile: string | null;
}

export interface NetworkReport {
  /** Whoever offered an address to a machine that cannot exist; our own server stays silent to it. */
  readonly dhcpServers: readonly ForeignServer[];
  /** Addresses of routers that advertised themselves; empty means that each iPXE stage waits 16 s. Null: no IPv6 here. */
  readonly routers: readonly string[] | null;
}

export interface DoctorOptions {
  /** A namespace's file; absent: this process's own. */
  readonly netns?: string;
  /** How long to listen, in milliseconds. Default 3000: a server may probe the address for a second or more first. */
  readonly patienceMs?: number;
}

const broadcastFlag = 0x8000;
const lookEveryMs = 50;
/** RFC 863: nobody minds what comes there. */
const discardPort = 9;
/** On one wire ARP is answered within a millisecond or so. */
const arpMs = 100;

/** Asks with a random MAC. Needs root (ports 68 and raw ICMPv6). @throws Fault `socket-refused`, `namespace-refused` */
export async function networkDoctor(device: string, options: DoctorOptions = {}): Promise<NetworkReport> {
  const { netns, patienceMs = 3000 } = options;
  const open = () => ({
    dhcp: datagramSocket('the DHCP probe', device, '0.0.0.0', 68),
    icmp: icmpv6Socket(device, ROUTER_ADVERTISEMENT, 'ff02::1'),
  });
  const { dhcp, icmp } = netns === undefined ? open() : enterNamespace(netns, open);
  const socket = await datagramFrom(dhcp);
  // The ARP table that a thread sees is that of its namespace, so it is read by this one, at once.
  const macOf = (ip: string) => {
    const table = () => readFileSync('/proc/thread-self/net/arp', 'utf8');
    return macIn(netns === undefined ? table() : enterNamespace(netns, table), ip);
  };
  try {
    const [offers, routers] = await Promise.all([
      collectOffers(socket, patienceMs),
      icmp === null ? null : collectRouters(icmp, patienceMs),
    ]);
    for (const offer of offers) await makeNeighbour(socket, offer.source);
    const dhcpServers = offers.map((offer) => ({ ...offer, mac: macOf(offer.source) }));
    return { dhcpServers, routers };
  } finally {
    socket.close();
    if (icmp !== null) closeSync(icmp);
  }
}

/** An OFFER by broadcast leaves no trace in the ARP table; sending something to its sender does. */
async function makeNeighbour(socket: dgram.Socket, ip: string): Promise<void> {
  await new Promise<void>((resolve) => socket.send('', discardPort, ip, () => resolve()));
  await new Promise((resolve) => setTimeout(resolve, arpMs));
}

async function collectOffers(socket: dgram.Socket, patienceMs: number): Promise<Omit<ForeignServer, 'mac'>[]> {
  // Locally administered, so that it is nobody's.
  const mac = Uint8Array.of(0x02, ...randomBytes(5));
  const xid = randomInt(2 ** 32);
  const heard = new Map<string, Omit<ForeignServer, 'mac'>>();
  socket.on('message', (bytes, peer) => {
    const decoded = decodePacket(bytes);
    if (!decoded.ok || decoded.packet.xid !== xid) return;
    const { packet } = decoded;
    if (packet.options.get(OPTION.messageType)?.[0] !== MESSAGE.offer) return;
    const id = packet.options.get(OPTION.serverId);
    const file = packet.options.get(OPTION.bootFile);
    heard.set(peer.address, {
      serverId: id?.length === 4 ? id.join('.') : null,
      source: peer.address,
      offered: [24, 16, 8, 0].map((shift) => (packet.yiaddr >>> shift) & 255).join('.'),
      bootFile: packet.file || (file && Buffer.from(file).toString('latin1').replaceAll('\0', '')) || null,
    });
  });
  const bytes = probePacket({ mac, xid, flags: broadcastFlag, isPxe: false });
  socket.setBroadcast(true);
  // Twice: the first may be lost while a switch port wakes.
  for (const _ of [1, 2]) {
    await new Promise<void>((resolve) => socket.send(bytes, 67, '255.255.255.255', () => resolve()));
    await new Promise((resolve) => setTimeout(resolve, patienceMs / 2));
  }
  return [...heard.values()];
}

export interface Probe {
  /** Six bytes, of nobody. */
  readonly mac: Uint8Array;
  readonly xid: number;
  readonly flags: number;
  /** Asks for a boot file too, as UEFI x64 does: ProxyDHCP servers answer nobody else. */
  readonly isPxe: boolean;
}

/** A DISCOVER of a machine that does not exist. */
export function probePacket({ mac, xid, flags, isPxe }: Probe): Uint8Array {
  const options = new Map<number, Uint8Array>([
    [OPTION.messageType, Uint8Array.of(MESSAGE.discover)],
    [OPTION.parameterList, Uint8Array.of(1, 3, 6, 43, 60, 66, 67)],
  ]);
  if (isPxe) {
    options.set(OPTION.vendorClass, Buffer.from('PXEClient:Arch:00007:UNDI:003000'));
    options.set(OPTION.clientArch, Uint8Array.of(0, 7));
    // RFC 4578 section 2.2: UNDI 3.0.
    options.set(OPTION.clientInterface, Uint8Array.of(1, 3, 0));
    options.set(OPTION.clientUuid, Uint8Array.of(0, ...new Uint8Array(10), ...mac.subarray(0, 6)));
  }
  const packet = {
    op: BOOTREQUEST,
    htype: 1,
    hlen: 6,
    hops: 0,
    xid,
    secs: 0,
    flags,
    ciaddr: 0,
    yiaddr: 0,
    siaddr: 0,
    giaddr: 0,
    chaddr: Uint8Array.of(...mac.subarray(0, 6), ...new Uint8Array(10)),
    sname: '',
    file: '',
    options,
  };
  return encodePacket(packet, 548).bytes;
}

/** `no-carrier`: nothing is connected and switched on, so the device has no IPv6 address yet. */
export type SelfHearing = 'heard' | 'silent' | 'no-carrier' | 'no-ipv6';

/**
 * Whether this machine's own router advertisement is heard on the device: asks as a host does. Needs root.
 * @throws Fault `socket-refused`, `namespace-refused`
 */
export async function hearsItself(device: string, options: DoctorOptions = {}): Promise<SelfHearing> {
  const { netns, patienceMs = 1500 } = options;
  const within = <T>(work: () => T): T => (netns === undefined ? work() : enterNamespace(netns, work));
  const own = within(() => networkInterfaces()[device] ?? [])
    .filter(({ family }) => family === 'IPv6')
    .map(({ address }) => plainIpv6(address));
  // What a thread sees there is of its own namespace.
  const disabled = `/proc/sys/net/ipv6/conf/${device}/disable_ipv6`;
  const isOff = within(() => !existsSync(disabled) || readFileSync(disabled, 'utf8').trim() !== '0');
  if (isOff) return 'no-ipv6';
  // Without carrier there is no address, and interfaces without one are not even listed.
  if (own.length === 0) return 'no-carrier';
  const icmp = within(() => icmpv6Socket(device, ROUTER_ADVERTISEMENT, 'ff02::1'));
  if (icmp === null) return 'no-ipv6';
  try {
    const routers = await collectRouters(icmp, patienceMs);
    return routers.some((router) => own.includes(plainIpv6(router))) ? 'heard' : 'silent';
  } finally {
    closeSync(icmp);
  }
}

/** One way of writing for one address: eight groups without leading zeros. */
export function plainIpv6(address: string): string {
  const [head = '', tail] = address.toLowerCase().replace(/%.*$/, '').split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail ? tail.split(':') : [];
  const middle = tail === undefined ? [] : Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  return [...front, ...middle, ...back].map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}

async function collectRouters(fd: number, patienceMs: number): Promise<string[]> {
  const routers = new Set<string>();
  const solicitation = Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0);
  for (let waited = 0; waited < patienceMs; waited += lookEveryMs) {
    if (waited % 1000 === 0) sendIcmpv6(fd, solicitation, 'ff02::2');
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    for (let message = receiveIcmpv6(fd); message; message = receiveIcmpv6(fd)) routers.add(message.from);
  }
  return [...routers];
}
