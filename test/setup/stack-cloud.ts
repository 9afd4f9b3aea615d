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
  const client = stockClient({ url: `http://127.0.0.1:${port}`, password: 'secret', cwd: dir });
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return name;
  };
  return { world, orchestration, ...client, file, dir };
}
