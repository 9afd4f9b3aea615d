/**
 * Bootstrap as data: steps in order, each safe to run again and each saying what it did, so that a run that was
 * interrupted anywhere is mended by another run.
 */
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { makeDiskLoader, networkDoctor } from '../services/boot/index.ts';
import { systemClock } from '../services/core/clock.ts';
import { type Config, readConfig, statePaths } from '../services/core/config.ts';
import { openDatabase } from '../services/core/database/index.ts';
import { Fault, fault } from '../services/core/errors/index.ts';
import { createRecorder } from '../services/core/events/index.ts';
import { createOperations } from '../services/core/operations/index.ts';
import { readSecrets } from '../services/core/secrets.ts';
import { createIdentity } from '../services/identity/index.ts';
import { labNetworkUp } from '../services/lab/index.ts';
import { cloudName, cloudsYaml } from './clouds.ts';
import { debianStoreOf } from './debian-store.ts';
import { diagnose } from './doctor.ts';
import { imageStoreOf } from './image-store.ts';
import { ensureKeys } from './keys.ts';
import { ensureLoaders } from './loaders.ts';
import { ensurePackages, type PackageGroup } from './packages.ts';
import { ensureCluster } from './postgresql.ts';
import { ensureRamdisk } from './ramdisk.ts';
import { ensureStarted, isOutdated, stopServices } from './services.ts';
import { apiUrlOf, type BootstrapOptions, checkUsage, configOf, listeningNames, policiesOf } from './settings.ts';
import { checkReachable, ensureUser, findUser, type Ids } from './user.ts';
import { writeWhole } from './whole-file.ts';

export type { BootstrapOptions } from './settings.ts';

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
  checkUsage(options);
  const { stateDir } = options;
  const paths = statePaths(stateDir);
  const provisioned = options.lab || options.provisioningInterface !== undefined;
  const groups: PackageGroup[] = [
    'api',
    ...(options.databaseUrl ? [] : (['database'] as const)),
    ...(options.redisUrl ? [] : (['queue'] as const)),
    ...(provisioned ? (['images'] as const) : []),
    ...(options.lab ? (['lab'] as const) : []),
  ];
  const embedded = options.databaseUrl === undefined;
  let ids: Ids = { uid: -1, gid: -1 };
  const apiUrl = apiUrlOf(options);

  const steps: Step[] = [
    {
      title: 'Check the machine',
      async run() {
        if (process.getuid?.() !== 0)
          throw fault('not-root', { command: 'bootstrap', why: 'installs packages and makes a service user' });
        // Directories that we make on the way must let the service user pass, whatever the operator's shell says.
        process.umask(0o022);
        const found = await diagnose({ ...options, wire: policiesOf(options), groups, probeNetwork: networkDoctor });
        const faults = found.filter((one) => !one.ok && one.blocking);
        if (faults.length > 0)
          throw fault('machine-unfit', { faults: faults.map((one) => `${one.finding}. ${one.remedy}`).join(' ') });
        return undefined;
      },
    },
    {
      title: 'Install Debian packages',
      async run(say) {
        const made = await ensurePackages(groups, say, debianStoreOf(stateDir));
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
      // Before it is written down: a wrong bucket would be one that images are not moved from.
      title: 'Reach the image store',
      skip: imageStoreOf(stateDir, options) ? false : 'images are kept on this machine',
      async run() {
        const store = imageStoreOf(stateDir, options);
        if (!store) return undefined;
        // The SDK is a quarter of a second of loading, and few need it.
        const { s3Blobs } = await import('../services/image/index.ts');
        const blobs = s3Blobs(store);
        await blobs.ensureBucket().finally(() => blobs.close());
        return `bucket ${store.bucket} at ${store.endpoint}`;
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
        return writeWhole(paths.config, text, { mode: 0o640, owner: ids }) ? paths.config : undefined;
      },
    },
    {
      title: 'Make keys and certificates',
      async run() {
        const made = await ensureKeys(paths, listeningNames(options), ids);
        return made.length > 0 ? made.join('; ') : undefined;
      },
    },
    {
      title: 'Make the PostgreSQL cluster',
      skip: embedded ? false : 'an external database was given',
      run: () => ensureCluster(paths.database, ids),
    },
    {
      title: 'Start the services',
      async run() {
        const isRestart = isOutdated(stateDir) && (await stopServices(stateDir));
        const isStarted = await ensureStarted(stateDir);
        return isStarted ? `API at ${apiUrl}${isRestart ? ', anew with what has changed' : ''}` : undefined;
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
        return writeWhole(paths.clouds, cloudsYaml(access), { mode: 0o600 }) ? paths.clouds : undefined;
      },
    },
    {
      title: 'Build the deploy ramdisk',
      skip: provisioned ? false : 'no provisioning interface: built when it is first needed',
      async run(say) {
        await ensureLoaders(paths.boot, say);
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
  return {
    steps: steps.map(sentenced),
    summary: () => ({ apiUrl, clouds: paths.clouds, stateDir, listen: options.listen }),
  };
}

/** A program's own complaint (apt-get, initdb, mmdebstrap) as a sentence that says which step it ended. */
export const sentenced = (step: Step): Step => ({
  ...step,
  async run(say) {
    try {
      return await step.run(say);
    } catch (error) {
      if (error instanceof Fault) throw error;
      const { title } = step;
      const reason = (error as Error).message.trim().replace(/(?<![.!?])$/, '.');
      throw fault('bootstrap-step', { step: `${title[0]?.toLowerCase()}${title.slice(1)}`, reason }, error);
    }
  },
});

function knownPassword(clouds: string): string | null {
  if (!existsSync(clouds)) return null;
  const parsed = parseDocument(readFileSync(clouds, 'utf8'));
  const password = parsed.errors.length > 0 ? null : parsed.getIn(['clouds', cloudName, 'auth', 'password']);
  return typeof password === 'string' && password !== '' ? password : null;
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
