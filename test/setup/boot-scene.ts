/** A boot service on sockets that go nowhere: packets are put in by hand and answers are looked at. */
import type dgram from 'node:dgram';
import { EventEmitter } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Boot, type BootDeps, type BootIntent, createBoot } from '../../services/boot/index.ts';
import { fault } from '../../services/core/errors/index.ts';
import { createApi, listen } from '../../services/core/http/index.ts';
import { type DhcpPacket, decodePacket } from '../../services/dhcp/index.ts';
import { createNetwork, type Network } from '../../services/network/index.ts';
import { createWorld, type World } from './world.ts';

export class WireSocket extends EventEmitter {
  readonly #answers: DhcpPacket[] = [];
  readonly #waiting: ((packet: DhcpPacket) => void)[] = [];

  setBroadcast(): void {}

  send(bytes: Uint8Array, _port: number, _address: string, done: (error: null) => void): void {
    const decoded = decodePacket(bytes);
    if (!decoded.ok) throw new Error(decoded.reason);
    const waiting = this.#waiting.shift();
    if (waiting) waiting(decoded.packet);
    else this.#answers.push(decoded.packet);
    done(null);
  }

  put(bytes: Uint8Array): void {
    this.emit('message', Buffer.from(bytes), { address: '0.0.0.0', port: 68, family: 'IPv4', size: bytes.length });
  }

  /** The next answer, or the one that has come already. */
  answer(): Promise<DhcpPacket> {
    const [first] = this.#answers.splice(0, 1);
    return first ? Promise.resolve(first) : new Promise((resolve) => this.#waiting.push(resolve));
  }

  get unread(): number {
    return this.#answers.length;
  }
}

export interface Scene {
  readonly world: World;
  readonly network: Network;
  readonly boot: Boot;
  readonly dhcp: WireSocket;
  /** By MAC; a test changes it as it goes. */
  readonly intents: Map<string, BootIntent>;
  readonly bootDir: string;
  /** `http://127.0.0.1:PORT` of the plain listener. */
  readonly base: string;
}

export const nodeUuid = '11111111-1111-4111-8111-111111111111';

export const intent = (what: BootIntent['intent'], token?: string): BootIntent => ({
  node: { uuid: nodeUuid, name: 'node-1' },
  intent: what,
  reason: what === 'agent' ? 'deploying: the agent is awaited' : what,
  ...(token !== undefined && { token }),
  agentArguments: token === undefined ? {} : { 'uc-boot-token': token },
});

/** The addresses are loopback's, so that an HTTP client of the test has one of them. */
export async function scene(options: SceneOptions = {}): Promise<Scene> {
  const world = await createWorld();
  const network = createNetwork(world, { authenticate: async () => world.context });
  await network.ensureProvisioning({
    name: 'ctlplane',
    cidr: '127.0.0.0/24',
    pool: ['127.0.0.1', '127.0.0.62'],
    address: '127.0.0.254',
    nameservers: ['127.0.0.254'],
  });
  const bootDir = mkdtempSync(join(tmpdir(), 'uc-boot-'));
  mkdirSync(join(bootDir, 'ramdisk', 'lab'), { recursive: true });
  for (const [file, bytes] of [
    ['snponly.efi', 3000],
    ['ramdisk/lab/kernel', 5000],
    ['ramdisk/lab/ramdisk', 1_000_000],
  ] as const)
    writeFileSync(join(bootDir, file), Buffer.alloc(bytes, file));
  const intents = new Map<string, BootIntent>();
  const { boot, dhcp } = await bootOn(world, network, intents, bootDir, options);
  const api = createApi();
  api.register(boot.routes);
  api.register(boot.apiRoutes, { prefix: '/api' });
  const listener = await listen(api, { host: '127.0.0.1', port: 0 });
  onTestFinished(async () => {
    await boot.stop();
    await listener.close();
    await api.close();
    rmSync(bootDir, { recursive: true });
  });
  const { port } = listener.address as { port: number };
  return { world, network, boot, dhcp, intents, bootDir, base: `http://127.0.0.1:${port}` };
}

export interface SceneOptions {
  readonly provisioning?: Partial<BootDeps['provisioning']>;
  readonly onImport?: (instackenv: unknown) => void;
}

/** A boot service over what is there already: a first one, or one that was started again. */
export async function bootOn(
  world: World,
  network: Network,
  intents: ReadonlyMap<string, BootIntent>,
  bootDir: string,
  more: SceneOptions = {},
): Promise<{ boot: Boot; dhcp: WireSocket }> {
  const dhcp = new WireSocket();
  const boot = createBoot(world, {
    network,
    baremetal: {
      nodeByMac: async (mac) => intents.get(mac)?.node ?? null,
      bootIntent: async (mac) => intents.get(mac) ?? null,
      modelOf: async () => 'Lab node',
      findNode: async (_context, name) => {
        const known = [...intents.values()].find(({ node }) => node.name === name || node.uuid === name);
        if (!known) throw fault('node-not-found', { node: name });
        return known.node;
      },
      portsOf: async (uuid) =>
        [...intents].filter(([, { node }]) => node.uuid === uuid).map(([mac]) => ({ address: mac })),
      importNodes: async (_context, instackenv) => {
        more.onImport?.(instackenv);
        return [{ uuid: nodeUuid, name: null, operation: null }];
      },
    },
    sockets: { dhcp: dhcp as unknown as dgram.Socket, tftp: new EventEmitter() as unknown as dgram.Socket },
    bootDir,
    provisioning: { interface: 'br0', address: '127.0.0.254', ...more.provisioning },
    authenticate: async () => world.context,
    goneAfterMs: 2_000,
    apiUrl: 'https://127.0.0.254:6385',
    imageKey: '-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n',
    caCertificate: '-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n',
  });
  await boot.start();
  return { boot, dhcp };
}

interface Captured {
  packets: { payload: string; dhcp?: { type: string; chaddr: string } }[];
}

/** What a real client sent, its n-th packet of that type. */
export function sent(capture: string, type: 'DISCOVER' | 'REQUEST', nth = 0): Buffer {
  const file = new URL(`../captures/dhcp/dhcp-${capture}.json`, import.meta.url);
  const { packets } = JSON.parse(readFileSync(file, 'utf8')) as Captured;
  const fitting = packets.filter((packet) => packet.dhcp?.type === type);
  const packet = fitting[nth];
  if (!packet) throw new Error(`${capture} has no ${type} number ${nth}`);
  return Buffer.from(packet.payload, 'hex');
}

export const macOf = (packet: Buffer): string =>
  [...packet.subarray(28, 34)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');

let transactions = 0;

/** DISCOVER, OFFER, and a REQUEST made of the DISCOVER for what was offered, as a transaction of their own; returns the ACK. */
export async function fourWay(dhcp: WireSocket, captured: Buffer): Promise<DhcpPacket> {
  const discover = Buffer.from(captured);
  discover.writeUInt32BE(++transactions, 4);
  dhcp.put(discover);
  const offer = await dhcp.answer();
  dhcp.put(requestFor(discover, offer));
  return dhcp.answer();
}

/** The REQUEST that follows: for an OFFER, or to renew what an ACK gave. */
export function requestFor(
  discover: Buffer,
  answer: DhcpPacket,
  state: 'selecting' | 'renewing' = 'selecting',
): Buffer {
  const request = Buffer.from(discover);
  const at = request.indexOf(Buffer.from([53, 1, 1]), 240);
  request[at + 2] = 3;
  const address = Buffer.alloc(4);
  address.writeUInt32BE(answer.yiaddr);
  if (state === 'renewing') {
    // RFC 2131 table 4: the address stands in ciaddr, and no server is named. Option 50 of the capture becomes padding.
    address.copy(request, 12);
    const wish = request.indexOf(Buffer.from([50, 4]), 240);
    if (wish > 0) request.fill(0, wish, wish + 6);
    return request;
  }
  const end = request.lastIndexOf(255);
  const more = Buffer.concat([
    Buffer.from([50, 4]),
    address,
    Buffer.from([54, 4]),
    Buffer.from(answer.options.get(54) ?? []),
    Buffer.from([255]),
  ]);
  return Buffer.concat([request.subarray(0, end), more]);
}
