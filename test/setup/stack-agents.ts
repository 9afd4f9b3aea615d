/** Orchestration and identity on loopback, and machines that run the lab image's own agent against them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { createApi, listen } from '../../services/core/http/index.ts';
import { createIdentity } from '../../services/identity/index.ts';
import { stage } from './stacks.ts';
import { createWorld } from './world.ts';

const agent = resolve(
  import.meta.dirname,
  '../../elements/configuration-agent/static/usr/lib/undercloud/configuration/agent',
);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

export async function openAgents() {
  const world = await createWorld();
  // The addresses that nodes are told are part of what orchestration is made with, so the port comes first.
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const identity = createIdentity(world, { region: 'RegionOne' });
  await identity.ensureAdmin('secret');
  const one = stage(world, {
    identity,
    authenticate: identity.authenticate,
    cfnUrl: `${base}/cfn/v1`,
    objectUrl: `${base}/object/v1`,
    authUrl: `${base}/identity/v3`,
    heatUrl: `${base}/orchestration/v1`,
  });
  const api = createApi();
  api.register(identity.routes, { prefix: '/identity' });
  api.register(one.orchestration.cfnRoutes, { prefix: '/cfn' });
  api.register(one.orchestration.tempUrlRoutes, { prefix: '/object' });
  api.register(one.orchestration.routes, { prefix: '/orchestration' });
  const listener = await listen(api, { host: '127.0.0.1', port });
  await world.operations.run({ sole: true });
  await one.orchestration.start();
  onTestFinished(async () => {
    await listener.close();
    await api.close();
  });
  return { world, identity, ...one, base, cfnUrl: `${base}/cfn/v1`, context: world.context };
}

/** A machine that booted with this user data: a root directory, and the agent to be run in it. */
export function machine(name: string, userData: string) {
  const dir = mkdtempSync(join(tmpdir(), 'uc-agent-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const drive = join(dir, 'var/lib/cloud/seed/config_drive/openstack/latest');
  for (const one of [join(dir, 'etc/ssl/certs'), join(dir, 'root'), join(dir, 'run'), drive])
    mkdirSync(one, { recursive: true });
  writeFileSync(join(dir, 'etc/ssl/certs/ca-certificates.crt'), '');
  writeFileSync(join(dir, 'etc/hosts'), '127.0.0.1 localhost\n');
  writeFileSync(join(drive, 'meta_data.json'), JSON.stringify({ uuid: `uuid-${name}`, hostname: name }));
  writeFileSync(join(drive, 'user_data'), userData);
  return {
    dir,
    /** @param wait seconds that a poll may be held; 0 asks for none. `interval`: seconds that are slept where it is not held. */
    async run(rounds = 1, { wait = 0, interval = 0 } = {}): Promise<string> {
      const env = {
        UC_ROOT: dir,
        UC_INTERVAL: String(interval),
        UC_WAIT: String(wait),
        UC_RETRY: '0',
        UC_ROUNDS: String(rounds),
        UC_PATH: process.env.PATH ?? '',
      };
      const child = spawn(agent, [], { env, stdio: ['ignore', 'pipe', 'pipe'] });
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (data: Buffer) => {
          text += data.toString();
        });
      await once(child, 'close');
      return text;
    },
  };
}
