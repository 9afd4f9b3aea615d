/** What may be wrong with a machine, as a table: each check names its fault and the remedy. */
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import net from 'node:net';
import { totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { hearsItself, networkDoctor, type SelfHearing } from '../services/boot/index.ts';
import { type Config, readConfig, statePaths } from '../services/core/config.ts';
import type { Fault } from '../services/core/errors/index.ts';
import { type Check, type Diagnosis, type DoctorOptions, ill, well } from './diagnosis.ts';
import { kernelChecks } from './kernel-checks.ts';
import { missingPackages, type PackageGroup } from './packages.ts';
import { clusterMajor, postgresqlPrograms } from './postgresql.ts';
import { checkout, programPlace } from './program-place.ts';
import { eachInterface, provisioningChecks } from './provisioning-checks.ts';
import { embeddedDatabaseUrl, embeddedRedisUrl } from './run-dir.ts';
import { standing, systemdRuns, unitName } from './services.ts';
import { checkReachable, findUser } from './user.ts';

export type { Diagnosis, DoctorOptions } from './diagnosis.ts';

const GiB = 1024 ** 3;
/** A Debian image with its chunks, the package cache and the database fit into this. */
const diskNeeded = 6 * GiB;
/** The appliance idles at a few hundred MB; an image build wants a GB of page cache. */
const memoryNeeded = 1.5 * GiB;

const checks: readonly Check[] = [
  {
    name: 'Debian',
    async run() {
      const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
      const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? 'an unknown system';
      const known = /^ID(_LIKE)?=.*debian/m.test(release);
      return known ? well(name) : ill(`this is ${name}`, 'Use Debian 12 or newer; nothing else was tried.', false);
    },
  },
  {
    name: 'root',
    async run() {
      return process.getuid?.() === 0 ? well('running as root') : ill('not running as root', 'Run it with sudo.');
    },
  },
  {
    name: 'packages',
    async run({ groups }) {
      const missing = await missingPackages(groups);
      if (missing.length === 0) return well('all there');
      return ill(`missing: ${missing.join(', ')}`, '`undercloud bootstrap` installs them.', false);
    },
  },
  {
    name: 'memory',
    async run() {
      const total = totalmem();
      const shown = `${(total / GiB).toFixed(1)} GiB`;
      return total >= memoryNeeded
        ? well(shown)
        : ill(`${shown} of memory`, `Give the machine ${memoryNeeded / GiB} GiB or more.`);
    },
  },
  {
    name: 'disk',
    async run({ stateDir }) {
      let dir = resolve(stateDir);
      while (!existsSync(dir)) dir = dirname(dir);
      const { bavail, bsize } = statfsSync(dir);
      const free = bavail * bsize;
      const shown = `${(free / GiB).toFixed(1)} GiB free at ${dir}`;
      return free >= diskNeeded
        ? well(shown)
        : ill(shown, `Free ${diskNeeded / GiB} GiB there, or choose another place with --state.`);
    },
  },
  {
    name: 'state directory',
    async run({ stateDir }) {
      const ids = findUser();
      // Before the user exists its rights are those of a stranger.
      try {
        checkReachable(stateDir, ids ?? { uid: -1, gid: -1 });
        return well(stateDir);
      } catch (error) {
        return refusal(error);
      }
    },
  },
  {
    name: 'program',
    async run() {
      // As root it makes the mount that the services would: what bootstrap could not do is found here.
      const ids = findUser();
      if (!ids || process.getuid?.() !== 0) return well(checkout);
      try {
        const place = await programPlace(ids);
        return well(place === checkout ? checkout : `${checkout}, for the service user mounted at ${place}`);
      } catch (error) {
        return refusal(error);
      }
    },
  },
  {
    name: 'clock',
    async run() {
      // An image's certificates and tokens are made from this clock; before this program was written it is surely wrong.
      const year = new Date().getUTCFullYear();
      return year >= 2026
        ? well(new Date().toISOString())
        : ill(`the clock says ${new Date().toISOString()}`, 'Set it: `date -s …`, and run an NTP client.');
    },
  },
  {
    name: 'PostgreSQL',
    async run({ stateDir }) {
      const data = statePaths(stateDir).database;
      const found = clusterMajor(data);
      if (found === null) return well('no data yet');
      try {
        return well(`data and programs of version ${postgresqlPrograms(data).major}`);
      } catch (error) {
        return refusal(error);
      }
    },
  },
  {
    name: 'start at boot',
    async run({ stateDir }) {
      return well(
        systemdRuns()
          ? `systemd runs; the services are the unit ${unitName(stateDir)}`
          : 'no systemd here: the services run below a supervisor of their own; type `undercloud start` after a reboot',
      );
    },
  },
  {
    name: 'API port',
    async run({ stateDir, listen }) {
      const at = listen.lastIndexOf(':');
      const port = Number(listen.slice(at + 1));
      const { running, orphans } = standing(stateDir);
      const own = running || orphans.length > 0 ? configuredListen(stateDir) : null;
      if (own?.endsWith(`:${port}`)) return well(`${own} is this undercloud’s own`);
      const taken = await cannotListen(listen.slice(0, at).replace(/^\[|\]$/g, ''), port);
      return taken ? ill(`${listen}: ${taken.finding}`, taken.remedy) : well(`${listen} is free`);
    },
  },
  ...kernelChecks,
];

const refusal = (error: unknown) => {
  const { sentence, remedy, message } = error as Partial<Fault> & Error;
  return ill(sentence ?? message, remedy ?? '');
};

function configuredListen(stateDir: string): string | null {
  return existsSync(statePaths(stateDir).config) ? readConfig(stateDir).listen : null;
}

const portRemedies: Readonly<Record<string, { finding: string; remedy: string }>> = {
  EADDRINUSE: {
    finding: 'another program listens there',
    remedy: 'Stop the program that has it (`ss -ltnp`), or choose another with --listen.',
  },
  EADDRNOTAVAIL: {
    finding: 'this machine has no such address',
    remedy: 'See `ip address` for those that it has, and choose one with --listen.',
  },
  EACCES: { finding: 'that port needs root', remedy: 'Run it with sudo, or choose another with --listen.' },
};

function cannotListen(host: string, port: number): Promise<{ finding: string; remedy: string } | null> {
  return new Promise((done) => {
    const probe = net.createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      done(portRemedies[error.code ?? ''] ?? { finding: error.message, remedy: 'Choose another with --listen.' }),
    );
    probe.listen({ host, port }, () => probe.close(() => done(null)));
  });
}

/** All at once: listening on the wire takes seconds, and nothing waits for another's finding. */
export async function diagnose(options: DoctorOptions): Promise<Diagnosis[]> {
  const interfaces = eachInterface(options);
  // Of several the check's name says which is meant.
  const nameOf = (check: Check, { provisioningInterface: device }: DoctorOptions) =>
    interfaces.length > 1 ? `${check.name} ${device}` : check.name;
  const wanted = [
    ...checks.map((check) => ({ check, name: check.name, options })),
    ...interfaces.flatMap((one) =>
      provisioningChecks.map((check) => ({ check, name: nameOf(check, one), options: one })),
    ),
  ];
  return Promise.all(
    wanted
      .filter(({ check, options: its }) => !check.when || check.when(its))
      .map(async ({ check, name, options: its }) => {
        const finding = await check
          .run(its)
          .catch((error: Error) => ill(`could not be checked: ${error.message}`, 'Mend that first.', false));
        return { check: name, ...finding };
      }),
  );
}

export interface DoctorWish {
  listen?: string;
  provisioningInterface?: string;
  lab?: boolean;
}

/** `undercloud doctor`: what was bootstrapped there, with what the operator asks about beside it. */
export async function diagnoseState(stateDir: string, wish: DoctorWish): Promise<Diagnosis[]> {
  const config = existsSync(statePaths(stateDir).config) ? readConfig(stateDir) : null;
  const lab = wish.lab ?? config?.lab ?? false;
  const device = wish.provisioningInterface ?? (lab ? undefined : config?.provisioning?.interface);
  const isOwn = (url: string | undefined, own: string) => url === undefined || url === own;
  const groups: PackageGroup[] = [
    'api',
    ...(isOwn(config?.databaseUrl, embeddedDatabaseUrl(stateDir)) ? (['database'] as const) : []),
    ...(isOwn(config?.redisUrl, embeddedRedisUrl(stateDir)) ? (['queue'] as const) : []),
    ...(lab || device ? (['images'] as const) : []),
    ...(lab ? (['lab'] as const) : []),
  ];
  return diagnose({
    stateDir,
    listen: wish.listen ?? config?.listen ?? '127.0.0.1:6385',
    groups,
    lab,
    ...(config?.provisioning && { wire: config.provisioning }),
    ...(device && { provisioningInterface: device, probeNetwork: networkDoctor }),
    // Who asks about another interface asks about that one alone.
    ...(device &&
      device === config?.provisioning?.interface && { furtherInterfaces: config.provisioning.further ?? [] }),
    ...(config?.provisioning && isServing(stateDir) && { hearsItself: (one) => ownHearing(config, one) }),
  });
}

/** Raw sockets are root's. */
const isServing = (stateDir: string): boolean => process.getuid?.() === 0 && standing(stateDir).running;

async function ownHearing({ provisioning, lab, stateDir }: Config, device?: string): Promise<SelfHearing> {
  const netns = lab ? (await import('../services/lab/index.ts')).labNetns(stateDir).file : undefined;
  return hearsItself(device ?? provisioning?.interface ?? '', netns === undefined ? {} : { netns });
}
