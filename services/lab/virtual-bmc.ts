/**
 * A BMC without hardware: the machine (virtual-bmc-machine.ts) behind the BMC half of services/ipmi, with things going wrong as
 * told (virtual-bmc-faults.ts). `createVirtualBmc` is pure but for its clock; `serveVirtualBmcs` puts any number of them on
 * loopback, one socket for each address and all of them on one port, so that what polls them sees a thousand separate BMCs.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { type Clock, systemClock } from '../core/clock.ts';
import { type BmcOptions, createBmcSession, PAYLOAD, type Privilege } from '../ipmi/index.ts';
import type { ChassisOptions } from './virtual-bmc-chassis.ts';
import { virtualCommand } from './virtual-bmc-commands.ts';
import { FaultPlane, seededRandom, type VirtualFaults } from './virtual-bmc-faults.ts';
import { VirtualMachine, type VirtualModel } from './virtual-bmc-machine.ts';

export interface VirtualBmcOptions {
  clock?: Clock;
  /** Of faults; and, where it is given, of GUID and session secrets too, so that a whole run repeats. */
  seed?: number;
  address?: string;
  port?: number;
  serial?: string;
  /** Default: admin, password `secret`, administrator. */
  users?: readonly { name: string; password: string; privilege: Privilege }[];
  kg?: string;
  /** 16 bytes, as they go over the wire; default: random. */
  guid?: Buffer;
  /** Default 3 and 17. */
  suites?: readonly number[];
  /** Default 5. */
  maxSessions?: number;
  /** Milliseconds without a command after which a session is dropped; default 60,000, as BMCs do (section 6.12.15). */
  idleMs?: number;
  model?: Partial<VirtualModel>;
  chassis?: Omit<ChassisOptions, 'clock'>;
  /** Characters typed at the console; default: echoed. */
  onInput?: (data: Buffer) => void;
  onBreak?: () => void;
  faults?: Partial<VirtualFaults>;
  mostReadBytes?: number;
}

export interface VirtualBmc {
  readonly machine: VirtualMachine;
  /** May be changed at any time. */
  readonly faults: VirtualFaults;
  /** Commands carried out, those of log-in not counted. */
  readonly commands: number;
  readonly sessions: number;
  /** Takes a datagram; `send` is called for each answer, now or later. Never throws. */
  receive(datagram: Buffer, peer: string, send: (datagram: Buffer) => void): void;
  /** Drops every session without a word, as a BMC does that restarts. */
  restart(): void;
  stop(): void;
}

export function createVirtualBmc(options: VirtualBmcOptions = {}): VirtualBmc {
  const { clock = systemClock, seed, address = '127.0.0.1', port = 623, suites = [3, 17], maxSessions = 5 } = options;
  const { idleMs = 60_000 } = options;
  const dice = seed === undefined ? undefined : seededRandom(seed ^ 0x5eed);
  const random = dice
    ? (count: number) => Buffer.from(Array.from({ length: count }, () => dice() * 256))
    : (count: number) => randomBytes(count);
  const plane = new FaultPlane(seed ?? 1, clock, options.faults);
  /** How to reach the peers of open sessions, for what the BMC sends of itself. */
  const ways = new Map<number, { peer: string; send: (datagram: Buffer) => void }>();
  const heardAt = new Map<number, number>();
  let commands = 0;
  let current: { peer: string; send: (datagram: Buffer) => void } | undefined;

  const machine = new VirtualMachine({
    clock,
    guid: options.guid ?? random(16),
    port,
    address,
    serial: options.serial ?? `V${port}-${address}`,
    suites,
    mostSessions: maxSessions,
    openSessions: () => session.sessions.length,
    ...(options.model && { model: options.model }),
    ...(options.chassis && { chassis: options.chassis }),
    ...(options.mostReadBytes && { mostReadBytes: options.mostReadBytes }),
    console: {
      send(id, payload) {
        const way = ways.get(id);
        const sealed = way && session.sealPayload(id, PAYLOAD.sol, payload);
        if (way && sealed) plane.answer(sealed, way.peer, way.send);
      },
      ...(options.onInput && { onInput: options.onInput }),
      ...(options.onBreak && { onBreak: options.onBreak }),
    },
  });
  machine.onReset = () => void clock.after(1, restart);
  const accounts = options.users ?? [{ name: 'admin', password: 'secret', privilege: 'administrator' }];
  for (const [place, account] of accounts.entries()) machine.setUser(2 + place, account);

  const levels: readonly Privilege[] = ['callback', 'user', 'operator', 'administrator'];
  const heard = (id: number) => {
    if (current) ways.set(id, current);
    heardAt.set(id, clock.now());
  };
  const shape: BmcOptions = {
    guid: machine.guid,
    random,
    suites,
    maxSessions,
    ...(options.kg && { kg: options.kg }),
    users: () =>
      machine.users.flatMap((user) => {
        const privilege = user?.enabled && user.messaging ? levels[user.privilege - 1] : undefined;
        return user && privilege ? [{ name: user.name, password: user.password, privilege }] : [];
      }),
    handle(netfn, cmd, data, _privilege, info) {
      commands += 1;
      heard(info.id);
      for (let wasted = plane.leaps(); wasted > 0; wasted--) session.sealPayload(info.id, PAYLOAD.sol, NOTHING);
      return virtualCommand(machine, netfn, cmd, data, info);
    },
    onPayload(info, type, payload) {
      heard(info.id);
      machine.console.receive(info.id, type, payload);
    },
    onSessionEnd({ id }) {
      ways.delete(id);
      heardAt.delete(id);
      if (machine.console.owner === id) machine.console.deactivate();
    },
  };
  const session = createBmcSession(shape);
  const full = createBmcSession({ ...shape, maxSessions: 0 });

  /** RMCP+ authentication type, then the payload type of Open Session (sections 13.6, 13.27.3). */
  const opens = (datagram: Buffer) => datagram[4] === 0x06 && datagram[5] === PAYLOAD.openRequest;
  /** BMCs have no timer for each session either: the idle ones go when the next one knocks. */
  const dropIdle = () => {
    for (const { id } of session.sessions) {
      const since = heardAt.get(id);
      if (since === undefined) heardAt.set(id, clock.now());
      else if (clock.now() - since > idleMs) session.end(id);
    }
  };

  function restart(): void {
    for (const { id } of session.sessions) session.end(id);
  }

  return {
    machine,
    faults: plane.faults,
    get commands() {
      return commands;
    },
    get sessions() {
      return session.sessions.length;
    },
    receive(datagram, peer, send) {
      if (!plane.hears()) return;
      const opening = opens(datagram);
      if (opening) dropIdle();
      current = { peer, send };
      const side = opening && plane.isFull() ? full : session;
      side.receive(datagram, peer, (answer) => plane.answer(answer, peer, send));
      current = undefined;
    },
    restart,
    stop() {
      machine.chassis.stop();
      machine.console.deactivate();
    },
  };
}

const NOTHING = Buffer.alloc(0);

export interface VirtualBmcs {
  readonly bmcs: readonly VirtualBmc[];
  /** Of each BMC, in order. */
  readonly addresses: readonly string[];
  readonly port: number;
  close(): void;
}

export interface ServeOptions extends Omit<VirtualBmcOptions, 'address'> {
  count: number;
  /** Default 0: any port that is free, the same one on every address. */
  port?: number;
  /** First of the addresses, in 127.0.0.0/8; those ending in .0 and .255 are left out. Default 127.6.23.1. */
  first?: string;
}

/** Addresses one after the other; a tool that reads a range in its last number finds 254 of them in each. */
export function virtualAddresses(count: number, first = '127.6.23.1'): string[] {
  let value = Buffer.from(first.split('.').map(Number)).readUInt32BE();
  const addresses: string[] = [];
  for (; addresses.length < count; value++)
    if ((value & 0xff) !== 0 && (value & 0xff) !== 0xff)
      addresses.push([value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff].join('.'));
  return addresses;
}

function bind(address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, () => {
      socket.off('error', reject);
      // An ICMP error of a console that went away.
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

/** Puts one BMC on an address. */
export async function serveVirtualBmc(
  bmc: VirtualBmc,
  address: string,
  port: number,
): Promise<{ port: number; close(): void }> {
  return attach(bmc, await bind(address, port));
}

function attach(bmc: VirtualBmc, socket: Socket): { port: number; close(): void } {
  let open = true;
  socket.on('message', (datagram, from) => {
    bmc.receive(datagram, `${from.address} ${from.port}`, (answer) => {
      // A delayed answer may come after the end.
      if (open) socket.send(answer, from.port, from.address, () => undefined);
    });
  });
  return {
    port: socket.address().port,
    close() {
      open = false;
      bmc.stop();
      socket.close();
    },
  };
}

/** Opens the sockets and serves; with a seed, each BMC gets one of its own from it. */
export async function serveVirtualBmcs(options: ServeOptions): Promise<VirtualBmcs> {
  const { count, first, port: wanted = 0, seed, ...rest } = options;
  const addresses = virtualAddresses(count, first);
  const served: { port: number; close(): void }[] = [];
  const bmcs: VirtualBmc[] = [];
  const close = () => {
    for (const one of served.splice(0)) one.close();
  };
  let port = wanted;
  try {
    for (const [place, address] of addresses.entries()) {
      const socket = await bind(address, port);
      port ||= socket.address().port;
      const bmc = createVirtualBmc({ ...rest, ...(seed !== undefined && { seed: seed + place }), address, port });
      bmcs.push(bmc);
      served.push(attach(bmc, socket));
    }
  } catch (error) {
    close();
    throw error;
  }
  return { bmcs, addresses, port, close };
}
