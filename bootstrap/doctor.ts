/** What may be wrong with a machine, as a table: each check names its fault and the remedy. */
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import net from 'node:net';
import { totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { missingPackages, type PackageGroup } from './packages.ts';
import { livingPid } from './process.ts';
import { runPaths } from './run-dir.ts';
import { checkReachable, findUser } from './user.ts';

export interface Diagnosis {
  check: string;
  ok: boolean;
  /** What was found. */
  finding: string;
  /** Empty when all is well. */
  remedy: string;
  /** A fault that bootstrap cannot mend by itself. */
  blocking: boolean;
}

export interface DoctorOptions {
  stateDir: string;
  listen: string;
  provisioningInterface?: string;
  lab?: boolean;
  groups: readonly PackageGroup[];
  /** Looks for foreign DHCP servers on the provisioning interface; handed in because it needs a socket there. */
  probeNetwork?: (device: string) => Promise<{ servers: { id: string; mac: string }[] }>;
}

interface Check {
  name: string;
  when?: (options: DoctorOptions) => boolean;
  run(options: DoctorOptions): Promise<Omit<Diagnosis, 'check'>>;
}

const well = (finding: string) => ({ ok: true, finding, remedy: '', blocking: false });
const ill = (finding: string, remedy: string, blocking = true) => ({ ok: false, finding, remedy, blocking });

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
      return known
        ? well(name)
        : ill(
            `this is ${name}`,
            'Use Debian 12 or newer, or give external services with --database-url and --redis-url.',
            false,
          );
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
        const { sentence, remedy } = error as { sentence: string; remedy: string };
        return ill(sentence, remedy);
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
    name: 'API port',
    async run({ stateDir, listen }) {
      if (livingPid(runPaths(stateDir).supervisorPid) !== null) return well(`${listen} is this undercloud’s own`);
      const at = listen.lastIndexOf(':');
      const taken = await cannotListen(listen.slice(0, at).replace(/^\[|\]$/g, ''), Number(listen.slice(at + 1)));
      return taken
        ? ill(`${listen}: ${taken}`, 'Stop the program that has it (`ss -ltnp`), or choose another with --listen.')
        : well(`${listen} is free`);
    },
  },
  {
    name: 'provisioning interface',
    when: ({ provisioningInterface, lab }) => !lab && provisioningInterface !== undefined,
    async run({ provisioningInterface = '' }) {
      const dir = `/sys/class/net/${provisioningInterface}`;
      if (!existsSync(dir))
        return ill(`there is no interface ${provisioningInterface}`, 'See `ip link`; name one that is there.');
      const up = readFileSync(`${dir}/operstate`, 'utf8').trim();
      return up === 'down'
        ? ill(`${provisioningInterface} is down`, `Bring it up: \`ip link set ${provisioningInterface} up\`.`)
        : well(`${provisioningInterface} is ${up}`);
    },
  },
  {
    name: 'foreign DHCP server',
    when: ({ provisioningInterface, lab, probeNetwork }) =>
      !lab && provisioningInterface !== undefined && probeNetwork !== undefined,
    async run({ stateDir, provisioningInterface = '', probeNetwork }) {
      if (livingPid(runPaths(stateDir).supervisorPid) !== null) return well('this undercloud answers on it');
      const found = (await probeNetwork?.(provisioningInterface))?.servers ?? [];
      if (found.length === 0) return well(`nobody else answers on ${provisioningInterface}`);
      const who = found.map((server) => `${server.id} (${server.mac})`).join(', ');
      return ill(
        `${who} answers DHCP on ${provisioningInterface}`,
        'Stop that server, or put the nodes on a network of their own.',
      );
    },
  },
];

function cannotListen(host: string, port: number): Promise<string | null> {
  return new Promise((done) => {
    const probe = net.createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      done(error.code === 'EADDRINUSE' ? 'another program listens there' : error.message),
    );
    probe.listen({ host, port }, () => probe.close(() => done(null)));
  });
}

export async function diagnose(options: DoctorOptions): Promise<Diagnosis[]> {
  const found: Diagnosis[] = [];
  for (const check of checks) {
    if (check.when && !check.when(options)) continue;
    const outcome = await check
      .run(options)
      .catch((error: Error) => ill(`could not be checked: ${error.message}`, 'Mend that first.', false));
    found.push({ check: check.name, ...outcome });
  }
  return found;
}
