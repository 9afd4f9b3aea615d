/**
 * The sockets of a provisioning interface, opened by the supervisor as root and handed to `serve` as descriptors: bound to
 * their device, some inside the lab's network namespace. Node can do neither, so libc is called through koffi; all calls
 * are synchronous and on the main thread, which alone changes its namespace and is back before anything else runs.
 */
import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { closeSync, openSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import koffi from 'koffi';
import { fault } from './errors/index.ts';
import { packetSocket } from './packet-socket.ts';

const libc = koffi.load('libc.so.6');
const c = {
  setns: libc.func('int setns(int fd, int nstype)'),
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
  listen: libc.func('int listen(int fd, int backlog)'),
  sendto: libc.func(
    'int64_t sendto(int fd, const void *bytes, size_t length, int flags, const void *address, uint32_t addressLength)',
  ),
  recvfrom: libc.func(
    'int64_t recvfrom(int fd, void *bytes, size_t length, int flags, void *address, _Inout_ uint32_t *addressLength)',
  ),
  ifNameToIndex: libc.func('unsigned int if_nametoindex(const char *name)'),
};

// Linux's numbers (asm-generic, the same on x86 and arm64); man 7 socket, ip, ipv6, raw.
const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_ICMPV6 = 58;
const MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1;
const SO = { reuseAddr: 2, broadcast: 6, bindToDevice: 25, receiveBufferForce: 33, sendBufferForce: 32 } as const;
const IPPROTO_IP = 0;
const IP_TRANSPARENT = 19;
const IPPROTO_IPV6 = 41;
const IPV6 = { unicastHops: 16, multicastHops: 18, joinGroup: 20 } as const;
const ICMP6_FILTER = 1;

/** RFC 4861 section 4.1: what hosts ask routers. */
export const ROUTER_SOLICITATION = 133;
export const ROUTER_ADVERTISEMENT = 134;

/** A burst of a whole rack's DISCOVERs has to wait somewhere; the default of 208 kB loses them. */
const receiveBuffer = 4 * 1024 * 1024;
const backlog = 511;

const EAGAIN = koffi.os.errno.EAGAIN as number;
const names = new Map(Object.entries(koffi.os.errno as Record<string, number>).map(([name, number]) => [number, name]));
const reasons: Readonly<Record<string, { reason: string; remedy: string }>> = {
  EADDRINUSE: {
    reason: 'another program has the port',
    remedy: 'Find it with `ss -lunptH` and stop it (dnsmasq, isc-dhcp-server, tftpd), or choose another interface.',
  },
  EADDRNOTAVAIL: {
    reason: 'the interface does not have the address',
    remedy: 'Give the interface the address first (`ip addr add`).',
  },
  EPERM: { reason: 'that needs root', remedy: 'Run it as root; `serve` itself then runs without.' },
  EACCES: { reason: 'that needs root', remedy: 'Run it as root; `serve` itself then runs without.' },
  ENODEV: { reason: 'there is no such interface', remedy: 'See `ip link` for the interfaces that there are.' },
  EAFNOSUPPORT: {
    reason: 'this kernel has IPv6 switched off',
    remedy: 'Without it every iPXE stage waits 16 s longer.',
  },
};

/** Runs `work` with this thread in another network namespace; sockets and children made in it stay there. */
export function enterNamespace<T>(path: string, work: () => T): T {
  const here = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const there = openNamespace(path);
    try {
      if (c.setns(there, CLONE_NEWNET) !== 0) throw fault('namespace-refused', { path, reason: errorName() });
    } finally {
      closeSync(there);
    }
    try {
      return work();
    } finally {
      // Were this to fail, the process would go on in the wrong network: better to end it.
      if (c.setns(here, CLONE_NEWNET) !== 0) {
        process.stderr.write(`cannot leave the network namespace ${path}: ${errorName()}\n`);
        process.abort();
      }
    }
  } finally {
    closeSync(here);
  }
}

function openNamespace(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw fault('namespace-refused', { path, reason: (error as Error).message }, error);
  }
}

export interface ProvisioningSocketsOptions {
  /** A namespace's file, `/run/netns/…`; absent: this process's own. */
  readonly netns?: string;
  /** `br0` */
  readonly interface: string;
  /** Our address on it: `192.0.2.1`. */
  readonly address: string;
  /** TLS API for agents. */
  readonly apiPort: number;
  /** Plain HTTP for firmware. */
  readonly bootPort: number;
  /** UDP and TCP 53 on our address, for the nodes' names. */
  readonly dns?: boolean;
  /** UDP 4011, where firmware asks for its boot file beside another DHCP server (PXE 2.1 section 2.2.3). */
  readonly proxy?: boolean;
  /** 169.254.169.254:80. It does not become an address of the host: what comes in by the interface is led here by a rule. */
  readonly metadata?: { readonly address: string; readonly port: number };
}

/** Descriptors, by what they carry. Close them, or keep them for as long as children are to be given them. */
export interface ProvisioningSockets {
  readonly dhcp: number;
  readonly tftp: number;
  /** Raw ICMPv6 that hears router solicitations; absent where the kernel has no IPv6. */
  readonly ra?: number;
  readonly provisioningApi: number;
  readonly boot: number;
  readonly metadata?: number;
  /** A packet socket: who else answers DHCP there, and captures. */
  readonly wire: number;
  readonly dns?: number;
  readonly dnsTcp?: number;
  readonly proxy?: number;
}

/** Opens them all or none. @throws Fault `socket-refused`, `namespace-refused` */
export function openProvisioningSockets(options: ProvisioningSocketsOptions): ProvisioningSockets {
  const open = (): ProvisioningSockets => {
    const opened: number[] = [];
    const keep = (fd: number): number => {
      opened.push(fd);
      return fd;
    };
    const { interface: device, address, metadata, dns, proxy } = options;
    try {
      const ra = solicitationSocket(device);
      if (ra !== null) keep(ra);
      if (metadata) leadHere(device, metadata.address);
      return {
        dhcp: keep(datagramSocket('DHCP', device, '0.0.0.0', 67)),
        tftp: keep(datagramSocket('TFTP', device, address, 69)),
        provisioningApi: keep(listeningSocket('the API', device, address, options.apiPort)),
        boot: keep(listeningSocket('HTTP boot', device, address, options.bootPort)),
        ...(metadata && {
          metadata: keep(listeningSocket('the metadata service', device, metadata.address, metadata.port, true)),
        }),
        wire: keep(packetSocket(device)),
        ...(proxy && { proxy: keep(datagramSocket('ProxyDHCP', device, '0.0.0.0', 4011)) }),
        ...(dns && {
          dns: keep(datagramSocket('DNS', device, address, 53)),
          dnsTcp: keep(listeningSocket('DNS over TCP', device, address, 53)),
        }),
        ...(ra !== null && { ra }),
      };
    } catch (error) {
      for (const fd of opened) closeSync(fd);
      throw error;
    }
  };
  return options.netns === undefined ? open() : enterNamespace(options.netns, open);
}

const ip = (...words: string[]): string =>
  execFileSync('ip', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** A routing table of its own; any free number below 2^31 will do. */
const metadataTable = '7254';

/**
 * Packets for the metadata address are for this machine when they come in by the interface, and only then: a host that is
 * itself a cloud VM has its own 169.254.169.254 to talk to.
 */
function leadHere(device: string, address: string): void {
  try {
    ip('-4', 'route', 'replace', 'local', `${address}/32`, 'dev', 'lo', 'table', metadataTable);
    const rule = ['to', address, 'iif', device, 'lookup', metadataTable];
    if (ip('-4', 'rule', 'show', ...rule).trim() === '') ip('-4', 'rule', 'add', ...rule);
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    const reason = (stderr ?? (error as Error).message).trim();
    const remedy = 'It needs root and the program `ip` (Debian: iproute2).';
    throw fault('socket-refused', { what: `the metadata address ${address}`, interface: device, reason, remedy });
  }
}

/** Takes that rule back, and with the last of its kind the table. An interface that has gone took its rule's meaning along. */
export function leadAway(device: string, address: string): void {
  try {
    ip('-4', 'rule', 'del', 'to', address, 'iif', device, 'lookup', metadataTable);
    if (!ip('-4', 'rule', 'show').includes(`lookup ${metadataTable}`))
      ip('-4', 'route', 'flush', 'table', metadataTable);
  } catch {
    // It was not there, or somebody has taken it away.
  }
}

/** UDP, bound to the device: it hears and sends broadcasts of that interface only. */
export function datagramSocket(what: string, device: string, address: string, port: number): number {
  return made(what, device, c.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), (fd) => {
    option(what, device, fd, SOL_SOCKET, SO.bindToDevice, Buffer.from(`${device}\0`));
    option(what, device, fd, SOL_SOCKET, SO.reuseAddr, int(1));
    option(what, device, fd, SOL_SOCKET, SO.broadcast, int(1));
    option(what, device, fd, SOL_SOCKET, SO.receiveBufferForce, int(receiveBuffer));
    // Answers to addresses that nobody has wait for ARP, and must not keep the others waiting.
    option(what, device, fd, SOL_SOCKET, SO.sendBufferForce, int(receiveBuffer));
    must(what, device, c.bind(fd, inet(address, port), 16), `${address}:${port}`);
  });
}

function listeningSocket(what: string, device: string, address: string, port: number, isForeign = false): number {
  return made(what, device, c.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), (fd) => {
    option(what, device, fd, SOL_SOCKET, SO.bindToDevice, Buffer.from(`${device}\0`));
    option(what, device, fd, SOL_SOCKET, SO.reuseAddr, int(1));
    // A cloud VM has its own 169.254.169.254 to talk to, so the address must not become the host's.
    if (isForeign) option(what, device, fd, IPPROTO_IP, IP_TRANSPARENT, int(1));
    must(what, device, c.bind(fd, inet(address, port), 16), `${address}:${port}`);
    must(what, device, c.listen(fd, backlog), `${address}:${port}`);
  });
}

/** Listens for the API on an address of the host, IPv4 or IPv6; not bound to a device, so that `0.0.0.0` is all of them.
 *  Not a net.Server: that would take connections in this process, which are `serve`'s. */
export function hostListener(address: string, port: number): number {
  const family = isIPv6(address) ? AF_INET6 : AF_INET;
  const where = isIPv6(address) ? inet6(address, port) : inet(address, port);
  return made('the API', address, c.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), (fd) => {
    option('the API', address, fd, SOL_SOCKET, SO.reuseAddr, int(1));
    must('the API', address, c.bind(fd, where, where.length), `${address}:${port}`);
    must('the API', address, c.listen(fd, backlog), `${address}:${port}`);
  });
}

/** Hears router solicitations on the device and may send advertisements; null where the kernel has no IPv6. */
export function solicitationSocket(device: string): number | null {
  return icmpv6Socket(device, ROUTER_SOLICITATION, 'ff02::2');
}

/** Raw ICMPv6 that delivers one message type only. Hop limit 255 is what RFC 4861 asks of everything it defines. */
export function icmpv6Socket(device: string, type: number, group: 'ff02::1' | 'ff02::2'): number | null {
  const what = 'router advertisements';
  const fd: number = c.socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (fd < 0 && errorName() === 'EAFNOSUPPORT') return null;
  return made(what, device, fd, () => {
    option(what, device, fd, SOL_SOCKET, SO.bindToDevice, Buffer.from(`${device}\0`));
    option(what, device, fd, IPPROTO_IPV6, IPV6.unicastHops, int(255));
    option(what, device, fd, IPPROTO_IPV6, IPV6.multicastHops, int(255));
    // RFC 3542 section 3.2: a bit for each of the 256 types, set for those that are blocked.
    const filter = Buffer.alloc(32, 0xff);
    const word = (type >> 5) * 4;
    filter.writeUInt32LE((filter.readUInt32LE(word) & ~(1 << (type & 31))) >>> 0, word);
    option(what, device, fd, IPPROTO_ICMPV6, ICMP6_FILTER, filter);
    const index: number = c.ifNameToIndex(device);
    const membership = Buffer.concat([inet6(group).subarray(8, 24), int(index)]);
    option(what, device, fd, IPPROTO_IPV6, IPV6.joinGroup, membership);
  });
}

/** Sends ICMPv6 bytes from the raw socket; the kernel writes the checksum. Returns the error's name, or null. */
export function sendIcmpv6(fd: number, bytes: Uint8Array, destination: string): string | null {
  const sent: number = c.sendto(fd, bytes, bytes.length, MSG_DONTWAIT, inet6(destination), 28);
  return sent < 0 ? errorName() : null;
}

const packet = Buffer.alloc(2048);
const sender = Buffer.alloc(28);

/** The next message that has come in, or null. Node's event loop knows no raw sockets, so the caller asks now and then. */
export function receiveIcmpv6(fd: number): { readonly bytes: Uint8Array; readonly from: string } | null {
  const length: number = c.recvfrom(fd, packet, packet.length, MSG_DONTWAIT, sender, [sender.length]);
  if (length < 0) {
    const name = errorName();
    if (koffi.errno() === EAGAIN || name === 'EINTR' || name === 'ENETDOWN') return null;
    throw new Error(`the ICMPv6 socket fails: ${name}`);
  }
  const groups = Array.from({ length: 8 }, (_, i) => sender.readUInt16BE(8 + 2 * i).toString(16));
  return { bytes: Uint8Array.from(packet.subarray(0, length)), from: canonical(groups.join(':')) };
}

/** A datagram socket of Node's over a descriptor that was handed in. */
export function datagramFrom(fd: number): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ fd, exclusive: true }, () => {
      socket.off('error', reject);
      // ICMP errors of peers that are gone come up here; they are no reason to end.
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

function made(what: string, device: string, fd: number, prepare: (fd: number) => void): number {
  must(what, device, fd, '');
  try {
    prepare(fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function option(what: string, device: string, fd: number, level: number, name: number, value: Buffer): void {
  must(what, device, c.setsockopt(fd, level, name, value, value.length), '');
}

function must(what: string, device: string, result: number, where: string): void {
  if (result >= 0) return;
  const name = errorName();
  const known = reasons[name];
  throw fault('socket-refused', {
    what: where ? `${what} (${where})` : what,
    interface: device,
    reason: known?.reason ?? name,
    remedy: known?.remedy ?? '',
  });
}

const errorName = (): string => names.get(koffi.errno()) ?? `error ${koffi.errno()}`;

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** struct sockaddr_in. */
function inet(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  for (const [i, part] of address.split('.').entries()) bytes[4 + i] = Number(part);
  return bytes;
}

/** struct sockaddr_in6 without a scope: the socket is bound to its device, which is the scope. */
function inet6(address: string, port = 0): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  const [head = '', tail] = address.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail ? tail.split(':') : [];
  for (const [i, group] of front.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), 8 + 2 * i);
  for (const [i, group] of back.entries())
    bytes.writeUInt16BE(Number.parseInt(group, 16), 8 + 2 * (8 - back.length + i));
  return bytes;
}

/** `::` for the unspecified address, which is what callers compare with; others are only ever shown or sent to. */
const canonical = (address: string): string => (/^[0:]+$/.test(address) ? '::' : address);
