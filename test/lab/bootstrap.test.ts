/** A bare state directory becomes an undercloud by the real launcher, and stays one whatever is killed. APIs only: no node boots here. */
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { TestProject } from 'vitest/node';
import { findUser } from '../../bootstrap/user.ts';
import { enterNamespace } from '../../services/core/sockets.ts';
import { setup } from '../setup/database.ts';
import { namespace } from './namespace.fixture.ts';
import {
  freePort,
  launcher,
  picture,
  pidOf,
  processesOf,
  type Ran,
  ready,
  run,
  type Site,
  site,
  userOf,
} from './undercloud.fixture.ts';

let home: Site;
let first: Ran;
let before: string;

/** What an API-only undercloud must leave as it is: the host's network, and the distribution's own services. */
async function hostPicture(): Promise<string> {
  const ip = async (...words: string[]) => (await run('ip', words)).stdout;
  const network = await Promise.all([
    ip('-br', 'link'),
    ip('-br', 'address'),
    ip('-4', 'route', 'show', 'table', 'all'),
    ip('-4', 'rule'),
    ip('-6', 'rule'),
  ]);
  const { stdout: clusters } = await run('pg_lsclusters', ['-h']);
  const { stdout: distribution } = await run('pgrep', ['-l', '-u', 'postgres,redis']);
  return [...network, clusters, distribution].join('\n');
}

beforeAll(async () => {
  before = await hostPicture();
  home = await site();
  first = await home.bootstrap();
});

afterAll(() => home?.remove());

describe('bootstrap', () => {
  test('makes an undercloud whose APIs answer, says each step, and leaves the host as it was', async () => {
    expect(first.stderr).toMatch(/✔ Start the services: API at https:\/\/127\.0\.0\.1:\d+/);
    expect(first).toMatchObject({ code: 0 });
    expect(first.stdout).toContain(`its state is in ${home.state}`);
    await ready(home);
    expect(await hostPicture()).toBe(before);
  });

  test('runs its services as the user undercloud, below one supervisor', async () => {
    const standing = await picture(home);
    expect(standing.children.map((child) => child.name)).toEqual(['postgresql', 'redis', 'serve']);
    for (const child of standing.children) expect(userOf(child.pid ?? 0), child.name).toBe(findUser()?.uid);
    const serve = readFileSync(`/proc/${pidOf(standing, 'serve')}/status`, 'utf8');
    expect(serve).toMatch(/^CapEff:\s+0+$/m);
  });

  test.each([
    ['openstack', 'token', 'issue', '-f', 'value', '-c', 'id'],
    ['baremetal', 'node', 'list'],
    ['openstack', 'stack', 'list'],
    ['openstack', 'image', 'list'],
    ['openstack', 'server', 'list'],
    ['openstack', 'network', 'list'],
  ])('the stock client’s `%s %s %s` is answered over TLS', async (program, ...words) => {
    const ran = await run(program, ['--os-cloud', 'undercloud', ...words], {
      env: { OS_CLIENT_CONFIG_FILE: home.paths.clouds },
    });
    expect(ran.stderr).toBe('');
    expect(ran.code).toBe(0);
    if (words[0] === 'token') expect(ran.stdout.trim().length).toBeGreaterThan(20);
  });

  test('names every way to it in its certificate, and keeps its keys to itself', () => {
    const certificate = new X509Certificate(readFileSync(home.paths.certificate));
    for (const name of ['localhost', hostname()]) expect(certificate.checkHost(name), name).toBeDefined();
    for (const ip of ['127.0.0.1', '::1']) expect(certificate.checkIP(ip), ip).toBe(ip);
    expect(certificate.checkHost('example.com')).toBeUndefined();
    const mode = (file: string) => (statSync(file).mode & 0o777).toString(8);
    const secret = readdirSync(home.paths.keys).filter((name) => name.endsWith('.key'));
    expect(secret.sort()).toEqual(['api.key', 'ca.key', 'secrets.key', 'signing.key']);
    for (const name of secret) expect(mode(join(home.paths.keys, name)), name).toBe('600');
    expect(statSync(home.paths.caKey).uid).toBe(0);
    expect([mode(home.paths.config), mode(home.paths.clouds), mode(home.paths.database)]).toEqual([
      '640',
      '600',
      '700',
    ]);
  });

  test('run again does nothing', async () => {
    const standing = await picture(home);
    const again = await home.bootstrap();
    expect(again.code).toBe(0);
    for (const line of again.stderr.trim().split('\n')) expect(line).toMatch(/^✔ [^:]+ \(\d+\.\d s\)$|^- /);
    expect((await picture(home)).children).toEqual(standing.children);
  });

  test('with another address starts the services anew there', async () => {
    const port = await freePort();
    const moved = await run(launcher, ['bootstrap', '--state', home.state, '--listen', `127.0.0.1:${port}`]);
    expect(moved.stderr).toContain('anew with what has changed');
    expect(moved.code).toBe(0);
    await expect(home.get('/identity/v3')).rejects.toThrow('ECONNREFUSED');
    expect((await home.bootstrap()).code).toBe(0);
    await ready(home);
  });

  test('writes no secret into a log', async () => {
    const password = /password: (\S+)/.exec(readFileSync(home.paths.clouds, 'utf8'))?.[1] ?? '';
    const keys = readdirSync(home.paths.keys).filter((name) => name.endsWith('.key'));
    const secrets = [
      password,
      ...keys.flatMap((name) =>
        readFileSync(join(home.paths.keys, name), 'utf8')
          .split('\n')
          .filter((line) => line.length > 20 && !line.startsWith('---')),
      ),
    ];
    expect(secrets.length).toBeGreaterThan(4);
    const logs = readdirSync(home.paths.logs).map((name) => readFileSync(join(home.paths.logs, name), 'utf8'));
    const said = [...logs, first.stdout, first.stderr].join('\n');
    expect(said).toContain('"msg":"serving"');
    expect(secrets.filter((secret) => said.includes(secret))).toEqual([]);
  });

  test('exports clouds.yaml with the CA, and the stock client works from there', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'uc-clouds-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    expect((await home.undercloud('clouds', 'export', dir)).code).toBe(0);
    expect(statSync(join(dir, 'clouds.yaml')).mode & 0o777).toBe(0o600);
    const issue = await run('openstack', ['--os-cloud', 'undercloud', 'token', 'issue'], { cwd: dir });
    expect(issue).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('stopping and starting', () => {
  test('status, stop and start say what they found', async () => {
    expect((await home.undercloud('status')).stdout).toMatch(/runs; its API listens on.*\n.*\npostgresql +\d+ +\d+/);
    expect(await home.undercloud('stop')).toMatchObject({ code: 0, stdout: 'Stopped.\n' });
    expect(processesOf(home)).toEqual([]);
    expect(await home.undercloud('stop')).toMatchObject({ code: 0, stdout: 'It was not running.\n' });
    expect(await home.undercloud('status')).toMatchObject({ code: 1, stdout: expect.stringContaining('is stopped') });
    expect(await home.undercloud('start')).toMatchObject({ code: 0, stdout: 'Started.\n' });
    expect(await home.undercloud('start')).toMatchObject({ code: 0, stdout: 'It was running already.\n' });
    await ready(home);
  });

  test('a state directory without an undercloud is refused with the way to one', async () => {
    for (const word of ['status', 'start', 'stop', 'serve']) {
      const ran = await run(launcher, [word, '--state', '/nonexistent/state']);
      expect(ran.code, word).not.toBe(0);
      expect(ran.stderr).toContain('`undercloud bootstrap --state /nonexistent/state`');
    }
  });

  test('serve runs in the foreground with its private database, and ends at a signal', async () => {
    await home.undercloud('stop');
    const ended = run('timeout', ['--signal=INT', '--preserve-status', '4', launcher, 'serve', '--state', home.state]);
    // The listener is there before `serve` is: what is asked too early is answered late.
    for (let status = 0; status !== 200; ) status = await home.get('/identity/v3').catch(() => 0);
    const { stdout } = await ended;
    expect(stdout).toContain('"msg":"serving"');
    expect(stdout).toMatch(/stopped\n$/);
    expect(processesOf(home)).toEqual([]);
    expect((await home.undercloud('start')).code).toBe(0);
  });
});

describe('what bootstrap refuses', () => {
  test('a place that the service user cannot reach, naming the parent', async () => {
    const closed = mkdtempSync(join(tmpdir(), 'uc-closed-'));
    onTestFinished(() => rmSync(closed, { recursive: true }));
    const ran = await run(launcher, ['bootstrap', '--state', join(closed, 'deep', 'state'), '--listen', '127.0.0.1:1']);
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain(`${closed} has mode 0700`);
    expect(ran.stderr).toContain(`chmod o+x ${closed}`);
    expect(readdirSync(closed)).toEqual([]);
  });

  test('a port that somebody has, naming it', async () => {
    const other = await site();
    onTestFinished(() => other.remove());
    const taken = createServer();
    await new Promise<void>((done) => taken.listen(other.port, '127.0.0.1', done));
    const ran = await other.bootstrap();
    await new Promise((done) => taken.close(done));
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain(`127.0.0.1:${other.port}: another program listens there`);
    expect(existsSync(other.state)).toBe(false);
  });
});

test('a checkout that is closed to the service user, as in root’s home, serves all the same', async () => {
  const closed = mkdtempSync('/tmp/uc-home-');
  const own = join(closed, 'undercloud');
  const other = await site();
  const ownLauncher = join(own, 'bootstrap/undercloud');
  const mounts = () =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes('/run/undercloud-program/'));
  const known = mounts();
  try {
    cpSync(join(launcher, '../..'), own, { recursive: true, filter: (from) => !/\/(node_modules|\.git)$/.test(from) });
    symlinkSync(join(launcher, '../../node_modules'), join(own, 'node_modules'));
    const args = ['bootstrap', '--state', other.state, '--listen', `127.0.0.1:${other.port}`];
    expect(await run(ownLauncher, args)).toMatchObject({ code: 0 });
    await ready(other);
    const serve = readFileSync(`/proc/${pidOf(await picture(other), 'serve')}/cmdline`, 'utf8');
    expect(serve).toContain('/run/undercloud-program/');
  } finally {
    await other.remove();
    rmSync(closed, { recursive: true });
    // Links that this checkout's bootstrap made are given back.
    await home.bootstrap();
  }
  expect(mounts()).toEqual(known);
});

test('an external PostgreSQL and Redis are used instead of private ones', async () => {
  const provided: Record<string, string> = {};
  const project = {
    provide(name: string, value: string) {
      provided[name] = value;
    },
  };
  const teardown = await setup(project as unknown as TestProject);
  const other = await site();
  try {
    const { databaseSocket = '', redisUrl = '' } = provided;
    const admin = new pg.Client({ host: databaseSocket, user: 'undercloud', database: 'postgres' });
    await admin.connect();
    await admin.query('create database elsewhere');
    await admin.end();
    chmodSync(redisUrl.slice('unix://'.length), 0o777);
    const databaseUrl = `postgresql://undercloud:not-to-be-logged@/elsewhere?host=${databaseSocket}`;
    const ran = await other.bootstrap('--database-url', databaseUrl, '--redis-url', redisUrl);
    expect(ran.stderr).toContain('- Make the PostgreSQL cluster: an external database was given');
    expect(ran.code).toBe(0);
    await ready(other);
    expect((await picture(other)).children.map((child) => child.name)).toEqual(['serve']);
    expect(existsSync(other.paths.database)).toBe(false);
    const logs = readdirSync(other.paths.logs).map((name) => readFileSync(join(other.paths.logs, name), 'utf8'));
    expect([...logs, ran.stderr, ran.stdout].join('\n')).not.toContain('not-to-be-logged');
  } finally {
    await other.remove();
    await teardown();
  }
});

describe('doctor', () => {
  test('finds a foreign DHCP server on the provisioning interface, and bootstrap goes no further', async () => {
    const ours = namespace();
    const theirs = namespace();
    ours.ip(`link add up0 type veth peer name up0 netns ${theirs.name}`);
    ours.ip('address add 192.0.2.1/24 dev up0');
    theirs.ip('address add 192.0.2.9/24 dev up0');
    for (const one of [ours, theirs]) one.ip('link set up0 up');
    const program = join(import.meta.dirname, 'foreign-server.fixture.ts');
    const server = enterNamespace(theirs.file, () =>
      spawn(process.execPath, [program, 'up0', 'advertises'], { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    onTestFinished(() => void server.kill());
    await new Promise((resolve) => server.stdout.once('data', resolve));
    const state = '/tmp/uc-bootstrap-never-made/state';
    const there = (...args: string[]) =>
      run('ip', ['netns', 'exec', ours.name, launcher, ...args, '--state', state, '--provisioning-interface', 'up0']);

    const doctor = await there('doctor', '--json');
    expect(doctor.code).toBe(1);
    const found = JSON.parse(doctor.stdout) as { check: string; ok: boolean; finding: string; remedy: string }[];
    const of = (check: string) => found.find((one) => one.check === check);
    expect(of('provisioning interface')).toMatchObject({ ok: true });
    expect(of('foreign DHCP server')).toMatchObject({ ok: false });
    expect(of('foreign DHCP server')?.finding).toMatch(
      /^192\.0\.2\.9 \(([0-9a-f]{2}:?){6}\), which offered 192\.0\.2\.2/,
    );
    expect(of('IPv6 routers')?.finding).toMatch(/^fe80:.* advertises itself as a router on up0$/);
    for (const one of found) expect(one.remedy === '', one.check).toBe(one.ok);

    const bootstrap = await there('bootstrap', '--listen', `127.0.0.1:${await freePort()}`);
    expect(bootstrap.code).toBe(1);
    expect(bootstrap.stderr).toContain('answers DHCP on up0');
    expect(existsSync(state)).toBe(false);
  });

  test('checks what a lab asks of the kernel', async () => {
    const ran = await home.undercloud('doctor', '--lab', '--json');
    const found = JSON.parse(ran.stdout) as { check: string; ok: boolean }[];
    const kernel = found.filter(({ check }) => ['network namespaces', 'bridges', 'tap devices'].includes(check));
    expect(kernel.map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(found.find(({ check }) => check === 'start at boot')).toMatchObject({ ok: true });
  });
});

test('the commands are in the PATH as links to this checkout', () => {
  for (const name of ['undercloud', 'overcloud'])
    expect(lstatSync(`/usr/local/bin/${name}`).isSymbolicLink()).toBe(true);
});
