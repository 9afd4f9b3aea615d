/** The stock `openstack` client in front of orchestration, logged in at the real identity service. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createApi, listen } from '../../services/core/http/index.ts';
import { createIdentity } from '../../services/identity/index.ts';
import { stage } from './stacks.ts';
import { stockClient } from './stock-client.ts';
import { createWorld, type WorldOptions } from './world.ts';

export type Row = Record<string, unknown>;

/** The API alone, for requests of one's own: its address, an administrator's token and project. */
export async function stackApi(options: WorldOptions = {}) {
  const world = await createWorld(options);
  const identity = createIdentity(world, { region: 'RegionOne' });
  const { user, project } = await identity.ensureAdmin('secret');
  const { orchestration } = stage(world, { authenticate: identity.authenticate });
  const api = createApi();
  api.register(identity.routes, { prefix: '/identity' });
  api.register(orchestration.routes, { prefix: '/orchestration' });
  const listener = await listen(api, { host: '127.0.0.1', port: 0 });
  await world.operations.run({ sole: true });
  await orchestration.start();
  onTestFinished(async () => {
    await listener.close();
    await api.close();
  });
  const { port } = listener.address as { port: number };
  const token = await identity.issue(user.id, project.id);
  return { world, orchestration, url: `http://127.0.0.1:${port}`, token, project: project.id };
}

export async function stackCloud(options: WorldOptions = {}) {
  const { world, orchestration, url } = await stackApi(options);
  const dir = mkdtempSync(join(tmpdir(), 'uc-heat-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const client = stockClient({ url, password: 'secret', cwd: dir });
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return name;
  };
  return { world, orchestration, ...client, file, dir };
}
