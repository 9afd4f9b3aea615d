import type { AddressInfo } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { stockClient } from '../../test/setup/stock-client.ts';
import { createWorld } from '../../test/setup/world.ts';
import { createApi, listen } from '../core/http/index.ts';
import { createIdentity, type Identity } from './index.ts';

async function identityServer(): Promise<{
  identity: Identity;
  url: string;
  world: Awaited<ReturnType<typeof createWorld>>;
}> {
  const world = await createWorld({ keep: true });
  const identity = createIdentity(world, { region: 'RegionOne' });
  await identity.ensureAdmin('swordfish');
  const api = createApi();
  api.register(identity.routes, { prefix: '/identity' });
  const listener = await listen(api, { host: '127.0.0.1', port: 0 });
  return { identity, world, url: `http://127.0.0.1:${(listener.address as AddressInfo).port}` };
}

describe('Keystone v3', () => {
  let server: Awaited<ReturnType<typeof identityServer>>;
  beforeAll(async () => {
    server = await identityServer();
    return () => server.world.close();
  });
  const openstack = <T = unknown>(...args: string[]) =>
    stockClient({ url: server.url, password: 'swordfish' }).json<T>(...args);
  const login = (password: string) =>
    fetch(`${server.url}/identity/v3/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { name: 'admin', domain: { name: 'Default' }, password } },
          },
          scope: { project: { name: 'admin', domain: { id: 'default' } } },
        },
      }),
    });

  it('gives the stock client a token', async () => {
    const token = await openstack<{ id: string; expires: string }>('token', 'issue');
    expect(token.id).toMatch(/^uc/);
    expect(Date.parse(token.expires)).toBeGreaterThan(Date.now());
  });

  it('shows the stock client the catalog with the project’s own orchestration path', async () => {
    const rows = await openstack<{ Type: string; Endpoints: { interface: string; url: string }[] }[]>(
      'catalog',
      'list',
    );
    const heat = rows.find((row) => row.Type === 'orchestration');
    expect(heat?.Endpoints.find((e) => e.interface === 'public')?.url).toMatch(/\/orchestration\/v1\/[0-9a-f]{32}$/);
  });

  it('lets the administrator make a project and a user with the stock client', async () => {
    await openstack('project', 'create', 'lab');
    await openstack('user', 'create', '--password', 'x', 'eve');
    expect((await openstack<{ Name: string }[]>('user', 'list')).map((row) => row.Name)).toEqual(['admin', 'eve']);
  });

  it('refuses a wrong password in Keystone’s words', async () => {
    const answer = await login('wrong');
    expect(answer.status).toBe(401);
    expect(((await answer.json()) as { error: { title: string } }).error.title).toBe('Unauthorized');
  });

  it('revokes: a revoked token opens nothing, and another password ends the old tokens', async () => {
    const token = (await login('swordfish')).headers.get('x-subject-token') ?? '';
    const projects = (t: string) =>
      fetch(`${server.url}/identity/v3/auth/projects`, { headers: { 'x-auth-token': t } });
    expect((await projects(token)).status).toBe(200);
    const other = (await login('swordfish')).headers.get('x-subject-token') ?? '';
    await fetch(`${server.url}/identity/v3/auth/tokens`, {
      method: 'DELETE',
      headers: { 'x-auth-token': other, 'x-subject-token': token },
    });
    expect((await projects(token)).status).toBe(401);
  });

  it('makes stack users with a random password that opens their own project only', async () => {
    const made = await server.world.db.transaction((tx) => server.identity.createStackUser(tx, 'stack-web'));
    const context = await server.identity.authenticate(
      await server.identity.issue(made.userId, made.projectId),
      'req-1',
    );
    expect(context).toMatchObject({ projectId: made.projectId, roles: ['member'], domainId: 'stacks' });
  });
});
