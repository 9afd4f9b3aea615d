/**
 * A packet socket (AF_PACKET) on one device: what is on the wire, as Ethernet frames. Making one needs CAP_NET_RAW, so the
 * supervisor does; telling it by a BPF program what to hear, reading and sending need no privilege, so `serve` does those.
 */
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { fault } from './errors/index.ts';

const libc = koffi.load('libc.so.6');
koffi.struct('uc_sock_fprog', { length: 'uint16_t', filter: 'const uint8_t *' });
const c = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  attach: libc.func('int setsockopt(int fd, int level, int name, const uc_sock_fprog *value, uint32_t length)'),
  getsockname: libc.func('int getsockname(int fd, void *address, _Inout_ uint32_t *length)'),
  send: libc.func('int64_t send(int fd, const void *bytes, size_t length, int flags)'),
  recvfrom: libc.func(
    'int64_t recvfrom(int fd, void *bytes, size_t length, int flags, void *address, _Inout_ uint32_t *addressLength)',
  ),
  ifNameToIndex: libc.func('unsigned int if_nametoindex(const char *name)'),
};

// Linux's numbers (man 7 packet, socket).
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const ETH_P_ALL = 3;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;
/** recvfrom answers how long the frame was, however much of it was taken. */
const MSG_TRUNC = 0x20;
const PACKET_OUTGOING = 4;
const addressSize = 20;
const receiveBuffer = 4 * 1024 * 1024;

const errorNames = new Map(
  Object.entries(koffi.os.errno as Record<string, number>).map(([name, number]) => [number, name]),
);
const errorName = (): string => errorNames.get(koffi.errno()) ?? `error ${koffi.errno()}`;

/** One instruction of classic BPF (linux/filter.h): code, jump if true, jump if false, operand. */
export type BpfInstruction = readonly [code: number, jt: number, jf: number, k: number];

/** What nobody has asked for is dropped in the kernel. */
const nothing: readonly BpfInstruction[] = [[0x06, 0, 0, 0]];

/** Hears nothing until it is given a filter. Needs root. @throws Fault `socket-refused` */
export function packetSocket(device: string): number {
  const refuse = () =>
    fault('socket-refused', {
      what: 'listening on the wire',
      interface: device,
      reason: errorName(),
      remedy: 'It needs root (CAP_NET_RAW) and the interface; `serve` itself then runs without.',
    });
  // Protocol 0: not a frame comes in before the filter stands.
  const fd: number = c.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw refuse();
  try {
    filterPackets(fd, nothing);
    const size = Buffer.alloc(4);
    size.writeInt32LE(receiveBuffer);
    if (c.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, 4) < 0) throw refuse();
    const address = Buffer.alloc(addressSize);
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeUInt16BE(ETH_P_ALL, 2);
    address.writeInt32LE(c.ifNameToIndex(device), 4);
    if (c.bind(fd, address, addressSize) < 0) throw refuse();
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Replaces the filter. @throws Error when the kernel refuses the program */
export function filterPackets(fd: number, program: readonly BpfInstruction[]): void {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [i, [code, jt, jf, k]] of program.entries()) {
    bytes.writeUInt16LE(code, 8 * i);
    bytes.writeUInt8(jt, 8 * i + 2);
    bytes.writeUInt8(jf, 8 * i + 3);
    bytes.writeUInt32LE(k >>> 0, 8 * i + 4);
  }
  if (c.attach(fd, SOL_SOCKET, SO_ATTACH_FILTER, { length: program.length, filter: bytes }, 16) < 0)
    throw new Error(`the packet filter of ${program.length} instructions was refused: ${errorName()}`);
}

/** The MAC of the device that the socket is bound to: six bytes. */
export function packetSocketMac(fd: number): Uint8Array {
  const address = Buffer.alloc(32);
  if (c.getsockname(fd, address, [address.length]) < 0) return new Uint8Array(6);
  return Uint8Array.from(address.subarray(12, 18));
}

export interface Frame {
  /** Its beginning, as much of it as was asked for. */
  readonly bytes: Buffer;
  /** Bytes that it had on the wire. */
  readonly length: number;
  /** Sent by this machine. */
  readonly isOutgoing: boolean;
}

const taken = Buffer.alloc(65_536);
const sender = Buffer.alloc(32);

/** The next frame, or null: Node's event loop knows no packet sockets, so the caller asks now and then. */
export function receiveFrame(fd: number, most = 2048): Frame | null {
  const want = Math.min(most, taken.length);
  const length: number = Number(c.recvfrom(fd, taken, want, MSG_DONTWAIT | MSG_TRUNC, sender, [sender.length]));
  // ENETDOWN: the interface was taken down and may come back.
  if (length < 0) return null;
  return {
    bytes: Buffer.from(taken.subarray(0, Math.min(length, want))),
    length,
    isOutgoing: sender[10] === PACKET_OUTGOING,
  };
}

/** Sends a whole Ethernet frame. Returns the error's name, or null. */
export function sendFrame(fd: number, bytes: Uint8Array): string | null {
  return c.send(fd, bytes, bytes.length, MSG_DONTWAIT) < 0 ? errorName() : null;
}
