/**
 * A rack of machines that are not there: fake BMCs, and in each machine that is started into the agent the real agent on
 * simulated hardware, whose disk is a file. It outlives the undercloud under test: `attach` joins it to the next life.
 */
import { generateKeyPairSync, hash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { type Agent, createAgent, createSimulatedHardware, type Hardware } from '../../services/agent/index.ts';
import {
  type Baremetal,
  type BaremetalDeps,
  createBaremetal,
  type DeployInfo,
} from '../../services/baremetal/index.ts';
import { type Api, createApi, type Listener, listen } from '../../services/core/http/index.ts';
import { CHUNK_SIZE, encodeChunkIndex, signManifest } from '../../services/ipa/index.ts';
import { createFakeMachines, createPower, type FakeMachines } from '../../services/power/index.ts';
import type { World } from './world.ts';

const mib = 1_048_576;

export interface RackImage {
  readonly raw: Buffer;
  readonly info: DeployInfo;
  /** The stored object: a test spoils it. */
  readonly object: Buffer;
}

export interface RackMachine {
  readonly uuid: string;
  readonly mac: string;
  readonly disk: string;
  /** How its last life ended, and its agent while it has one. */
  agent: Agent | null;
  ends: string[];
}

export interface Rack {
  readonly fakes: FakeMachines;
  readonly image: RackImage;
  machine(options?: { diskBytes?: number; replace?: Partial<Hardware> }): RackMachine;
  machines: Map<string, RackMachine>;
  /** Joins the rack to an undercloud; its API listens where the one before did. */
  attach(world: World, deps?: Partial<BaremetalDeps>): Promise<{ baremetal: Baremetal; api: Api; url: string }>;
  /** Whether a machine that asks now is heard: false plays a dead network. */
  answering: boolean;
  close(): Promise<void>;
}

/** By which this rack's image is signed; every agent of it has the public half, as its trust archive would bring it. */
const imageKeys = generateKeyPairSync('ed25519');

function pack(raw: Buffer, url: (name: string) => string): RackImage & { index: string } {
  const frames: Buffer[] = [];
  let used = 0;
  const chunks: ([number, number, number, string] | null)[] = [];
  for (let at = 0; at < raw.length; at += CHUNK_SIZE) {
    const piece = raw.subarray(at, at + CHUNK_SIZE);
    const frame = zstdCompressSync(piece);
    chunks.push([0, used, frame.length, hash('sha256', piece, 'hex')]);
    frames.push(frame);
    used += frame.length;
  }
  const object = Buffer.concat(frames);
  const index = encodeChunkIndex({
    format: 'undercloud.chunks/1',
    size: raw.length,
    chunkSize: CHUNK_SIZE,
    objects: [{ name: 'object-0', size: object.length, sha256: hash('sha256', object, 'hex') }],
    chunks,
  });
  const index256 = hash('sha256', index, 'hex');
  const manifest = signManifest(
    {
      format: 'undercloud.delivery/1',
      image: 'the-id-of-test-image',
      name: 'test-image',
      size: raw.length,
      index: { sha256: index256, bytes: index.length },
    },
    imageKeys.privateKey,
  );
  return {
    raw,
    object,
    index,
    info: {
      id: 'the-id-of-test-image',
      manifest,
      name: 'test-image',
      size: raw.length,
      index_url: url('index'),
      index_sha256: index256,
      objects: { 'object-0': url('object-0') },
      stream_url: url('raw'),
      disk_format: 'raw',
      os_hash_algo: 'sha256',
      os_hash_value: hash('sha256', raw, 'hex'),
      kexec: { kernel: { path: '/vmlinuz', partition: 1 }, cmdline: 'root=/dev/vda1' },
    },
  };
}

export async function createRack(): Promise<Rack> {
  const dir = mkdtempSync(join(tmpdir(), 'uc-rack-'));
  const fakes = createFakeMachines();
  const machines = new Map<string, RackMachine>();
  const hardware = new Map<string, Partial<Hardware>>();
  let port = 0;
  let current: { baremetal: Baremetal; url: string } | null = null;
  let joined: (() => void)[] = [];
  let listener: Listener | null = null;
  const running = new Set<Promise<void>>();

  const files = http.createServer((request, response) => {
    const name = (request.url ?? '/').slice(1);
    const whole = name === 'index' ? Buffer.from(packed.index) : name === 'raw' ? packed.raw : packed.object;
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    if (from === undefined) return response.end(whole);
    const end = to ? Math.min(Number(to) + 1, whole.length) : whole.length;
    const part = whole.subarray(Number(from), end);
    response.writeHead(206, {
      'content-length': part.length,
      'content-range': `bytes ${from}-${end - 1}/${whole.length}`,
    });
    response.end(part);
  });
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
  const { port: filePort } = files.address() as AddressInfo;
  const packed = pack(randomBytes(3 * mib), (name) => `http://127.0.0.1:${filePort}/${name}`);

  const rack: Rack = {
    fakes,
    image: packed,
    machines,
    answering: true,
    machine({ diskBytes = 8 * mib, replace } = {}) {
      const uuid = randomUUID();
      const disk = join(dir, uuid);
      writeFileSync(disk, '');
      truncateSync(disk, diskBytes);
      const mac = `52:54:00:${randomBytes(3).toString('hex').match(/../g)?.join(':')}`;
      const machine: RackMachine = { uuid, mac, disk, agent: null, ends: [] };
      machines.set(uuid, machine);
      if (replace) hardware.set(uuid, replace);
      return machine;
    },
    async attach(world, deps = {}) {
      const power = createPower(world, { fakes });
      const baremetal = createBaremetal(world, {
        power,
        images: { deployInfo: async () => packed.info },
        authenticate: 'none',
        hostname: 'undercloud',
        speed: 0.05,
        ...deps,
      });
      const api = createApi();
      await api.register(baremetal.agentRoutes as never);
      await api.register(baremetal.routes as never, { prefix: '/baremetal' });
      await listener?.close();
      listener = await listen(api, { host: '127.0.0.1', port });
      port = (listener.address as AddressInfo).port;
      const url = `http://127.0.0.1:${port}`;
      await baremetal.start();
      current = { baremetal, url };
      const waiting = joined;
      joined = [];
      for (const resolve of waiting) resolve();
      return { baremetal, api, url };
    },
    async close() {
      await Promise.all([...machines.values()].map(({ agent }) => agent?.stop()));
      rack.answering = false;
      for (const resolve of joined) resolve();
      await Promise.allSettled(running);
      await listener?.close();
      await new Promise<void>((resolve) => {
        files.close(() => resolve());
        files.closeAllConnections();
      });
      rmSync(dir, { recursive: true, force: true });
    },
  };

  /** Firmware: asks what to boot until somebody answers, as a machine does whose undercloud is being restarted. */
  async function boot(machine: RackMachine, start: number): Promise<void> {
    const still = () => fakes.machine(machine.uuid).power === 'on' && fakes.machine(machine.uuid).starts === start;
    while (rack.answering && still()) {
      const life = current;
      const intent = life ? await life.baremetal.bootIntent(machine.mac).catch(() => null) : null;
      if (!still()) return;
      if (!life || (!intent && life === current)) {
        await new Promise<void>((resolve) => joined.push(resolve));
        continue;
      }
      if (!intent) continue;
      if (intent.intent !== 'agent' || intent.token === undefined) return;
      return runAgent(machine, life.url, intent.token);
    }
  }

  async function runAgent(machine: RackMachine, url: string, bootToken: string): Promise<void> {
    const agent = createAgent({
      hardware: createSimulatedHardware({
        disks: [machine.disk],
        addresses: [machine.mac],
        files: { '/vmlinuz': machine.disk },
        onEnd(end) {
          machine.ends.push(end);
          machine.agent = null;
          const fake = fakes.bmc({
            key: machine.uuid,
            driver: 'fake',
            address: '',
            port: 623,
            username: '',
            password: '',
            options: {},
          });
          if (end === 'power off') return fake.setPower('off');
          if (end === 'reboot') return fake.setPower('reboot');
        },
        replace: hardware.get(machine.uuid) ?? {},
      }),
      imageKey: imageKeys.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      apiUrls: [url],
      bootToken,
      tls: false,
      listenHost: '127.0.0.1',
      listenPort: 0,
      rootDiskMinimum: mib,
      timing: { lookupIntervalMs: 20, heartbeatGapMs: 20, progressMs: 20, leaveMs: 1_000 },
    });
    machine.agent = agent;
    await agent.start().catch(() => {});
  }

  fakes.onChange(({ key, power, bootDevice }) => {
    const machine = machines.get(key);
    if (!machine) return;
    const before = machine.agent;
    machine.agent = null;
    void before?.stop();
    if (power !== 'on' || bootDevice?.device !== 'pxe') return;
    const work = boot(machine, fakes.machine(key).starts).finally(() => running.delete(work));
    running.add(work);
  });
  return rack;
}

/** What is on the machine's disk, from its beginning. */
export const diskOf = (machine: RackMachine, bytes: number): Buffer => readFileSync(machine.disk).subarray(0, bytes);
