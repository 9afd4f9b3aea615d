/**
 * An undercloud for tests of the commands: the real routes of identity, nodes, images and stacks over machines that are not
 * there, and servers that are made of memory.
 */
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Baremetal, createBaremetal } from '../../services/baremetal/index.ts';
import { type Api, type Authenticate, createApi, type Listener, listen } from '../../services/core/http/index.ts';
import { createIdentity } from '../../services/identity/index.ts';
import { createImages, diskBlobs, type Images } from '../../services/image/index.ts';
import { createFakeMachines, createPower, type FakeMachines } from '../../services/power/index.ts';
import { newOutside, type Stage, stage } from './stacks.ts';
import { createWorld, type World } from './world.ts';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export interface Running {
  readonly ended: Promise<Ran>;
  /** Resolves when either output has the text. */
  says(text: string): Promise<void>;
  interrupt(signal?: 'SIGINT' | 'SIGTERM'): void;
}

export interface Appliance {
  readonly world: World;
  readonly baremetal: Baremetal;
  readonly images: Images;
  /** Stacks; `outside` has the servers and how many nodes there are for them. */
  readonly stacks: Stage;
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

export interface ApplianceOptions {
  readonly builds?: 'at once' | 'when told';
  /** More routes, of services that this appliance does not have. */
  readonly mount?: (api: Api, parts: { world: World; authenticate: Authenticate; baremetal: Baremetal }) => void;
}

export async function createAppliance({ builds, mount }: ApplianceOptions = {}): Promise<Appliance> {
  const world = await createWorld({ keep: true });
  const dir = mkdtempSync(join(tmpdir(), 'uc-cli-'));
  const identity = createIdentity(world, { region: 'RegionOne' });
  await identity.ensureAdmin('swordfish');
  const authenticate = (token: string, id: string) => identity.authenticate(token, id);
  const fakes = createFakeMachines();
  const images = createImages(world, {
    blobs: diskBlobs(join(dir, 'blobs')),
    workDir: join(dir, 'work'),
    signingKey: generateKeyPairSync('ed25519').privateKey,
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
    consoles: { directory: join(dir, 'consoles') },
  });
  const stacks = stage(world, { authenticate, outside: newOutside(3), ...(builds && { builds }) });
  const makeApi = () => {
    const api = createApi();
    api.register(identity.routes, { prefix: '/identity' });
    api.register(baremetal.routes, { prefix: '/baremetal' });
    api.register(images.routes, { prefix: '/image' });
    api.register(stacks.orchestration.routes, { prefix: '/orchestration' });
    api.register(stacks.orchestration.cfnRoutes, { prefix: '/cfn' });
    mount?.(api, { world, authenticate, baremetal });
    return api;
  };
  let api = makeApi();
  let listener: Listener | null = await listen(api, { host: '127.0.0.1', port: 0 });
  const { port } = listener.address as AddressInfo;
  await world.operations.run();
  await baremetal.start();
  await stacks.orchestration.start();
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
      [
        '--disable-warning=ExperimentalWarning',
        join(import.meta.dirname, '../../services/cli', `${program}.ts`),
        ...args,
      ],
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
      interrupt: (signal = 'SIGINT') => void child.kill(signal),
    };
  }

  return {
    world,
    baremetal,
    images,
    stacks,
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
      await baremetal.stop();
      stacks.orchestration.stop();
      await world.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
