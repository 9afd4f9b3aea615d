/** Glance's rules beside the plain way of an image, with the stock client where it has a command. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ImageServer, imageServer, MiB, sha256 } from '../../test/setup/image-server.ts';
import { stockClient } from '../../test/setup/stock-client.ts';
import type { Context } from '../core/context.ts';
import { keys } from './blobs/index.ts';
import { sorts } from './collect.ts';
import type { Image } from './index.ts';

const mirror = http.createServer((request, answer) => {
  if (request.url === '/away') answer.writeHead(302, { location: 'http://elsewhere.test/image' }).end();
  else if (request.url === '/again') answer.writeHead(302, { location: '/disk.raw' }).end();
  else if (request.url === '/disk.raw') answer.end(Buffer.alloc(MiB, 5));
  else answer.writeHead(404).end();
});

describe('Glance’s rules', () => {
  let server: ImageServer;
  let mirrorHost: string;
  beforeAll(async () => {
    await new Promise<void>((resolve) => mirror.listen(0, '127.0.0.1', resolve));
    mirrorHost = `127.0.0.1:${(mirror.address() as AddressInfo).port}`;
    server = await imageServer({ limits: { importHosts: [mirrorHost] } });
    await server.world.operations.run({ sole: true });
    return async () => {
      await server.close();
      mirror.close();
    };
  });
  const openstack = (...args: string[]) => stockClient({ url: server.url, password: 'swordfish' }).openstack(...args);
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${server.url}/image/v2${path}`, {
      method,
      headers: { 'x-auth-token': server.token, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : null };
  };
  const project = (id: string): Context => ({ ...server.world.context, roles: ['member'], projectId: id.repeat(32) });
  const settled = async (id: string): Promise<Image> => {
    const last = await server.world.operations.last({ type: 'image', id });
    if (last) await server.world.operations.ended(last.id);
    return server.images.find(server.world.context, id);
  };
  const file = (name: string, bytes: Buffer): string => {
    writeFileSync(join(server.dir, name), bytes);
    return join(server.dir, name);
  };
  const queued = (name: string, more = {}, context = server.world.context) =>
    server.images.create(context, { name, disk_format: 'raw', container_format: 'bare', ...more });

  it('turns a qcow2 of the stock client into chunks that a node can be given, and keeps its own bytes', async () => {
    const raw = Buffer.concat([randomBytes(MiB), Buffer.alloc(2 * MiB), randomBytes(MiB)]);
    const disk = join(server.dir, 'disk.qcow2');
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', '-c', file('disk.raw', raw), disk]);
    const made = JSON.parse(
      await openstack('image', 'create', '--disk-format', 'qcow2', '--file', disk, 'boxed', '-f', 'json'),
    );
    const image = await settled(made.id);
    expect(image).toMatchObject({ status: 'active', virtual_size: raw.length, chunk_index_sha256: null });
    const info = await server.images.deployInfo(made.id, { ttl: 60 });
    const index = JSON.parse(await (await fetch(`${server.url}${info.index_url}`)).text());
    expect(index.size).toBe(raw.length);
    expect(index.chunks.map((chunk: null | [number, number, number, string]) => chunk?.[3] ?? null)).toEqual([
      sha256(raw.subarray(0, MiB)),
      null,
      null,
      sha256(raw.subarray(3 * MiB)),
    ]);
    const own = readFileSync(disk);
    const stream = Buffer.from(await (await fetch(`${server.url}${info.stream_url}`)).arrayBuffer());
    expect(createHash('sha512').update(stream).digest('hex')).toBe(info.os_hash_value);
    expect(stream.equals(own)).toBe(true);
    expect((await call('GET', `/images/${made.id}/tasks`)).body.tasks[0]).toMatchObject({ status: 'success' });
  }, 60_000);

  it('keeps what two images share once, and a raw image as its chunks alone', async () => {
    const shared = randomBytes(6 * MiB);
    const first = await queued('first');
    await server.images.upload(server.world.context, first.id, Readable.from([shared]));
    const one = await settled(first.id);
    expect(await server.blobs.stat(keys.stream(first.id))).toBeNull();
    const next = Buffer.concat([shared.subarray(0, 5 * MiB), randomBytes(MiB)]);
    const second = await queued('second');
    await server.images.upload(server.world.context, second.id, Readable.from([next]));
    const two = await settled(second.id);
    const index = async (image: Image) =>
      JSON.parse((await buffer(await server.blobs.get(keys.index(image.chunk_index_sha256 ?? '')))).toString());
    const [a, b] = [await index(one), await index(two)];
    const fresh = b.objects.filter(
      (object: { name: string }) => !a.objects.some((o: { name: string }) => o.name === object.name),
    );
    expect(fresh).toHaveLength(1);
    expect(fresh[0].size).toBeLessThan(1.1 * MiB);
    const back = await fetch(`${server.url}/image/v2/images/${second.id}/file`, {
      headers: { 'x-auth-token': server.token },
    });
    expect(sha256(Buffer.from(await back.arrayBuffer()))).toBe(sha256(next));
    // The first goes; what the second has of it stays.
    await server.images.delete(server.world.context, first.id);
    const { stream_url } = await server.images.deployInfo(second.id, { ttl: 60 });
    expect(sha256(Buffer.from(await (await fetch(`${server.url}${stream_url}`)).arrayBuffer()))).toBe(sha256(next));
  });

  it('refuses an upload whose bytes are another format, or reach outside, and keeps nothing of it', async () => {
    execFileSync('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-F',
      'raw',
      '-b',
      '/etc/hostname',
      join(server.dir, 'evil'),
      '1M',
    ]);
    const evil = readFileSync(join(server.dir, 'evil'));
    for (const [format, reason] of [
      ['raw', /its disk_format is raw, and its bytes are qcow2/],
      ['qcow2', /names a backing file/],
    ] as const) {
      const image = await queued(`evil as ${format}`, { disk_format: format });
      await expect(server.images.upload(server.world.context, image.id, Readable.from([evil]))).rejects.toThrow(reason);
      await expect(server.images.stage(server.world.context, image.id, Readable.from([evil]))).rejects.toThrow(reason);
      expect((await server.images.find(server.world.context, image.id)).status).toBe('queued');
      expect(await server.blobs.stat(keys.stream(image.id))).toBeNull();
      expect(await server.blobs.stat(keys.staged(image.id))).toBeNull();
    }
  });

  it('says of an image that is being converted, or could not be, why it cannot be deployed', async () => {
    const image = await queued('broken', { disk_format: 'qcow2' });
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', join(server.dir, 'cut'), '64M']);
    // Its header looks whole, and its table begins in the middle of a cluster.
    const cut = readFileSync(join(server.dir, 'cut')).subarray(0, 66_000);
    cut.writeBigUInt64BE(0x30001n, 40);
    await server.images.upload(server.world.context, image.id, Readable.from([cut]));
    const during = await server.images.deployInfo(image.id, { ttl: 60 }).catch((error: Error) => error.message);
    expect(during).toMatch(/still being converted|was not converted/);
    await settled(image.id);
    await expect(server.images.deployInfo(image.id, { ttl: 60 })).rejects.toThrow(
      /was not converted to a raw disk: .*qemu-img/s,
    );
    expect((await call('GET', `/images/${image.id}/tasks`)).body.tasks[0]).toMatchObject({ status: 'failure' });
  });

  it('shares an image with a project that accepts it, and with no other', async () => {
    const [owner, guest, stranger] = [project('a'), project('b'), project('c')];
    const { id } = await queued('offered', {}, owner);
    const { members } = server.images;
    await expect(server.images.find(guest, id)).rejects.toThrow(/No image found/);
    expect(await members.add(owner, id, guest.projectId ?? '')).toMatchObject({ status: 'pending' });
    await expect(members.add(owner, id, guest.projectId ?? '')).rejects.toThrow(/is shared with .* already/);
    expect((await server.images.find(guest, id)).id).toBe(id);
    const listed = async (context: Context, more = {}) =>
      (await server.images.list(context, more)).map((image) => image.name);
    expect(await listed(guest)).not.toContain('offered');
    expect(await listed(guest, { memberStatus: 'pending' })).toContain('offered');
    await expect(members.answer(owner, id, guest.projectId ?? '', 'accepted')).rejects.toThrow(/modify_member/);
    await members.answer(guest, id, guest.projectId ?? '', 'accepted');
    expect(await listed(guest)).toContain('offered');
    await expect(server.images.update(guest, id, { name: 'mine' })).rejects.toThrow(/modify_image/);
    await expect(server.images.find(stranger, id)).rejects.toThrow(/No image found/);
    expect(await members.list(guest, id)).toHaveLength(1);
    await server.images.update(owner, id, { visibility: 'private' });
    await expect(members.add(owner, id, 'x')).rejects.toThrow(/is private; only a shared image/);
    await expect(server.images.find(guest, id)).rejects.toThrow(/No image found/);
    await server.images.update(owner, id, { visibility: 'shared' });
    await members.remove(owner, id, guest.projectId ?? '');
    await expect(server.images.find(guest, id)).rejects.toThrow(/No image found/);
  });

  it('is shared, withheld and given back by the stock client', async () => {
    const { id } = await queued('stock shared');
    const other = JSON.parse(await openstack('project', 'create', 'guests', '-f', 'json')).id;
    await openstack('image', 'add', 'project', id, other);
    expect(JSON.parse(await openstack('image', 'member', 'list', id, '-f', 'json'))).toEqual([
      { 'Image ID': id, 'Member ID': other, Status: 'pending' },
    ]);
    await openstack('image', 'remove', 'project', id, other);
    await server.images.upload(server.world.context, id, Readable.from([Buffer.alloc(MiB, 1)]));
    await settled(id);
    await openstack('image', 'set', '--deactivate', id);
    const withheld = await call('GET', `/images/${id}/file`);
    expect([withheld.status, withheld.body.message]).toEqual([403, expect.stringMatching(/bytes are withheld/)]);
    await openstack('image', 'set', '--activate', id);
    expect((await server.images.find(server.world.context, id)).status).toBe('active');
  }, 60_000);

  it('imports what was staged, and what lies where images may come from', async () => {
    const staged = await queued('staged');
    const put = await fetch(`${server.url}/image/v2/images/${staged.id}/stage`, {
      method: 'PUT',
      headers: { 'x-auth-token': server.token, 'content-type': 'application/octet-stream' },
      body: new Uint8Array(MiB).fill(3),
    });
    expect(put.status).toBe(204);
    expect((await server.images.find(server.world.context, staged.id)).status).toBe('uploading');
    expect((await call('POST', `/images/${staged.id}/import`, { method: { name: 'glance-direct' } })).status).toBe(202);
    expect(await settled(staged.id)).toMatchObject({ status: 'active', size: MiB });
    expect(await server.blobs.stat(keys.staged(staged.id))).toBeNull();
    const fetched = await queued('fetched');
    const method = (uri: string) => ({ method: { name: 'web-download', uri } });
    expect((await call('POST', `/images/${fetched.id}/import`, method(`http://${mirrorHost}/again`))).status).toBe(202);
    expect(await settled(fetched.id)).toMatchObject({ status: 'active', size: MiB });
  });

  it.each([
    ['file:///etc/passwd', /no http or https URL/],
    ['http://169.254.169.254/latest', /may not come from 169.254.169.254/],
    ['http://user:pw@HOST/disk.raw', /with a password in it/],
  ])('imports nothing from %s', async (uri, reason) => {
    const image = await queued('refused');
    const answer = await call('POST', `/images/${image.id}/import`, {
      method: { name: 'web-download', uri: uri.replace('HOST', mirrorHost) },
    });
    expect([answer.status, answer.body.message]).toEqual([400, expect.stringMatching(reason)]);
    expect((await server.images.find(server.world.context, image.id)).status).toBe('queued');
  });

  it('follows no redirect to where images may not come from', async () => {
    const image = await queued('redirected');
    await server.images.import(server.world.context, image.id, {
      name: 'web-download',
      uri: `http://${mirrorHost}/away`,
    });
    expect((await settled(image.id)).status).toBe('queued');
    const last = await server.world.operations.last({ type: 'image', id: image.id });
    expect(last?.error?.sentence).toMatch(/may not come from elsewhere.test/);
  });

  it('filters, sorts and pages as the client asks', async () => {
    const owner = project('d');
    const sizes = [3, 1, 2, 5, 4];
    for (const size of sizes) {
      const { id } = await queued(`page ${size}`, { tags: ['paged'] }, owner);
      await server.images.upload(owner, id, Readable.from([Buffer.alloc(size * 100)]));
    }
    const found: string[] = [];
    let path: string | undefined = '/images?tag=paged&sort=size:asc&limit=2';
    while (path) {
      const page: { body: { images: Image[]; next?: string } } = await call('GET', path);
      found.push(...page.body.images.map(({ name }) => String(name)));
      path = page.body.next?.replace('/v2', '');
    }
    expect(found).toEqual([1, 2, 3, 4, 5].map((size) => `page ${size}`));
    const names = async (query: string) => {
      const { body } = await call('GET', `/images?tag=paged&sort_key=name&sort_dir=asc&${query}`);
      return body.images.map((image: Image) => Number(image.name?.slice(5)));
    };
    expect(await names('size_min=200&size_max=400')).toEqual([2, 3, 4]);
    expect(await names('name=in:%22page%201%22,page%205')).toEqual([1, 5]);
    expect(await names('created_at=gt:2099-01-01T00:00:00Z')).toEqual([]);
    expect(await names('created_at=lt:2099-01-01T00:00:00Z&status=active')).toEqual([1, 2, 3, 4, 5]);
    expect(await names('visibility=public')).toEqual([]);
    const [hidden] = await server.images.list(owner, { tags: ['paged'] });
    await server.images.update(owner, hidden?.id ?? '', { os_hidden: true });
    expect(await names('')).toHaveLength(4);
    expect(await names('os_hidden=true')).toHaveLength(1);
    for (const query of ['visibility=secret', 'created_at=soon', 'size_min=-1', 'sort=name:up'])
      expect((await call('GET', `/images?${query}`)).status, query).toBe(400);
  });

  it('collects bytes that no image names, and none that one needs', async () => {
    const kept = await queued('kept');
    await server.images.upload(server.world.context, kept.id, Readable.from([randomBytes(MiB)]));
    await settled(kept.id);
    const before = await server.images.collect({ dryRun: true, olderThanMs: -60_000 });
    const stray = Buffer.from('nobody names this');
    await server.images.putObject(server.world.context, sha256(stray), Readable.from([stray]));
    await server.blobs.put(keys.stream('11111111-1111-4111-8111-111111111111'), Readable.from([stray]));
    await server.blobs.put(keys.index(sha256(stray)), Readable.from([stray]));
    expect(await server.images.collect({ dryRun: false })).toEqual({ blobs: 0, bytes: 0 });
    const counted = await call('GET', '/unused');
    expect(counted.body).toEqual({ blobs: 0, bytes: 0 });
    const collected = await server.images.collect({ dryRun: false, olderThanMs: -60_000 });
    expect(collected.blobs).toBe(before.blobs + 3);
    expect(await server.images.hasObject(sha256(stray))).toBe(false);
    const file = await fetch(`${server.url}/image/v2/images/${kept.id}/file`, {
      headers: { 'x-auth-token': server.token },
    });
    expect((await file.arrayBuffer()).byteLength).toBe(MiB);
    expect(sorts.map(({ prefix }) => prefix).sort()).toEqual([...keys.prefixes].sort());
  });
});

describe('quotas', () => {
  it('hold for the count before an image is made, and for the bytes while they come', async () => {
    const server = await imageServer({ limits: { projectImages: 2, projectBytes: 3 * MiB } });
    try {
      const { images, world } = server;
      const fields = { disk_format: 'raw', container_format: 'bare' };
      const one = await images.create(world.context, { name: 'one', ...fields });
      const two = await images.create(world.context, { name: 'two', ...fields });
      await expect(images.create(world.context, { name: 'three' })).rejects.toThrow(/may have 2 images and has 2/);
      await images.upload(world.context, one.id, Readable.from([Buffer.alloc(2 * MiB, 1)]));
      async function* endless() {
        for (;;) yield Buffer.alloc(MiB, 2);
      }
      await expect(images.upload(world.context, two.id, Readable.from(endless()))).rejects.toThrow(
        /may have 3145728 bytes of images and has 2097152/,
      );
      expect((await images.find(world.context, two.id)).status).toBe('queued');
      const headers = { 'x-auth-token': server.token, 'content-type': 'application/json' };
      await fetch(`${server.url}/image/v2/images`, { method: 'POST', headers, body: '{"name":"mine"}' });
      const answer = await fetch(`${server.url}/image/v2/info/usage`, { headers });
      expect(await answer.json()).toMatchObject({
        usage: { image_size_total: { usage: 0, limit: 3 }, image_count_total: { usage: 1, limit: 2 } },
      });
    } finally {
      await server.close();
    }
  });
});
