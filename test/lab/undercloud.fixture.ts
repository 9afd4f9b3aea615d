/** Underclouds made by the real launcher, each in a directory of its own, stopped and gone at the end of its test file. */
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import type { Standing } from '../../bootstrap/index.ts';
import { findProcesses } from '../../bootstrap/process.ts';
import { runDir } from '../../bootstrap/run-dir.ts';
import { stopServices } from '../../bootstrap/services.ts';
import { findUser } from '../../bootstrap/user.ts';
import { statePaths } from '../../services/core/config.ts';

export const launcher = join(import.meta.dirname, '../../bootstrap/undercloud');

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
}

/** A program to its end; its exit code is a result, not an error. */
export function run(program: string, args: readonly string[], { cwd = '/', env = {} }: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    // An operator's shell after login, so that nothing of the test run's environment helps.
    const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', ...env };
    execFile(program, args, { cwd, env: environment, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : -1) : 0;
      resolve({ code, stdout, stderr });
    });
  });
}

export interface Site {
  readonly state: string;
  readonly port: number;
  readonly paths: ReturnType<typeof statePaths>;
  /** `undercloud ARGS --state …`. */
  undercloud(...args: string[]): Promise<Ran>;
  bootstrap(...args: string[]): Promise<Ran>;
  /** Bootstrap, heard line by line by who may kill it outright. Resolves with whether that happened. */
  bootstrapKilled(hear: (line: string, number: number, kill: () => void) => void): Promise<boolean>;
  /** GET over TLS with the undercloud's CA; resolves with the status. */
  get(path: string): Promise<number>;
  /** A token by the password of clouds.yaml; resolves with the status: 201. */
  login(): Promise<number>;
  remove(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

export async function site(): Promise<Site> {
  const dir = mkdtempSync('/tmp/uc-bootstrap-');
  chmodSync(dir, 0o755);
  const state = join(dir, 'state');
  const port = await freePort();
  const paths = statePaths(state);
  const listen = ['--listen', `127.0.0.1:${port}`];
  const request = (path: string, body?: unknown): Promise<number> =>
    new Promise((resolve, reject) => {
      const ca = readFileSync(paths.caCertificate, 'utf8');
      const options = {
        ca,
        agent: false,
        method: body ? 'POST' : 'GET',
        headers: { 'content-type': 'application/json' },
      };
      const asked = https.request(`https://127.0.0.1:${port}${path}`, options, (answer) => {
        answer.resume();
        answer.once('end', () => resolve(answer.statusCode ?? 0));
      });
      asked.once('error', reject);
      asked.end(body && JSON.stringify(body));
    });
  return {
    state,
    port,
    paths,
    undercloud: (...args) => run(launcher, [...args, '--state', state]),
    bootstrap: (...args) => run(launcher, ['bootstrap', '--state', state, ...listen, ...args]),
    bootstrapKilled(hear) {
      return new Promise((resolve) => {
        const child = spawn(launcher, ['bootstrap', '--state', state, ...listen], {
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        let text = '';
        let seen = 0;
        child.stderr.on('data', (part) => {
          const lines = `${text}${part}`.split('\n');
          text = lines.pop() ?? '';
          for (const line of lines) {
            seen += 1;
            hear(line, seen, () => child.kill('SIGKILL'));
          }
        });
        child.once('close', (_code, signal) => resolve(signal === 'SIGKILL'));
      });
    },
    get: (path) => request(path),
    login() {
      const password = /password: (\S+)/.exec(readFileSync(paths.clouds, 'utf8'))?.[1]?.replace(/^"|"$/g, '');
      const user = { name: 'admin', domain: { name: 'Default' }, password };
      return request('/identity/v3/auth/tokens', { auth: { identity: { methods: ['password'], password: { user } } } });
    },
    async remove() {
      await stopServices(state);
      for (const made of [dir, runDir(state)]) rmSync(made, { recursive: true, force: true });
    },
  };
}

export const picture = async (of: Site): Promise<Standing> =>
  JSON.parse((await of.undercloud('status', '--json')).stdout);
export const pidOf = (standing: Standing, name: string): number => {
  const pid = standing.children.find((child) => child.name === name)?.pid;
  if (!pid) throw new Error(`${name} does not run: ${JSON.stringify(standing)}`);
  return pid;
};
export const supervisorOf = (standing: Standing): number => {
  // Process 0 would be this test run's own group.
  if (!standing.supervisor) throw new Error(`there is no supervisor: ${JSON.stringify(standing)}`);
  return standing.supervisor;
};
export const userOf = (pid: number): number =>
  Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
/** Processes of an undercloud: `serve` and PostgreSQL name its state directory, Redis only its socket. */
export const processesOf = (of: Site): number[] => findProcesses(findUser()?.uid ?? -1, of.state);

/** Answers without a token, and gives one. */
export async function ready(of: Site): Promise<void> {
  const statuses = [await of.get('/identity/v3'), await of.login()];
  if (statuses.join() !== '200,201') throw new Error(`the API answers ${statuses.join(' and ')}`);
}
