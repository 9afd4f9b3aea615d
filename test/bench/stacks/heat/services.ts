/** Starts and stops the peer's programs, inside a room: everything here ends with it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { databaseSocket, type Engine, engineConf, ports } from './settings.ts';

const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LANG: 'C.UTF-8' };

/** A tree whose programs can be run: with /proc, and with the few devices that they open. */
export interface Tree {
  readonly root: string;
  /** @throws Error with what it wrote, when it fails */
  run(...words: string[]): string;
  /** Its words go to a file under /var/log/bench. */
  start(name: string, words: readonly string[], more?: Readonly<Record<string, string>>): ChildProcess;
}

const mount = (...words: string[]) => execFileSync('mount', words);

/**
 * The tree as one run may change it: what it writes stays in memory and is gone with the room. That its database syncs to
 * memory is to Heat's advantage; ours syncs to the disk.
 */
export function passingTree(root: string): Tree {
  const place = '/mnt';
  mount('-t', 'tmpfs', 'run', place);
  const [upper, work, whole] = ['upper', 'work', 'tree'].map((name) => join(place, name)) as [string, string, string];
  for (const dir of [upper, work, whole]) mkdirSync(dir);
  mount('-t', 'overlay', 'tree', '-o', `lowerdir=${root},upperdir=${upper},workdir=${work}`, whole);
  return openTree(whole);
}

export function openTree(root: string): Tree {
  mount('-t', 'proc', 'proc', join(root, 'proc'));
  mount('-t', 'tmpfs', 'dev', join(root, 'dev'));
  for (const name of ['null', 'zero', 'random', 'urandom']) {
    writeFileSync(join(root, 'dev', name), '');
    mount('--bind', join('/dev', name), join(root, 'dev', name));
  }
  mkdirSync(join(root, 'dev/shm'), { mode: 0o1777 });
  mkdirSync(join(root, 'var/log/bench'), { recursive: true });
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  return {
    root,
    run(...words) {
      try {
        return execFileSync('chroot', [root, ...words], { env, encoding: 'utf8', stdio: [...stdio] });
      } catch (error) {
        throw new Error(`${words.join(' ')}: ${(error as { stderr?: string }).stderr?.slice(-2_000)}`);
      }
    },
    start(name, words, more = {}) {
      const log = openSync(join(root, 'var/log/bench', `${name}.log`), 'a');
      return spawn('chroot', [root, ...words], { env: { ...env, ...more }, stdio: ['ignore', log, log] });
    },
  };
}

const logOf = ({ root }: Tree, name: string): string =>
  readFileSync(join(root, 'var/log/bench', `${name}.log`), 'utf8').slice(-3_000);

async function ready(tree: Tree, name: string, child: ChildProcess, isReady: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await isReady()); tries += 1) {
    if (child.exitCode !== null || tries > 1_200) throw new Error(`${name} did not start: ${logOf(tree, name)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

export async function startDatabase(tree: Tree): Promise<ChildProcess> {
  mkdirSync(join(tree.root, 'run/mysqld'), { recursive: true });
  tree.run('chown', 'mysql:mysql', '/run/mysqld');
  if (!existsSync(join(tree.root, 'var/lib/mysql/mysql'))) tree.run('mariadb-install-db', '--user=mysql');
  const options = ['--skip-networking', `--socket=${databaseSocket}`, '--max-connections=500'];
  const child = tree.start('mariadb', ['mariadbd', '--user=mysql', '--innodb-buffer-pool-size=256M', ...options]);
  const answers = async () => {
    try {
      tree.run('mariadb', `--socket=${databaseSocket}`, '-e', 'select 1');
      return true;
    } catch {
      return false;
    }
  };
  await ready(tree, 'mariadb', child, answers);
  return child;
}

export async function startKeystone(tree: Tree): Promise<ChildProcess> {
  const child = tree.start('keystone', [
    ...['uwsgi', '--plugin', 'python3', '--uid', 'keystone', '--gid', 'keystone', '--master', '--need-app'],
    ...['--http-socket', `127.0.0.1:${ports.keystone}`, '--wsgi-file', '/usr/bin/keystone-wsgi-public'],
    ...[
      '--processes',
      '2',
      '--threads',
      '2',
      '--buffer-size',
      '65535',
      '--post-buffering',
      '8192',
      '--disable-logging',
    ],
    // uwsgi's plain socket does not keep a connection open, and clients have to be told so.
    ...['--die-on-term', '--add-header', 'Connection: close'],
  ]);
  await ready(tree, 'keystone', child, async () => (await listens(ports.keystone)) && answered());
  return child;
}

const answered = () =>
  fetch(`http://127.0.0.1:${ports.keystone}/v3`).then(
    (answer) => answer.ok,
    () => false,
  );

export async function startRabbit(tree: Tree): Promise<ChildProcess> {
  const child = tree.start('rabbit', ['rabbitmq-server'], {
    RABBITMQ_NODENAME: 'bench@localhost',
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(ports.rabbit),
  });
  await ready(tree, 'rabbit', child, () => listens(ports.rabbit));
  return child;
}

export async function startApis(tree: Tree): Promise<void> {
  for (const [name, port] of [
    ['heat-api', ports.heat],
    ['heat-api-cfn', ports.cfn],
  ] as const) {
    const child = tree.start(name, [name, '--config-file', '/etc/heat/heat.conf']);
    await ready(tree, name, child, () => listens(port));
  }
}

/** Ready when its workers say so: they open no port. */
export async function startEngine(tree: Tree, engine: Engine): Promise<ChildProcess> {
  const own = '/etc/heat/engine.conf';
  writeFileSync(join(tree.root, own), engineConf(engine));
  const name = `heat-engine-${engine}`;
  const child = tree.start(name, ['heat-engine', '--config-file', '/etc/heat/heat.conf', '--config-file', own]);
  const workers = () => childrenOf(child.pid ?? 0).length >= 2;
  await ready(tree, name, child, async () => workers());
  return child;
}

const childrenOf = (pid: number): string[] => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  } catch {
    return [];
  }
};

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const last = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(last);
}

/** MiB of everything that runs in the tree: what each shares with others is shared out. */
export function memoryOf({ root }: Tree, part = ''): number {
  let kib = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/root`) !== root) continue;
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(part)) continue;
      kib += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      // It has ended since.
    }
  }
  return kib / 1_024;
}
