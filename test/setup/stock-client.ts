/** The stock `openstack` client, as an operator runs it who has exported the variables of one cloud and nothing else. */
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { runStock } from './stock-process.ts';

export interface StockClientOptions {
  /** Scheme, host and port; Keystone lies below it under /identity. */
  readonly url: string;
  readonly password: string;
  readonly cwd?: string;
}

export interface StockClient {
  /** Standard output. Rejects when it ends with another code than 0. */
  openstack(...args: string[]): Promise<string>;
  /** With `-f json`. */
  json<T = Record<string, unknown>>(...args: string[]): Promise<T>;
  /** What it said when it was refused. @throws when it was not */
  refused(...args: string[]): Promise<string>;
}

const environment = ({ url, password }: StockClientOptions) => ({
  PATH: '/usr/bin:/bin',
  HOME: '/nonexistent',
  OS_AUTH_URL: `${url}/identity/v3`,
  OS_IDENTITY_API_VERSION: '3',
  OS_USERNAME: 'admin',
  OS_PASSWORD: password,
  OS_PROJECT_NAME: 'admin',
  OS_USER_DOMAIN_NAME: 'Default',
  OS_PROJECT_DOMAIN_NAME: 'Default',
  OS_REGION_NAME: 'RegionOne',
});

/** Commands one after the other in the client's own shell, which goes on after one that fails; all that they said. */
export function stockShell(options: StockClientOptions, commands: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const at = { env: environment(options), cwd: options.cwd ?? tmpdir() };
    const child = execFile('/usr/bin/openstack', [], at, (_error, stdout, stderr) => resolve(stdout + stderr));
    child.stdin?.end(`${commands.join('\n')}\n`);
  });
}

export function stockClient(options: StockClientOptions): StockClient {
  const { cwd } = options;
  const env = environment(options);
  const openstack = async (...args: string[]): Promise<string> =>
    (await runStock(args, { env, cwd: cwd ?? tmpdir() })).stdout;
  return {
    openstack,
    async json<T>(...args: string[]): Promise<T> {
      const text = await openstack(...args, '-f', 'json');
      // With `--wait` events come first, a line each: those that can be no line of indented JSON.
      return JSON.parse(text.replace(/^(?![[{\s}\]]).*\n/gm, '')) as T;
    },
    async refused(...args) {
      try {
        await openstack(...args);
      } catch (error) {
        const { stdout, stderr } = error as { stdout: string; stderr: string };
        return `${stdout}${stderr}`;
      }
      throw new Error(`openstack ${args.join(' ')} was not refused`);
    },
  };
}
