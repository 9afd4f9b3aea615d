/** The stock `openstack` client in front of orchestration, logged in at the real identity service. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { createApi, listen } from '../../services/core/http/index.ts';
import { createIdentity } from '../../services/identity/index.ts';
import { stage } from './stacks.ts';
import { createWorld, type WorldOptions } from './world.ts';

export type Row = Record<string, unknown>;

export async function stackCloud(options: WorldOptions = {}) {
  const world = await createWorld(options);
  const identity = createIdentity(world, { region: 'RegionOne' });
  await identity.ensureAdmin('secret');
  const { orchestration } = stage(world, { authenticate: identity.authenticate });
  const api = createApi();
  api.register(identity.routes, { prefix: '/identity' });
  api.register(orchestration.routes, { prefix: '/orchestration' });
  const listener = await listen(api, { host: '127.0.0.1', port: 0 });
  await world.operations.run({ sole: true });
  await orchestration.start();
  const dir = mkdtempSync(join(tmpdir(), 'uc-heat-'));
  onTestFinished(async () => {
    await listener.close();
    await api.close();
    rmSync(dir, { recursive: true });
  });
  const { port } = listener.address as { port: number };
  const env = {
    PATH: '/usr/bin:/bin',
    HOME: '/nonexistent',
    OS_AUTH_URL: `http://127.0.0.1:${port}/identity/v3`,
    OS_IDENTITY_API_VERSION: '3',
    OS_USERNAME: 'admin',
    OS_PASSWORD: 'secret',
    OS_PROJECT_NAME: 'admin',
    OS_USER_DOMAIN_ID: 'default',
    OS_PROJECT_DOMAIN_ID: 'default',
    OS_REGION_NAME: 'RegionOne',
  };
  const openstack = async (...args: string[]) =>
    (await promisify(execFile)('openstack', args, { env, cwd: dir })).stdout;
  /** `--wait` writes the events before the answer. */
  const json = async <T = Row>(...args: string[]): Promise<T> =>
    JSON.parse(
      (await openstack(...args, '-f', 'json')).replace(/^(?![[{]).*\n/gm, (line) =>
        /^[\s}\]]/.test(line) ? line : '',
      ),
    ) as T;
  const refused = async (...args: string[]): Promise<string> => {
    try {
      await openstack(...args);
    } catch (error) {
      return `${(error as { stdout: string }).stdout}${(error as { stderr: string }).stderr}`;
    }
    throw new Error(`openstack ${args.join(' ')} was not refused`);
  };
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return name;
  };
  return { world, orchestration, openstack, json, refused, file, dir };
}
