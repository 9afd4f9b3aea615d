/** An undercloud for tests of the commands: the real routes of identity, nodes and images over machines that are not there. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWorld, type World } from '../../test/setup/world.ts';
import { type Baremetal, createBaremetal } from '../baremetal/index.ts';
import { createApi, type Listener, listen, type Routes } from '../core/http/index.ts';
import { createIdentity } from '../identity/index.ts';
import { createImages, diskBlobs, type Images } from '../image/index.ts';
import { createFakeMachines, createPower, type FakeMachines } from '../power/index.ts';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export interface Running {
  readonly ended: Promise<Ran>;
  /** Resolves when either output has the text. */
  says(text: string): Promise<void>;
  interrupt(): void;
}

export interface Appliance {
  readonly world: World;
  readonly baremetal: Baremetal;
  readonly images: Images;
  readonly fakes: FakeMachines;
  readonly url: string;
  readonly dir: string;
  readonly environment: Readonly<Record<string, string>>;
  /** A command to its end. */
  run(program: 'undercloud' | 'overcloud', ...args: string[]): Promise<Ran>;
  start(program: 'undercloud' | 'overcloud', ...args: string[]): Running;
  /** The API's listener goes and comes again, as when `serve` is restarted without its supervisor. */
  away(): Promise<void>;
  back(): Promise<void>;
  close(): Promise<void>;
}

export async function createAppliance(more: Readonly<Record<string, Routes>> = {}): Promise<Appliance> {
  const world = await createWorld({ keep: true });
  const dir = mkdtempSync(join(tmpdir(), 'uc-cli-'));
  const identity = createIdentity(world, { region: 'RegionOne' });
  await identity.ensureAdmin('swordfish');
  const authenticate = (token: string, id: string) => identity.authenticate(token, id);
  const fakes = createFakeMachines();
  const images = createImages(world, {
    blobs: diskBlobs(join(dir, 'blobs')),
    linkKey: Buffer.from('key'),
    deliveryUrl: '',
    authenticate,
  });
  const baremetal = createBaremetal(world, {
    power: createPower(world, { fakes }),
    images,
    authenticate,
    hostname: 'undercloud',
    speed: 0.05,
  });
  const makeApi = () => {
    const api = createApi();
    api.register(identity.routes, { prefix: '/identity' });
    api.register(baremetal.routes, { prefix: '/baremetal' });
    api.register(images.routes, { prefix: '/image' });
    for (const [prefix, routes] of Object.entries(more)) api.register(routes, { prefix });
    return api;
  };
  let api = makeApi();
  let listener: Listener | null = await listen(api, { host: '127.0.0.1', port: 0 });
  const { port } = listener.address as AddressInfo;
  await world.operations.run();
  await baremetal.start();
  const url = `http://127.0.0.1:${port}`;
  const environment = {
    PATH: process.env.PATH ?? '',
    HOME: '/nonexistent',
    OS_AUTH_URL: `${url}/identity/v3`,
    OS_USERNAME: 'admin',
    OS_PASSWORD: 'swordfish',
    OS_PROJECT_NAME: 'admin',
  };

  function start(program: 'undercloud' | 'overcloud', ...args: string[]): Running {
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, `${program}.ts`), ...args],
      { env: environment, cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let stdout = '';
    let stderr = '';
    let heard = () => {};
    child.stdout.on('data', (part) => {
      stdout += part;
      heard();
    });
    child.stderr.on('data', (part) => {
      stderr += part;
      heard();
    });
    const ended = new Promise<Ran>((resolve) =>
      child.once('close', (code) => {
        heard();
        resolve({ code: code ?? -1, stdout, stderr });
      }),
    );
    return {
      ended,
      says: (text) =>
        new Promise((resolve, reject) => {
          heard = () => {
            if ((stdout + stderr).includes(text)) resolve();
            else if (child.exitCode !== null) reject(new Error(`${program} ended without saying “${text}”: ${stderr}`));
          };
          heard();
        }),
      interrupt: () => void child.kill('SIGINT'),
    };
  }

  return {
    world,
    baremetal,
    images,
    fakes,
    url,
    dir,
    environment,
    start,
    run: (program, ...args) => start(program, ...args).ended,
    async away() {
      await listener?.close();
      await api.close();
      listener = null;
    },
    async back() {
      api = makeApi();
      listener = await listen(api, { host: '127.0.0.1', port });
    },
    async close() {
      await listener?.close();
      await api.close();
      baremetal.stop();
      await world.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
