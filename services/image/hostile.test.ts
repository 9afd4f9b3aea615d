import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { chunkedImage, type ImageServer, imageServer, MiB, sha256 } from '../../test/setup/image-server.ts';

describe('what clients do to the image store', () => {
  let server: ImageServer;
  beforeAll(async () => {
    server = await imageServer();
    return () => server.close();
  });
  const call = async (
    method: string,
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
    type = 'application/json',
    headers = {},
  ) => {
    const answer = await fetch(`${server.url}/image/v2${path}`, {
      method,
      headers: { 'x-auth-token': server.token, ...(body !== undefined && { 'content-type': type }), ...headers },
      ...(body !== undefined && { body }),
    });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  const queued = async (name: string) => {
    const fields = { name, disk_format: 'raw', container_format: 'bare' };
    return (await server.images.create(server.world.context, fields)).id;
  };

  it('lets an upload be done again after its client went away in the middle', async () => {
    const id = await queued('interrupted');
    const upload = vi.spyOn(server.images, 'upload');
    const { port } = new URL(server.url);
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.write(`PUT /image/v2/images/${id}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: ${server.token}\r\n`);
      socket.write(`Content-Type: application/octet-stream\r\nContent-Length: ${10 * MiB}\r\n\r\n`);
      socket.write(randomBytes(MiB), () => socket.resetAndDestroy());
    });
    socket.on('error', () => {});
    await vi.waitFor(() => expect(upload).toHaveBeenCalled());
    await expect(upload.mock.results[0]?.value).rejects.toThrow(/broke off before its end: the client went away/);
    upload.mockRestore();
    expect((await server.images.find(server.world.context, id)).status).toBe('queued');
    expect(await server.blobs.stat(`streams/${id}`)).toBeNull();
    const whole = randomBytes(MiB);
    expect((await call('PUT', `/images/${id}/file`, new Uint8Array(whole), 'application/octet-stream')).status).toBe(
      204,
    );
    expect((await server.images.find(server.world.context, id)).checksum).toBe(
      createHash('md5').update(whole).digest('hex'),
    );
  });

  it('takes one upload of an image at a time, and drops the bytes of one that was deleted meanwhile', async () => {
    const { context } = server.world;
    const id = await queued('twice');
    const slow = new Readable({ read() {} });
    slow.push('first');
    const first = server.images.upload(context, id, slow);
    await vi.waitFor(async () => expect((await server.images.find(context, id)).status).toBe('saving'));
    await expect(server.images.upload(context, id, Readable.from(['second']))).rejects.toThrow(/is saving/);
    await server.images.delete(context, id);
    slow.push(null);
    await expect(first).rejects.toThrow(/No image found/);
    expect(await server.blobs.stat(`streams/${id}`)).toBeNull();
  });

  it('takes an upload whose predecessor died with its process', async () => {
    const { context } = server.world;
    const id = await queued('orphan');
    await server.images.update(context, id, { status: 'saving' });
    expect((await server.images.upload(context, id, Readable.from([Buffer.alloc(512)]))).status).toBe('active');
  });

  it('keeps a good object while a damaged copy of it comes in', async () => {
    const { context } = server.world;
    const { packed } = chunkedImage();
    const sha = sha256(packed);
    const damaged = new Readable({ read() {} });
    damaged.push(Buffer.alloc(10));
    const bad = server.images.putObject(context, sha, damaged);
    const refused = expect(bad).rejects.toThrow(/has sha256/);
    // Begun before the good one is there, ended after it.
    expect(await server.images.hasObject(sha)).toBe(false);
    await server.images.putObject(context, sha, Readable.from([packed]));
    damaged.push(null);
    await refused;
    expect(await server.images.hasObject(sha)).toBe(true);
    expect(await server.blobs.stat(`objects/${sha.slice(0, 2)}/${sha}`)).toEqual({ size: packed.length });
  });

  it('reads no body into memory that is not of the type of an image', async () => {
    const id = await queued('typed');
    for (const type of ['application/json', 'text/plain', 'multipart/form-data'])
      expect((await call('PUT', `/images/${id}/file`, '{}', type)).status, type).toBe(415);
    const none = await new Promise<number | undefined>((resolve) => {
      const request = http.request(`${server.url}/image/v2/images/${id}/file`, {
        method: 'PUT',
        headers: { 'x-auth-token': server.token },
      });
      request.on('response', (answer) => resolve(answer.resume().statusCode));
      request.end('x');
    });
    expect(none).toBe(415);
    expect((await server.images.find(server.world.context, id)).status).toBe('queued');
  });

  it('keeps its memory while a large image goes in and out', async () => {
    const id = await queued('large');
    const piece = randomBytes(MiB);
    const pieces = 300;
    const before = process.memoryUsage().rss;
    let most = 0;
    const look = () => {
      most = Math.max(most, process.memoryUsage().rss - before);
    };
    async function* body() {
      for (let number = 0; number < pieces; number += 1) {
        look();
        yield piece;
      }
    }
    await server.images.upload(server.world.context, id, Readable.from(body()));
    const answer = await fetch(`${server.url}/image/v2/images/${id}/file`, {
      headers: { 'x-auth-token': server.token, range: `bytes=${MiB}-` },
    });
    expect(answer.headers.get('content-range')).toBe(`bytes ${MiB}-${pieces * MiB - 1}/${pieces * MiB}`);
    let size = 0;
    for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      look();
    }
    expect(size).toBe((pieces - 1) * MiB);
    expect(most).toBeLessThan(150 * MiB);
    await server.images.delete(server.world.context, id);
  });

  it.each([
    ['0-0', 206, 'bytes 0-0/1000'],
    ['-1', 206, 'bytes 999-999/1000'],
    ['-5000', 206, 'bytes 0-999/1000'],
    ['990-99999999999999999999', 206, 'bytes 990-999/1000'],
    ['1000-', 416, 'bytes */1000'],
    ['99999999999999999999-', 416, 'bytes */1000'],
    ['-0', 416, 'bytes */1000'],
    ['5-2', 200, null],
    ['0-1,5-6', 200, null],
    ['x', 200, null],
  ])('answers the range %s with %i', async (range, status, part) => {
    const id = await queued(`range ${range}`);
    await server.images.upload(server.world.context, id, Readable.from([randomBytes(1000)]));
    const answer = await call('GET', `/images/${id}/file`, undefined, '', { range: `bytes=${range}` });
    expect([answer.status, answer.headers.get('content-range')]).toEqual([status, part]);
    const head = await call('HEAD', `/images/${id}/file`, undefined, '', { range: `bytes=${range}` });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '1000']);
  });

  it.each([
    ['POST', '/images', '[]', /has to be a JSON object/],
    ['POST', '/images', '"text"', /has to be a JSON object/],
    ['POST', '/images', '{"name":"a\\u0000b"}', /invalid value/],
    ['POST', '/images', '{"id":"------------------------------------"}', /invalid value/],
    ['POST', '/images', '{"min_disk":99999999999}', /invalid value/],
    ['POST', '/images', '{"any":{"a":1}}', /has to be a string/],
    ['GET', '/images?limit=many', undefined, /limit 'many'/],
    ['GET', '/images?limit=-1', undefined, /limit '-1'/],
    ['GET', '/images?marker=x', undefined, /marker 'x'/],
    ['GET', '/images?name=%00', undefined, /cannot match/],
    ['GET', '/images?sort_key=manifest', undefined, /cannot be sorted/],
  ])('refuses %s %s %s', async (method, path, body, sentence) => {
    const answer = await call(method, path, body);
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(sentence);
  });

  it('has no image whose name is a NUL', async () => {
    expect((await call('GET', '/images/%00')).status).toBe(404);
  });

  it('refuses manifests that do not fit, and an index of a gigabyte before it is read', async () => {
    const { index, manifest } = chunkedImage();
    const id = await queued('lying');
    const register = (body: unknown) => call('PUT', `/images/${id}/chunks`, JSON.stringify(body));
    expect((await register({ index })).text).toMatch(/its manifest is not of format/);
    expect((await register({ index, manifest: { ...manifest, sha512: 'x' } })).text).toMatch(/with a sha512/);
    expect((await register({ index, manifest: { ...manifest, boot: 5 } })).text).toMatch(/its manifest's boot/);
    expect((await register({ index, manifest: { ...manifest, boot: null } })).text).toMatch(/was not uploaded/);
    expect((await register({ index, manifest: { ...manifest, size: 512 } })).text).toMatch(/manifest says 512 bytes/);
    expect((await register({ index, manifest: { ...manifest, more: 'x'.repeat(MiB) } })).text).toMatch(/larger than/);
    expect((await register({ index: { ...index, size: 7 }, manifest })).text).toMatch(/chunk index is refused/);
    const status = await new Promise<number | undefined>((resolve) => {
      const headers = {
        'x-auth-token': server.token,
        'content-type': 'application/json',
        'content-length': 1024 * MiB,
      };
      const request = http.request(`${server.url}/image/v2/images/${id}/chunks`, { method: 'PUT', headers });
      request.on('error', () => {});
      request.on('response', (answer) => {
        resolve(answer.statusCode);
        request.destroy();
      });
      request.write('{');
    });
    expect(status).toBe(413);
  });

  it('keeps what only an administrator or only the store may set', async () => {
    const member = { ...server.world.context, roles: ['member'] };
    await expect(server.images.create(member, { visibility: 'public' })).rejects.toThrow(/publicize_image/);
    const { id } = await server.images.create(member, { name: 'own', disk_format: 'raw', container_format: 'bare' });
    await expect(server.images.update(member, id, { owner: 'x' })).rejects.toThrow(/modify_image/);
    await server.images.upload(member, id, Readable.from([Buffer.alloc(512)]));
    await expect(server.images.update(member, id, { disk_format: 'qcow2' })).rejects.toThrow(
      /changing its disk_format/,
    );
    const patch = JSON.stringify([{ op: 'replace', path: '/id', value: '11111111-1111-4111-8111-111111111111' }]);
    const answer = await call('PATCH', `/images/${id}`, patch, 'application/openstack-images-v2.1-json-patch');
    expect(answer.text).toMatch(/'id' is read-only/);
  });
});
