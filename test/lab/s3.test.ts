import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { TestProject } from 'vitest/node';
import { type Clock, systemClock } from '../../services/core/clock.ts';
import { blobStoreConformance } from '../../services/image/blobs/blobs.conformance.ts';
import { type S3Options, s3Blobs } from '../../services/image/index.ts';
import { setup } from '../setup/database.ts';
import { chunkedImage, imageServer, MiB, sha256 } from '../setup/image-server.ts';
import { type Swift, startSwift } from '../setup/peers/swift/index.ts';
import { freshDatabaseUrl } from '../setup/world.ts';
import { run, site } from './undercloud.fixture.ts';

/** The S3 adapter against Debian's Swift. */

// Kept between runs: the unpacked tree.
const cache = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';
let swift: Swift;
beforeAll(async () => {
  swift = await startSwift(cache);
});
afterAll(() => swift?.stop());

const at = (bucket: string, changes: Partial<S3Options> = {}): S3Options => ({
  endpoint: swift.endpoint,
  region: 'us-east-1',
  bucket,
  accessKey: swift.accessKey,
  secretKey: swift.secretKey,
  ...changes,
});
/** Closed at the test's end. */
const opened = (options: S3Options, clock?: Clock) => {
  const store = s3Blobs(options, clock);
  onTestFinished(() => store.close());
  return store;
};
const rawClient = () => {
  const { endpoint, accessKey, secretKey } = swift;
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  onTestFinished(() => client.destroy());
  return client;
};

blobStoreConformance('S3', async () => opened(at('conformance')));

describe('S3: its bucket', () => {
  it('is made by the first write, once, and its absence is nothing to a look', async () => {
    const store = opened(at('fresh'));
    expect(await store.stat('objects/none')).toBeNull();
    await store.delete('objects/none');
    const puts = ['objects/a', 'objects/b', 'objects/c'].map((key) =>
      store.put(key, Readable.from([Buffer.from(key)])),
    );
    expect(await Promise.all(puts)).toEqual([{ size: 9 }, { size: 9 }, { size: 9 }]);
    await store.ensureBucket();
  });

  it('loses the parts of uploads that died with their process a day ago', async () => {
    const client = rawClient();
    await opened(at('dead')).ensureBucket();
    const begin = async (Key: string) => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: 'dead', Key }));
      await client.send(new UploadPartCommand({ Bucket: 'dead', Key, UploadId, PartNumber: 1, Body: 'half' }));
    };
    await begin('streams/half');
    await begin('another/application');
    const uploads = async () =>
      ((await client.send(new ListMultipartUploadsCommand({ Bucket: 'dead' }))).Uploads ?? []).map(({ Key }) => Key);
    await opened(at('dead')).put('objects/x', Readable.from([Buffer.from('x')]));
    expect(await uploads()).toEqual(['another/application', 'streams/half']);
    const day = 24 * 3600 * 1000;
    await opened(at('dead')).dropAbandoned(day);
    expect(await uploads()).toEqual(['another/application', 'streams/half']);
    const tomorrow = { ...systemClock, now: () => Date.now() + day + 3600 * 1000 };
    await opened(at('dead'), tomorrow).dropAbandoned(day);
    expect(await uploads()).toEqual(['another/application']);
  });
});

describe('S3: links for nodes', () => {
  it('are fetched from the store itself, with ranges, and only as they were signed', async () => {
    const store = opened(at('links'));
    await store.put('objects/one', Readable.from([Buffer.from('0123456789')]));
    await store.put('objects/two', Readable.from([Buffer.from('secret')]));
    const url = (await store.url('objects/one', 60)) ?? '';
    expect(new URL(url).host).toBe(new URL(swift.endpoint).host);
    const part = await fetch(url, { headers: { range: 'bytes=2-5' } });
    expect([part.status, await part.text(), part.headers.get('content-range')]).toEqual([206, '2345', 'bytes 2-5/10']);
    expect(await (await fetch(url)).text()).toBe('0123456789');
    const tampered = [
      url.replace('/objects/one?', '/objects/two?'),
      url.replace('X-Amz-Expires=60', 'X-Amz-Expires=6000'),
      url.replace(/Signature=..../, 'Signature=0000'),
    ];
    for (const link of tampered) expect((await fetch(link)).status, link).toBe(403);
    expect((await fetch(url.replace(/\?.*/, ''))).ok).toBe(false);
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(403);
    // S3 takes no link for longer than a week; the store makes it shorter instead of one that is refused.
    expect((await fetch((await store.url('objects/one', 30 * 24 * 3600)) ?? '')).status).toBe(200);
  });
});

/** A way to the store that can be cut. */
async function relay() {
  const sockets = new Set<Socket>();
  let down = Number.POSITIVE_INFINITY;
  let up = Number.POSITIVE_INFINITY;
  const server = createServer((near) => {
    const far = connect(swift.port, swift.host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    const passing = (from: Socket, to: Socket, spend: (bytes: number) => number) =>
      from.on('data', (piece) => {
        if (spend(piece.length) < 0) from.destroy();
        else if (!to.write(piece)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
    passing(near, far, (bytes) => {
      up -= bytes;
      return up;
    });
    passing(far, near, (bytes) => {
      down -= bytes;
      return down;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(close);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    close,
    /** Bytes that still pass towards the store and from it. */
    allow(bytes: { up?: number; down?: number }) {
      up = bytes.up ?? Number.POSITIVE_INFINITY;
      down = bytes.down ?? Number.POSITIVE_INFINITY;
    },
  };
}

describe('S3: what goes wrong', () => {
  it('says which of the keys is wrong, and where to set it', async () => {
    const bytes = () => Readable.from([Buffer.from('x')]);
    await opened(at('wrong')).put('objects/x', bytes());
    const secret = opened(at('wrong', { secretKey: 'nope' }));
    const where = /at http:\/\/127.*in bucket wrong: .*secret key is wrong.*`s3` in undercloud.json/;
    await expect(secret.put('objects/x', bytes())).rejects.toThrow(where);
    await expect(secret.stat('objects/x')).rejects.toThrow(where);
    await expect(secret.get('objects/x')).rejects.toThrow(/the secret key is wrong/);
    await expect(secret.delete('objects/x')).rejects.toThrow(/the secret key is wrong/);
    const stranger = opened(at('wrong', { accessKey: 'test:stranger' }));
    await expect(stranger.get('objects/x')).rejects.toThrow(/access key|secret key is wrong/);
    expect((await buffer(await opened(at('wrong')).get('objects/x'))).toString()).toBe('x');
  });

  it('says that the store is away, and goes on when it is back', async () => {
    const way = await relay();
    const store = opened(at('away', { endpoint: way.endpoint }));
    way.close();
    const source = Readable.from([Buffer.from('x')]);
    await expect(store.put('objects/x', source)).rejects.toThrow(
      /could not be reached to .* in bucket away: the connection was refused/,
    );
    expect(source.destroyed).toBe(true);
    await expect(store.stat('objects/x')).rejects.toThrow(/could not be reached/);
    const unknown = opened(at('away', { endpoint: 'http://store.invalid:8080' }));
    await expect(unknown.stat('objects/x')).rejects.toThrow(/its name/);
    const back = await relay();
    const cut = opened(at('away', { endpoint: back.endpoint }));
    back.allow({ up: 0 });
    await expect(cut.put('objects/x', Readable.from([Buffer.from('x')]))).rejects.toThrow(/could not be reached/);
    back.allow({});
    expect(await cut.put('objects/x', Readable.from([Buffer.from('x')]))).toEqual({ size: 1 });
  });

  it('ends a read that was cut with an error and never early', async () => {
    const way = await relay();
    const store = opened(at('cut', { endpoint: way.endpoint }));
    await store.put('objects/x', Readable.from([Buffer.alloc(4 * MiB, 7)]));
    way.allow({ down: MiB });
    await expect(async () => buffer(await store.get('objects/x'))).rejects.toThrow();
  });

  it('leaves nothing of an upload that was cut between its parts, on either side', async () => {
    const client = rawClient();
    const way = await relay();
    const store = opened(at('parts', { endpoint: way.endpoint }));
    await store.ensureBucket();
    const left = async () => [
      (await client.send(new ListMultipartUploadsCommand({ Bucket: 'parts' }))).Uploads ?? [],
      (await client.send(new ListObjectsV2Command({ Bucket: 'parts' }))).Contents ?? [],
    ];
    async function* broken() {
      for (let piece = 0; piece < 40; piece += 1) yield Buffer.alloc(MiB, piece);
      throw new Error('the client went away');
    }
    await expect(store.put('streams/x', Readable.from(broken()))).rejects.toThrow(/could not write .* went away/);
    expect(await left()).toEqual([[], []]);
    // The second part finds its way cut, thrice; then the way is open again, so that the parts can be dropped.
    async function* cutting() {
      for (let piece = 0; piece < 100; piece += 1) {
        if (piece === 16) way.allow({ up: 17 * MiB });
        yield Buffer.alloc(MiB, piece);
      }
    }
    const source = Readable.from(cutting());
    await expect(store.put('streams/x', source)).rejects.toThrow(/could not be reached to write/);
    expect(source.destroyed).toBe(true);
    way.allow({});
    expect((await left())[1]).toEqual([]);
    expect(await store.put('streams/x', Readable.from([Buffer.from('whole')]))).toEqual({ size: 5 });
  });

  it('holds one part of a large upload in memory', async () => {
    const store = opened(at('large'));
    await store.ensureBucket();
    const piece = Buffer.alloc(MiB, 1);
    const before = process.memoryUsage().rss;
    let most = 0;
    async function* body() {
      for (let number = 0; number < 200; number += 1) {
        most = Math.max(most, process.memoryUsage().rss - before);
        yield piece;
      }
    }
    expect(await store.put('streams/large', Readable.from(body()))).toEqual({ size: 200 * MiB });
    expect(most).toBeLessThan(120 * MiB);
  });
});

describe('S3: a whole image', () => {
  it('is registered, read and deployed from the store, and leaves it when it is deleted', async () => {
    // The lab's project has no database of its own.
    let socket = '';
    const provide = (name: string, value: string) => {
      if (name === 'databaseSocket') socket = value;
    };
    const drop = await setup({ provide } as unknown as TestProject);
    onTestFinished(drop);
    const blobs = opened(at('images'));
    const server = await imageServer({ blobs, databaseUrl: await freshDatabaseUrl(socket) });
    onTestFinished(() => server.close());
    const { world, images } = server;

    const made = chunkedImage();
    const { id } = await images.create(world.context, { name: 'chunked' });
    const damaged = images.putObject(world.context, sha256(made.packed), Readable.from([made.packed.subarray(1)]));
    await expect(damaged).rejects.toThrow(/has sha256/);
    expect(await images.hasObject(sha256(made.packed))).toBe(false);
    await images.putObject(world.context, sha256(made.packed), Readable.from([made.packed]));
    await images.register(world.context, id, made);
    const info = await images.deployInfo(id, { ttl: 60 });
    const object = info.objects?.[made.index.objects[0]?.name ?? ''] ?? '';
    for (const link of [object, info.index_url ?? '']) expect(link.startsWith(`${swift.endpoint}/images/`)).toBe(true);
    const part = await fetch(object, { headers: { range: 'bytes=5-9' } });
    expect(Buffer.from(await part.arrayBuffer())).toEqual(made.packed.subarray(5, 10));
    const index = Buffer.from(await (await fetch(info.index_url ?? '')).arrayBuffer());
    expect(sha256(index)).toBe(info.index_sha256);
    const raw = Buffer.from(await (await fetch(`${server.url}${info.stream_url}`)).arrayBuffer());
    expect(raw.equals(made.raw)).toBe(true);

    const plain = await images.create(world.context, { name: 'plain', disk_format: 'raw', container_format: 'bare' });
    const body = new Uint8Array(20 * MiB).fill(3);
    const headers = { 'x-auth-token': server.token, 'content-type': 'application/octet-stream' };
    const file = `${server.url}/image/v2/images/${plain.id}/file`;
    expect((await fetch(file, { method: 'PUT', headers, body })).status).toBe(204);
    // It is cut into chunks, which take its place: nodes fetch them from the store itself too.
    await world.operations.run({ sole: true });
    const conversion = await world.operations.last({ type: 'image', id: plain.id });
    await world.operations.ended(conversion?.id ?? '');
    expect(await blobs.stat(`streams/${plain.id}`)).toBeNull();
    const { stream_url, objects = {} } = await images.deployInfo(plain.id, { ttl: 60 });
    for (const link of Object.values(objects)) expect(link.startsWith(`${swift.endpoint}/images/objects/`)).toBe(true);
    const whole = Buffer.from(await (await fetch(`${server.url}${stream_url}`)).arrayBuffer());
    expect(sha256(whole)).toBe(sha256(Buffer.from(body)));
    const tail = await fetch(file, { headers: { 'x-auth-token': server.token, range: 'bytes=-7' } });
    expect([tail.status, (await tail.arrayBuffer()).byteLength]).toEqual([206, 7]);

    await images.delete(world.context, id);
    await images.delete(world.context, plain.id);
    const { Contents = [] } = await rawClient().send(new ListObjectsV2Command({ Bucket: 'images' }));
    expect(Contents.map(({ Key }) => Key)).toEqual([]);
  });
});

describe('S3: an undercloud', () => {
  it('is bootstrapped onto a bucket, keeps its images there and nowhere else, and is not turned away from them', async () => {
    const here = await site();
    onTestFinished(() => here.remove());
    const credentials = join(here.state, '..', 'credentials');
    writeFileSync(credentials, `${swift.accessKey}\n${swift.secretKey}\n`, { mode: 0o600 });
    const store = ['--image-store', `s3+${swift.endpoint}/undercloud-images`];
    writeFileSync(`${credentials}.wrong`, `${swift.accessKey}\nnope\n`);
    const wrong = await here.bootstrap(...store, '--image-store-credentials', `${credentials}.wrong`);
    expect([wrong.code === 0, wrong.stderr]).toEqual([false, expect.stringMatching(/secret key is wrong/)]);
    const made = await here.bootstrap(...store, '--image-store-credentials', credentials);
    expect(made.stderr).toMatch(/Reach the image store: bucket undercloud-images at http/);
    expect(made.stderr + made.stdout).not.toContain(swift.secretKey);
    expect(made.code, made.stderr).toBe(0);

    const file = join(here.state, '..', 'disk.raw');
    writeFileSync(file, Buffer.alloc(3 * MiB, 5));
    const env = { OS_CLIENT_CONFIG_FILE: here.paths.clouds, OS_CLOUD: 'undercloud' };
    const args = ['image', 'create', '--disk-format', 'raw', '--container-format', 'bare', '--file', file, 'kept'];
    const created = await run('openstack', args, { env });
    expect(created.code, created.stderr).toBe(0);
    const { Contents = [] } = await rawClient().send(new ListObjectsV2Command({ Bucket: 'undercloud-images' }));
    expect(Contents.length).toBeGreaterThan(0);
    expect(readdirSync(here.paths.images).filter((name) => name !== 'work')).toEqual([]);

    // Again, without a word of it: as it was. To another place: refused.
    expect((await here.bootstrap()).code).toBe(0);
    const moved = await here.bootstrap('--image-store', 'disk');
    expect([moved.code === 0, moved.stderr]).toEqual([false, expect.stringMatching(/bootstrap does not move them/)]);
    const saved = join(here.state, '..', 'saved.raw');
    const back = await run('openstack', ['image', 'save', '--file', saved, 'kept'], { env });
    expect(back.code, back.stderr).toBe(0);
    expect(readFileSync(saved).equals(Buffer.alloc(3 * MiB, 5))).toBe(true);
  });
});
