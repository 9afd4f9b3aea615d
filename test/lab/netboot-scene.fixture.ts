/**
 * A wire with the boot service on it, as the appliance runs it (unprivileged, inside the namespace), and machines with real
 * firmware that boot from it. Its events come out as they happen.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { selfSignedCertificate } from '../../services/agent/certificate.ts';
import { makeDiskLoader, signedFiles } from '../../services/boot/index.ts';
import { buildRamdisk } from '../../services/builder/index.ts';
import { enterNamespace, openProvisioningSockets } from '../../services/core/sockets.ts';
import { setup } from '../setup/database.ts';
import { ip } from './namespace.fixture.ts';
import {
  debianKernel,
  type Machine,
  type MachineOptions,
  speakingRamdisk,
  startMachine,
} from './netboot-machine.fixture.ts';
import type { ServeArgument } from './netboot-serve.fixture.ts';

const nobody = 65534;
export const nodes = {
  '52:54:00:aa:00:01': '11111111-1111-4111-8111-111111111111',
  '52:54:00:aa:00:02': '22222222-2222-4222-8222-222222222222',
  '52:54:00:aa:00:03': '33333333-3333-4333-8333-333333333333',
};
export const macs = Object.keys(nodes) as (keyof typeof nodes)[];
/** Of a machine that no node is. */
export const stranger = '52:54:00:bb:00:01';

export interface Line {
  kind: string;
  subject: { id: string };
  data: Record<string, unknown> & { text?: string };
  durationMs: number | null;
  at: string;
}

export interface Scene {
  readonly netns: string;
  /** For setns. */
  readonly file: string;
  readonly scratch: string;
  readonly bootDir: string;
  /** What the service has told, oldest first; tests empty it. */
  readonly lines: Line[];
  story(): string;
  until<T>(what: string, seconds: number, look: () => T | undefined | false): Promise<T>;
  /** What that node is to boot; resolves when the service knows. */
  intend(mac: string, intent: 'agent' | 'disk' | 'none'): Promise<void>;
  /** As `baremetal` tells it when it switches a machine on for its agent. */
  switchedOn(mac: string): Promise<void>;
  /** What a machine that is about to be switched on has to wait for, in words. */
  hold(): Promise<string | null>;
  /** Machine number so and so; beyond the nodes: the stranger. */
  machine(node: number, options: Omit<MachineOptions, 'netns' | 'scratch' | 'tap' | 'mac'>): Machine;
  /** The machine says these words on its console, or the events are told. */
  says(machine: Machine, words: string, seconds?: number): Promise<void>;
  stop(): Promise<void>;
}

export interface SceneOptions {
  /** `proxy`: beside another DHCP server. */
  readonly dhcp?: 'proxy';
  /** Multiplies what is expected of machines of which nothing is known. */
  readonly speed?: number;
  /** Nodes beside the three, uuids by MAC; they have no taps. */
  readonly more?: Readonly<Record<string, string>>;
  /** A namespace that has its `br0` already: a lab's. Default: one of its own. */
  readonly on?: { readonly name: string; readonly file: string };
  /** The deploy ramdisk of this profile; default: one that says what it was given, and goes off. */
  readonly ramdisk?: 'lab' | 'hardware';
}

export async function netbootScene({ dhcp: mode, speed, ramdisk, more, on }: SceneOptions = {}): Promise<Scene> {
  const netns = on?.name ?? `uct-netboot-${process.pid}`;
  const file = on?.file ?? `/run/netns/${netns}`;
  const undo: (() => unknown)[] = [];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    return await make();
  } catch (error) {
    await stop();
    throw error;
  }

  async function make(): Promise<Scene> {
    const scratch = mkdtempSync('/var/tmp/uct-netboot-');
    undo.push(() => rmSync(scratch, { recursive: true }));
    chmodSync(scratch, 0o755);
    const bootDir = join(scratch, 'boot');
    await fillBootDir(bootDir, scratch, ramdisk);
    const host = await database(undo);
    if (!on) wire(netns, undo);
    const sockets = openProvisioningSockets({
      netns: file,
      interface: 'br0',
      address: '192.0.2.1',
      apiPort: 6385,
      bootPort: 8088,
      ...(mode === 'proxy' && { proxy: true }),
    });
    undo.push(() => {
      for (const fd of Object.values(sockets)) closeSync(fd as number);
    });
    const { dhcp, tftp, boot, wire: packets, ra, proxy, provisioningApi } = sockets;
    const handed = { dhcp, tftp, boot, wire: packets, ra, proxy, provisioningApi };
    const given = Object.entries(handed).filter((one): one is [keyof typeof handed, number] => one[1] !== undefined);
    const argument: ServeArgument = {
      databaseUrl: `postgresql://undercloud@/netboot?host=${host}`,
      bootDir,
      interface: 'br0',
      address: '192.0.2.1',
      fds: Object.fromEntries(given.map(([name], i) => [name, i + 3])) as unknown as ServeArgument['fds'],
      nodes: { ...nodes, ...more },
      tls: selfSignedCertificate(['192.0.2.1']),
      secure: [macs[2] ?? ''],
      ...(mode && { dhcp: mode }),
      ...(speed !== undefined && { speed }),
    };
    const program = join(import.meta.dirname, 'netboot-serve.fixture.ts');
    const serve = enterNamespace(file, () =>
      spawn(process.execPath, [program, JSON.stringify(argument)], {
        uid: nobody,
        gid: nobody,
        cwd: '/',
        stdio: ['pipe', 'pipe', 'inherit', ...given.map(([, fd]) => fd)],
      }),
    );
    undo.push(() => new Promise((resolve) => serve.once('exit', resolve).kill()));
    const scene = sceneOf(serve, { netns, file, scratch, bootDir, stop });
    const ready = await scene.until('the service starts', 60, () => scene.lines.find(({ kind }) => kind === 'ready'));
    if ((ready as Line & { uid?: number }).uid !== nobody) throw new Error('the service runs with privileges');
    return scene;
  }
}

function sceneOf(serve: ChildProcess, place: Pick<Scene, 'netns' | 'file' | 'scratch' | 'bootDir' | 'stop'>): Scene {
  const { stdin, stdout } = serve;
  if (!stdout || !stdin) throw new Error('the service has no pipes');
  const lines: Line[] = [];
  createInterface({ input: stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  const story = () => lines.map((line) => `${line.at} ${line.kind} ${line.data?.text ?? ''}`).join('\n');

  /** Looks again at each sign of life: an event, or 100 ms of a console that only QEMU's file shows. */
  async function until<T>(what: string, seconds: number, look: () => T | undefined | false): Promise<T> {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const found = look();
      if (found) return found;
      if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s; events:\n${story()}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async function told(line: string): Promise<Line> {
    const answers = () => lines.filter(({ kind }) => kind === 'set');
    const before = answers().length;
    stdin?.write(`${line}\n`);
    return until(`“${line}” is taken`, 10, () => answers()[before]);
  }

  return {
    ...place,
    lines,
    story,
    until,
    async intend(mac, intent) {
      await told(`${mac} ${intent}`);
    },
    async switchedOn(mac) {
      await told(`${mac} on`);
    },
    hold: async () => ((await told('- hold')) as Line & { hold: string | null }).hold,
    machine: (node, options) =>
      startMachine({
        ...options,
        netns: place.file,
        scratch: place.scratch,
        tap: `tap${node}`,
        mac: macs[node] ?? stranger,
      }),
    async says(machine, words, seconds = 240) {
      await until(`“${words}” on the console`, seconds, () => {
        if ((machine.process.exitCode ?? machine.process.signalCode) !== null && !machine.console().includes(words))
          throw new Error(`the machine went off:\n${machine.console().slice(-3000)}\n${story()}`);
        return machine.console().includes(words);
      });
    },
  };
}

async function fillBootDir(bootDir: string, scratch: string, profile: SceneOptions['ramdisk']): Promise<void> {
  mkdirSync(join(bootDir, 'ramdisk/lab'), { recursive: true });
  for (const loader of ['undionly.kpxe', 'snponly.efi', 'ipxe.efi'])
    copyFileSync(join('/usr/lib/ipxe', loader), join(bootDir, loader));
  for (const [name, from] of Object.entries(signedFiles)) copyFileSync(from, join(bootDir, name));
  await makeDiskLoader(bootDir);
  if (profile) {
    const cache = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';
    const built = await buildRamdisk({ profile, out: join(cache, 'ramdisks'), cache });
    copyFileSync(built.kernel, join(bootDir, 'ramdisk/lab/kernel'));
    copyFileSync(built.initrd, join(bootDir, 'ramdisk/lab/ramdisk'));
    return;
  }
  copyFileSync(debianKernel(), join(bootDir, 'ramdisk/lab/kernel'));
  chmodSync(join(bootDir, 'ramdisk/lab/kernel'), 0o644);
  writeFileSync(join(bootDir, 'ramdisk/lab/ramdisk'), speakingRamdisk(scratch));
}

/** Directory of the socket of a PostgreSQL whose database `netboot` has every migration. */
async function database(undo: (() => unknown)[]): Promise<string> {
  const provided: Record<string, unknown> = {};
  const project = {
    provide(key: string, value: unknown) {
      provided[key] = value;
    },
  };
  undo.push(await setup(project as unknown as TestProject));
  const host = String(provided.databaseSocket);
  const admin = new pg.Client({ host, user: 'undercloud', database: 'postgres' });
  await admin.connect();
  await admin.query('create database netboot template template_undercloud');
  await admin.end();
  return host;
}

/** A bridge with our address, and a tap for each machine. */
function wire(netns: string, undo: (() => unknown)[]): void {
  ip(`netns add ${netns}`);
  undo.push(() => ip(`netns del ${netns}`));
  for (const command of [
    'link set lo up',
    'link add br0 type bridge stp_state 0 forward_delay 0',
    'address add 192.0.2.1/24 dev br0',
    'link set br0 up',
    ...[...macs, stranger].flatMap((_, i) => [
      `tuntap add dev tap${i} mode tap`,
      `link set tap${i} master br0`,
      `link set tap${i} up`,
    ]),
  ])
    ip(`-n ${netns} ${command}`);
}
