import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { sql } from 'kysely';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { chunkedImage, type ImageServer, imageServer, MiB, sha256 } from '../../test/setup/image-server.ts';
import { stockClient } from '../../test/setup/stock-client.ts';
import { encodeChunkIndex, openManifest } from '../ipa/index.ts';
import type { Image } from './index.ts';

describe('the image store', () => {
  let server: ImageServer;
  beforeAll(async () => {
    server = await imageServer();
    await server.world.operations.run({ sole: true });
    return () => server.close();
  });
  const openstack = (...args: string[]) => stockClient({ url: server.url, password: 'swordfish' }).openstack(...args);
  async function registered(name: string): Promise<{ image: Image } & ReturnType<typeof chunkedImage>> {
    const made = chunkedImage();
    const { context } = server.world;
    const queued = await server.images.create(context, { name });
    await server.images.putObject(context, sha256(made.packed), Readable.from([made.packed]));
    return { ...made, image: await server.images.register(context, queued.id, made) };
  }

  it('has no metadata definitions, and says so', async () => {
    const headers = { 'x-auth-token': server.token, 'content-type': 'application/json' };
    const ask = async (method: string, path: string) => {
      const body = method === 'GET' ? undefined : '{"namespace":"mine"}';
      const answer = await fetch(`${server.url}/image/v2/metadefs/${path}`, { method, headers, ...(body && { body }) });
      return [answer.status, await answer.json()];
    };
    expect(await ask('GET', 'namespaces?limit=20')).toEqual([200, expect.objectContaining({ namespaces: [] })]);
    expect(await ask('GET', 'resource_types')).toEqual([200, { resource_types: [] }]);
    const refused = [
      403,
      { message: expect.stringMatching(/not kept here.*image set --property/), code: 403, title: 'image-no-metadefs' },
    ];
    expect(await ask('POST', 'namespaces')).toEqual(refused);
    expect(await ask('PUT', 'namespaces/mine/objects/x')).toEqual(refused);
    expect((await ask('GET', 'namespaces/mine'))[0]).toBe(404);
  });

  it('takes, shows and gives back an image with the stock client', async () => {
    const file = join(server.dir, 'disk.raw');
    const bytes = randomBytes(3 * MiB);
    writeFileSync(file, bytes);
    const made = JSON.parse(
      await openstack(
        'image',
        'create',
        '--disk-format',
        'raw',
        '--container-format',
        'bare',
        '--file',
        file,
        '--property',
        'os_type=linux',
        'stock',
        '-f',
        'json',
      ),
    );
    const listed = JSON.parse(await openstack('image', 'list', '-f', 'json'));
    expect(listed).toContainEqual({ ID: made.id, Name: 'stock', Status: 'active' });
    const shown = JSON.parse(await openstack('image', 'show', 'stock', '-f', 'json'));
    expect(shown).toMatchObject({
      size: bytes.length,
      checksum: createHash('md5').update(bytes).digest('hex'),
      disk_format: 'raw',
    });
    const back = join(server.dir, 'back.raw');
    await openstack('image', 'save', '--file', back, 'stock');
    expect(sha256(readFileSync(back))).toBe(sha256(bytes));
    await openstack('image', 'set', '--name', 'renamed', '--property', 'a=b', made.id);
    expect((await server.images.find(server.world.context, 'renamed')).properties).toMatchObject({
      os_type: 'linux',
      a: 'b',
    });
    await openstack('image', 'delete', made.id);
    expect(await server.blobs.stat(`streams/${made.id}`)).toBeNull();
  }, 60_000);

  it('gives a deploy signed links to verified chunks, and the kernel for a hand-over', async () => {
    const { image, packed, index } = await registered('chunked');
    const info = await server.images.deployInfo(image.id, { ttl: 60 });
    expect(info.kexec).toEqual({ kernel: '/vmlinuz', initrd: '/initrd.img', cmdline: 'root=UUID=1 ro' });
    const object = info.objects?.[index.objects[0]?.name ?? ''];
    const part = await fetch(`${server.url}${object}`, { headers: { range: 'bytes=5-9' } });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(packed.subarray(5, 10));
    const indexAnswer = await fetch(`${server.url}${info.index_url}`);
    expect(sha256(Buffer.from(await indexAnswer.arrayBuffer()))).toBe(info.index_sha256);
    expect((await fetch(`${server.url}${object}x`)).status).toBe(403);
    expect((await fetch(`${server.url}${object?.replace(/expires=\d+/, 'expires=1')}`)).status).toBe(403);
  });

  it('signs what it was given and what it converted, and signs anew what another key has signed', async () => {
    const { image, index } = await registered('signed');
    const open = async (id: string) => {
      const { manifest, ...info } = await server.images.deployInfo(id, { ttl: 60 });
      return { manifest: openManifest(manifest, server.imageKey, id), info };
    };
    const built = await open(image.id);
    const bytes = Buffer.byteLength(encodeChunkIndex(index));
    expect(built.manifest).toMatchObject({ name: 'signed', size: index.size });
    expect(built.manifest.index).toEqual({ sha256: built.info.index_sha256, bytes });

    const { context, db } = server.world;
    const { id } = await server.images.create(context, { name: 'raw', disk_format: 'raw', container_format: 'bare' });
    await server.images.upload(context, id, Readable.from([randomBytes(MiB)]));
    const conversion = await server.world.operations.last({ type: 'image', id });
    await server.world.operations.ended(conversion?.id ?? '');
    const converted = await open(id);
    expect(converted.manifest.index?.sha256).toBe(converted.info.index_sha256);
    expect(converted.manifest.stream).toEqual({
      diskFormat: 'raw',
      algorithm: 'sha512',
      value: converted.info.os_hash_value,
    });

    await sql`update image.images set delivery_manifest = null, delivery_key_id = null where id = ${id}`.execute(
      db.kysely,
    );
    await sql`update image.images set delivery_key_id = 'another' where id = ${image.id}`.execute(db.kysely);
    await expect(open(id)).rejects.toThrow(/is not signed by this undercloud/);
    server.images.start();
    await vi.waitFor(async () => {
      expect((await open(id)).manifest).toEqual(converted.manifest);
      expect((await open(image.id)).manifest).toEqual(built.manifest);
    });
    server.images.stop();
  });

  it('gives a stock agent the same image as a plain stream, with ranges', async () => {
    const { image, raw } = await registered('streamed');
    const { stream_url, os_hash_value } = await server.images.deployInfo(image.id, { ttl: 60 });
    const whole = Buffer.from(await (await fetch(`${server.url}${stream_url}`)).arrayBuffer());
    expect(createHash('sha512').update(whole).digest('hex')).toBe(os_hash_value);
    const across = await fetch(`${server.url}${stream_url}`, { headers: { range: `bytes=${MiB - 3}-${2 * MiB + 4}` } });
    expect(Buffer.from(await across.arrayBuffer()).equals(raw.subarray(MiB - 3, 2 * MiB + 5))).toBe(true);
    const head = await fetch(`${server.url}${stream_url}`, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String(raw.length));
  });

  it('refuses a damaged object, an incomplete image and a lying index, and keeps nothing of them', async () => {
    const { packed, index, manifest } = chunkedImage();
    const { context } = server.world;
    await expect(server.images.putObject(context, sha256(packed), Readable.from([packed.subarray(1)]))).rejects.toThrow(
      /has sha256/,
    );
    expect(await server.images.hasObject(sha256(packed))).toBe(false);
    const { id } = await server.images.create(context, { name: 'bad' });
    await expect(server.images.register(context, id, { manifest, index })).rejects.toThrow(/was not uploaded/);
    expect((await server.images.find(context, id)).status).toBe('queued');
  });

  it('keeps shared objects until their last image goes, and an image that is in use', async () => {
    const { context } = server.world;
    const one = await registered('one');
    const { id } = await server.images.create(context, { name: 'two' });
    await server.images.register(context, id, one);
    await server.images.delete(context, one.image.id);
    expect(await server.images.hasObject(sha256(one.packed))).toBe(true);
    server.used.push('server web');
    await expect(server.images.delete(context, id)).rejects.toThrow(/in use: server web/);
    server.used.length = 0;
    await server.images.delete(context, id);
    expect(await server.images.hasObject(sha256(one.packed))).toBe(false);
  });

  it('lets another project neither see nor change a private image', async () => {
    const { image } = await registered('private');
    const stranger = { ...server.world.context, roles: ['member'], projectId: 'x'.repeat(32) };
    await expect(server.images.find(stranger, image.id)).rejects.toThrow(/No image found/);
    await expect(server.images.delete(stranger, image.id)).rejects.toThrow(/No image found/);
  });
});
