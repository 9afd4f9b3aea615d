/**
 * Bootstrap as data: steps in order, each safe to run again and each saying what it did, so that a run that was
 * interrupted anywhere is mended by another run.
 */
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { makeDiskLoader } from '../services/boot/index.ts';
import { systemClock } from '../services/core/clock.ts';
import { type Config, type ProvisioningConfig, readConfig, statePaths } from '../services/core/config.ts';
import { openDatabase } from '../services/core/database/index.ts';
import { fault } from '../services/core/errors/index.ts';
import { createRecorder } from '../services/core/events/index.ts';
import { createOperations } from '../services/core/operations/index.ts';
import { readSecrets } from '../services/core/secrets.ts';
import { createIdentity } from '../services/identity/index.ts';
import { labAddresses, labNetworkUp, provisioningInterface } from '../services/lab/index.ts';
import { cloudName, cloudsYaml } from './clouds.ts';
import { diagnose } from './doctor.ts';
import { ensureKeys } from './keys.ts';
import { ensurePackages, type PackageGroup } from './packages.ts';
import { ensureCluster } from './postgresql.ts';
import { ensureRamdisk } from './ramdisk.ts';
import { embeddedDatabaseUrl, embeddedRedisUrl } from './run-dir.ts';
import { ensureStarted, stopServices } from './services.ts';
import { checkReachable, ensureUser, findUser, type Ids } from './user.ts';

export interface BootstrapOptions {
  stateDir: string;
  /** `127.0.0.1:6385` */
  listen: string;
  publicUrl?: string;
  provisioningInterface?: string;
  /** `192.0.2.1/24`; default: the interface's own address. */
  provisioningAddress?: string;
  lab: boolean;
  databaseUrl?: string;
  redisUrl?: string;
  region: string;
}

export interface Summary {
  apiUrl: string;
  clouds: string;
  stateDir: string;
  listen: string;
}

export interface Step {
  readonly title: string;
  readonly skip?: string | false;
  /** Returns what it did, in a few words; nothing when there was nothing to do. */
  run(say: (line: string) => void): Promise<string | undefined>;
}

export function bootstrapSteps(options: BootstrapOptions): { steps: Step[]; summary: () => Summary } {
  const { stateDir } = options;
  const paths = statePaths(stateDir);
  const provisioned = options.lab || options.provisioningInterface !== undefined;
  const groups: PackageGroup[] = [
    'undercloud',
    ...(provisioned ? (['images'] as const) : []),
    ...(options.lab ? (['lab'] as const) : []),
  ];
  const embedded = options.databaseUrl === undefined;
  let ids: Ids = { uid: -1, gid: -1 };
  let changed = false;
  const apiUrl = options.publicUrl ?? `https://${options.listen.replace(/^(0\.0\.0\.0|\[::\])/, 'localhost')}`;

  const steps: Step[] = [
    {
      title: 'Check the machine',
      async run() {
        if (process.getuid?.() !== 0)
          throw fault('not-root', { command: 'bootstrap', why: 'installs packages and makes a service user' });
        const found = await diagnose({ ...options, groups });
        const faults = found.filter((one) => !one.ok && one.blocking);
        if (faults.length > 0)
          throw fault('machine-unfit', { faults: faults.map((one) => `${one.finding}. ${one.remedy}`).join(' ') });
        return undefined;
      },
    },
    {
      title: 'Install Debian packages',
      async run(say) {
        const made = await ensurePackages(groups, say);
        return made.length > 0 ? `${made.length} packages` : undefined;
      },
    },
    {
      title: 'Make the service user and the state directory',
      async run() {
        const known = findUser() !== null;
        ids = await ensureUser();
        mkdirSync(stateDir, { recursive: true, mode: 0o755 });
        chownSync(stateDir, ids.uid, ids.gid);
        for (const dir of [paths.logs, paths.images, paths.cache, paths.boot]) {
          mkdirSync(dir, { recursive: true, mode: 0o755 });
          chownSync(dir, ids.uid, ids.gid);
        }
        checkReachable(stateDir, ids);
        return known ? undefined : 'user undercloud';
      },
    },
    {
      title: 'Raise the lab’s network',
      skip: options.lab ? false : 'no --lab',
      async run(say) {
        await labNetworkUp(stateDir, say);
        return undefined;
      },
    },
    {
      title: 'Write the configuration',
      async run() {
        const text = `${JSON.stringify(configOf(options), null, 2)}\n`;
        changed = !existsSync(paths.config) || readFileSync(paths.config, 'utf8') !== text;
        if (!changed) return undefined;
        writeFileSync(paths.config, text, { mode: 0o640 });
        chownSync(paths.config, ids.uid, ids.gid);
        return paths.config;
      },
    },
    {
      title: 'Make keys and certificates',
      async run() {
        const provisioning = configOf(options).provisioning;
        const listening = [
          hostOf(options.listen),
          ...(provisioning ? [provisioning.address] : []),
          ...ownAddresses(hostOf(options.listen)),
        ];
        const made = await ensureKeys(paths, listening.filter(isAddress), ids);
        changed ||= made.length > 0;
        return made.length > 0 ? made.join('; ') : undefined;
      },
    },
    {
      title: 'Make the PostgreSQL cluster',
      skip: embedded ? false : 'an external database was given',
      async run() {
        await ensureCluster(paths.database, ids);
        return undefined;
      },
    },
    {
      title: 'Start the services',
      async run() {
        if (changed) await stopServices(stateDir);
        const already = !(await ensureStarted(stateDir));
        return already ? undefined : `API at ${apiUrl}`;
      },
    },
    {
      title: 'Make the administrator and clouds.yaml',
      async run() {
        const password = knownPassword(paths.clouds) ?? randomBytes(18).toString('base64url');
        await makeAdministrator(readConfig(stateDir), password);
        const access = {
          authUrl: `${apiUrl}/identity/v3`,
          username: 'admin',
          password,
          project: 'admin',
          region: options.region,
          caCertificate: paths.caCertificate,
        };
        const text = cloudsYaml(access);
        if (existsSync(paths.clouds) && readFileSync(paths.clouds, 'utf8') === text) return undefined;
        rmSync(paths.clouds, { force: true });
        writeFileSync(paths.clouds, text, { mode: 0o600 });
        return paths.clouds;
      },
    },
    {
      title: 'Build the deploy ramdisk',
      skip: provisioned ? false : 'no provisioning interface: built when it is first needed',
      async run(say) {
        copyLoaders(paths.boot);
        await makeDiskLoader(paths.boot);
        return ensureRamdisk({ stateDir, profile: options.lab ? 'lab' : 'hardware', ids, say });
      },
    },
    {
      title: 'Put undercloud and overcloud into the PATH',
      async run() {
        const made = ['undercloud', 'overcloud'].filter((name) =>
          link(join(import.meta.dirname, name), `/usr/local/bin/${name}`),
        );
        return made.length > 0 ? made.map((name) => `/usr/local/bin/${name}`).join(', ') : undefined;
      },
    },
  ];
  return { steps, summary: () => ({ apiUrl, clouds: paths.clouds, stateDir, listen: options.listen }) };
}

const hostOf = (listen: string): string => listen.slice(0, listen.lastIndexOf(':')).replace(/^\[|\]$/g, '');
const isAddress = (host: string): boolean => /^[0-9.]+$/.test(host) || host.includes(':');
/** A wildcard listener answers on every address of the machine, and the certificate names each. */
function ownAddresses(host: string): string[] {
  if (host !== '0.0.0.0' && host !== '::') return [];
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).filter((one) => !one.internal && !one.address.startsWith('fe80')).map((one) => one.address),
  );
}

function configOf(options: BootstrapOptions): Config {
  return {
    stateDir: options.stateDir,
    listen: options.listen,
    ...(options.publicUrl && { publicUrl: options.publicUrl }),
    databaseUrl: options.databaseUrl ?? embeddedDatabaseUrl(options.stateDir),
    redisUrl: options.redisUrl ?? embeddedRedisUrl(options.stateDir),
    lab: options.lab,
    provisioning: provisioningOf(options),
    region: options.region,
  };
}

/** The seeds' addressing: the undercloud and the nodes it lays out live in the lower quarter of the /24. */
const labPool: [string, string] = ['192.0.2.2', '192.0.2.62'];

function provisioningOf(options: BootstrapOptions): ProvisioningConfig | null {
  if (options.lab) {
    const address = labAddresses.undercloud;
    return {
      interface: provisioningInterface,
      address,
      cidr: '192.0.2.0/24',
      pool: labPool,
      gateway: address,
      nameservers: [],
    };
  }
  const device = options.provisioningInterface;
  if (!device) return null;
  const own = networkInterfaces()[device]?.find((one) => one.family === 'IPv4');
  const [address, prefix] = (options.provisioningAddress ?? own?.cidr ?? '').split('/');
  if (!address || !prefix) {
    throw fault('bootstrap-step', {
      step: `use ${device} for provisioning`,
      reason: 'it has no IPv4 address; give it one, or say --provisioning-address ADDRESS/PREFIX',
    });
  }
  const { network, first, last } = rangeOf(address, Number(prefix));
  return {
    interface: device,
    address,
    cidr: `${network}/${prefix}`,
    pool: [first, last],
    gateway: address,
    nameservers: [],
  };
}

/** The addresses after our own, up to the end of the network. */
function rangeOf(address: string, prefix: number): { network: string; first: string; last: string } {
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - prefix);
  const network = Math.floor(number / size) * size;
  const text = (n: number) => [24, 16, 8, 0].map((bits) => Math.floor(n / 2 ** bits) % 256).join('.');
  return { network: text(network), first: text(number + 1), last: text(network + size - 2) };
}

function knownPassword(clouds: string): string | null {
  if (!existsSync(clouds)) return null;
  const parsed = parse(readFileSync(clouds, 'utf8')) as {
    clouds?: Record<string, { auth?: { password?: string } }>;
  } | null;
  return parsed?.clouds?.[cloudName]?.auth?.password ?? null;
}

async function makeAdministrator(config: Config, password: string): Promise<void> {
  const db = openDatabase({ url: config.databaseUrl, maxConnections: 2, applicationName: 'undercloud-bootstrap' });
  try {
    const recorder = createRecorder(db);
    const operations = createOperations({ db, recorder, owner: 'bootstrap' });
    const secrets = readSecrets(statePaths(config.stateDir).secretKey);
    const identity = createIdentity(
      { db, recorder, operations, secrets, clock: systemClock },
      { region: config.region },
    );
    await identity.ensureAdmin(password);
  } finally {
    await db.close();
  }
}

/** What firmware loads first, from Debian's package `ipxe`. */
const loaders = {
  'undionly.kpxe': '/usr/lib/ipxe/undionly.kpxe',
  'snponly.efi': '/usr/lib/ipxe/snponly.efi',
  'ipxe.efi': '/boot/ipxe.efi',
};

function copyLoaders(dir: string): void {
  for (const [name, from] of Object.entries(loaders)) copyFileSync(from, join(dir, name));
}

/** True when it made the link. A file of somebody else's under that name is left alone. */
function link(target: string, at: string): boolean {
  try {
    if (readlinkSync(at) === target) return false;
    rmSync(at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false;
  }
  symlinkSync(target, at);
  return true;
}
