/** Containers and objects: by the stock client, by Swift's API, and from templates. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { openAgents } from '../../../test/setup/stack-agents.ts';
import { atRest } from '../../../test/setup/stacks.ts';
import { stockShell } from '../../../test/setup/stock-client.ts';
import { objectLimits } from './objects.ts';

async function room() {
  const opened = await openAgents();
  const { base } = opened;
  const { identity } = opened;
  const { user, project } = await identity.ensureAdmin('secret');
  const token = await identity.issue(user.id, project.id);
  const account = `${base}/object/v1/AUTH_${project.id}`;
  const ask = async (
    method: string,
    path: string,
    body?: NonNullable<RequestInit['body']>,
    headers: Record<string, string> = {},
  ) => {
    const answer = await fetch(`${account}${path}`, {
      method,
      headers: { 'x-auth-token': token, ...headers },
      ...(body !== undefined && { body }),
    });
    return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) };
  };
  return { ...opened, ask, account, project };
}

it('keeps bytes as they came, under names of any kind, with their metadata', async () => {
  const { ask, account } = await room();
  expect((await ask('PUT', '/box', undefined, { 'x-container-meta-colour': 'red' })).status).toBe(201);
  expect((await ask('PUT', '/box', undefined, { 'x-container-meta-size': 'big' })).status).toBe(202);
  const bytes = Buffer.from([0, 255, 128, 10, 13, 0]);
  const name = '/box/a/b%20c/%C3%BC%25';
  const put = await ask('PUT', name, bytes, { 'content-type': 'application/x-thing', 'x-object-meta-who': 'me' });
  expect([put.status, put.headers.get('etag')]).toEqual([201, createHash('md5').update(bytes).digest('hex')]);
  const got = await ask('GET', name);
  expect(got.bytes).toEqual(bytes);
  expect([got.headers.get('content-type'), got.headers.get('x-object-meta-who')]).toEqual([
    'application/x-thing',
    'me',
  ]);
  const head = await ask('HEAD', name);
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '6']);
  expect((await ask('POST', name, undefined, { 'x-object-meta-new': 'yes' })).status).toBe(202);
  expect((await ask('HEAD', name)).headers.get('x-object-meta-who')).toBeNull();
  const box = await ask('HEAD', '/box');
  expect(['colour', 'size'].map((one) => box.headers.get(`x-container-meta-${one}`))).toEqual(['red', 'big']);
  expect([box.headers.get('x-container-object-count'), box.headers.get('x-container-bytes-used')]).toEqual(['1', '6']);
  expect((await ask('POST', '/box', undefined, { 'x-remove-container-meta-size': 'x' })).status).toBe(204);
  expect((await ask('HEAD', '/box')).headers.get('x-container-meta-size')).toBeNull();
  for (const one of ['B', 'a2', 'z']) await ask('PUT', `/box/${one}`, 'x');
  expect((await ask('GET', '/box')).bytes.toString()).toBe('B\na/b c/ü%\na2\nz\n');
  expect((await ask('GET', '/box?prefix=a&limit=1')).bytes.toString()).toBe('a/b c/ü%\n');
  const page = await ask('GET', '/box?format=json&marker=a2');
  expect(JSON.parse(page.bytes.toString())).toMatchObject([{ name: 'z', bytes: 1, content_type: expect.any(String) }]);
  expect((await ask('GET', '/box?delimiter=/')).status).toBe(400);
  expect((await ask('DELETE', '/box')).status).toBe(409);
  expect((await ask('GET', '')).bytes.toString()).toBe('box\n');
  expect((await fetch(account)).status).toBe(401);
  expect((await fetch(`${account}/box/B?temp_url_sig=00&temp_url_expires=9999999999`)).status).toBe(401);
});

it('refuses what is too large, damaged, misnamed, not there, or another project’s', async () => {
  const { ask, account, identity, world } = await room();
  await ask('PUT', '/box');
  const large = Buffer.alloc(objectLimits.objectBytes + 1);
  expect((await ask('PUT', '/box/large', large)).status).toBe(413);
  expect((await ask('PUT', '/box/most', large.subarray(1))).status).toBe(201);
  expect((await ask('PUT', '/box/x', 'x', { etag: '0'.repeat(32) })).status).toBe(422);
  expect((await ask('PUT', '/none/x', 'x')).status).toBe(404);
  expect((await ask('GET', '/box/none')).status).toBe(404);
  expect((await ask('PUT', `/${'n'.repeat(257)}`)).status).toBe(400);
  expect((await ask('PUT', `/box/${'n'.repeat(1025)}`, 'x')).status).toBe(400);
  expect((await ask('PUT', '/box/m', 'x', { 'x-object-meta-a': 'v'.repeat(5000) })).status).toBe(400);
  const stranger = await world.db.transaction((tx) => identity.createStackUser(tx, 'stranger'));
  const token = await identity.issue(stranger.userId, stranger.projectId);
  for (const method of ['GET', 'PUT', 'DELETE'])
    expect((await fetch(`${account}/box/most`, { method, headers: { 'x-auth-token': token } })).status).toBe(403);
});

it('is made from a template, emptied with it only where that is asked for', async () => {
  const { ask, orchestration, world, context, project } = await room();
  const as = { ...context, projectId: project.id };
  const template = (purge: boolean) => ({
    heat_template_version: '2021-04-16',
    resources: {
      box: {
        type: 'OS::Swift::Container',
        properties: { name: 'made', PurgeOnDelete: purge, 'X-Container-Meta': { colour: 'red' } },
      },
    },
    outputs: {
      url: { value: { get_attr: ['box', 'WebsiteURL'] } },
      count: { value: { get_attr: ['box', 'ObjectCount'] } },
    },
  });
  const account = {
    heat_template_version: '2021-04-16',
    resources: { box: { type: 'OS::Swift::Container', properties: { 'X-Account-Meta': { a: 'b' } } } },
  };
  await expect(orchestration.createStack(as, 's', { template: account })).rejects.toThrow('leave X-Account-Meta out');
  for (const purge of [true, false]) {
    const { id } = await orchestration.createStack(as, 's', { template: template(purge) });
    expect(await atRest(world, orchestration, id)).toBe('CREATE_COMPLETE');
    expect((await ask('HEAD', '/made')).headers.get('x-container-meta-colour')).toBe('red');
    const [url] = (await orchestration.outputs(as, 's')).map((one) => String(one.output_value));
    expect(url).toMatch(/\/object\/v1\/AUTH_[0-9a-f]+\/made$/);
    await ask('PUT', '/made/thing', 'x');
    // Otherwise its deletion fails, and says that there is something in it.
    if (!purge) await ask('DELETE', '/made/thing');
    await orchestration.deleteStack(as, id);
    expect(await atRest(world, orchestration, id)).toBe('DELETE_COMPLETE');
    expect((await ask('HEAD', '/made')).status).toBe(404);
  }
});

it('is what the stock client’s commands expect', async () => {
  const { base } = await room();
  const dir = mkdtempSync(join(tmpdir(), 'uc-objects-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'in'), 'content');
  const commands = [
    'container create box',
    'container set --property Colour=red box',
    'container show box',
    `object create --name thing box ${join(dir, 'in')}`,
    'object list box',
    'object show box thing',
    `object save --file ${join(dir, 'out')} box thing`,
    'container list',
    'object store account show',
    'object delete box thing',
    'container delete box',
  ];
  const text = await stockShell({ url: base, password: 'secret' }, commands);
  expect(text).not.toMatch(/exception|traceback|error|not found|conflict/i);
  expect(text).toMatch(/object_count *\| 0/);
  expect(text).toContain("colour='red'");
  expect(text).toContain('9a0364b9e99bb480dd25e1f0284c8555');
  expect(readFileSync(join(dir, 'out'), 'utf8')).toBe('content');
});
