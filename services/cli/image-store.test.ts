import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Appliance, createAppliance } from '../../test/setup/appliance.ts';
import type { ImageManifest } from '../builder/index.ts';
import { type Client, connect } from './client.ts';
import { findCloud } from './cloud.ts';
import { findImage, patchImage, registerImage } from './image-store.ts';

const mib = 1024 * 1024;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('registering a built image', () => {
  let site: Appliance;
  let cloud: Client;
  beforeAll(async () => {
    site = await createAppliance();
    cloud = await connect(findCloud(site.environment, undefined));
    return () => {
      cloud.close();
      return site.close();
    };
  });

  /** What the builder leaves behind: two objects of a chunk each. */
  function built(name: string, chunks: readonly Buffer[], key = 'k1'): { directory: string; manifest: ImageManifest } {
    const directory = mkdtempSync(join(site.dir, 'built-'));
    mkdirSync(join(directory, 'objects'));
    const objects = chunks.map((chunk) => {
      const bytes = zstdCompressSync(chunk);
      const object = { name: sha256(bytes), size: bytes.length, sha256: sha256(bytes) };
      writeFileSync(join(directory, 'objects', object.name), bytes);
      return object;
    });
    const raw = Buffer.concat(chunks);
    const index = {
      format: 'undercloud.chunks/1',
      size: raw.length,
      chunkSize: mib,
      objects,
      chunks: chunks.map((chunk, at) => [at, 0, objects[at]?.size, sha256(chunk)]),
    };
    writeFileSync(join(directory, 'index.json'), JSON.stringify(index));
    const manifest = {
      format: 'undercloud.image/1',
      name,
      key,
      size: raw.length,
      sha256: sha256(raw),
      sha512: createHash('sha512').update(raw).digest('hex'),
      release: 'bookworm',
      architecture: 'amd64',
      types: ['chunks'],
      packages: [],
      boot: { kernelPath: '/vmlinuz', initrdPath: '/initrd.img', commandLine: 'ro' },
    } as unknown as ImageManifest;
    return { directory, manifest };
  }
  const register = (image: ReturnType<typeof built>, onBytes = (_done: number, _total: number) => {}) =>
    registerImage(cloud, { ...image, onBytes });
  const names = async () =>
    (await cloud.list<{ name: string }>('image', '/v2/images?limit=100', 'images')).map(({ name }) => name).sort();

  it('sends what is missing, and nothing of an image that is there', async () => {
    const image = built('lab', [randomBytes(mib), randomBytes(mib)]);
    const progress: [number, number][] = [];
    const first = await register(image, (done, total) => progress.push([done, total]));
    expect(first).toMatchObject({ registered: true, replaced: null });
    expect(progress.at(-1)).toEqual([first.sent, first.sent]);
    expect(await findImage(cloud, 'lab')).toMatchObject({
      id: first.id,
      status: 'active',
      visibility: 'public',
      min_disk: 1,
    });
    expect(await register(image)).toEqual({ id: first.id, registered: false, sent: 0, replaced: null });
    // Other inputs, the same bytes: it is the same image under its new key.
    await register({ ...image, manifest: { ...image.manifest, key: 'k2' } });
    expect((await findImage(cloud, first.id)).build_key).toBe('k2');
  });

  it('replaces the image of that name, and sends only the objects that changed', async () => {
    const [same, old, fresh] = [randomBytes(mib), randomBytes(mib), randomBytes(mib)];
    const first = await register(built('server', [same, old]));
    const second = await register(built('server', [same, fresh]));
    expect(second.replaced).toEqual({ id: first.id, kept: null });
    expect(second.sent).toBeLessThan(first.sent);
    expect((await findImage(cloud, 'server')).id).toBe(second.id);
    expect((await names()).filter((name) => name.startsWith('server'))).toEqual(['server']);
  });

  it('keeps an image that may not go, hidden under another name', async () => {
    const first = await register(built('used', [randomBytes(mib)]));
    await patchImage(cloud, first.id, { protected: true });
    const second = await register(built('used', [randomBytes(mib)]));
    expect(second.replaced?.kept).toMatch(/protected/i);
    expect((await findImage(cloud, 'used')).id).toBe(second.id);
    expect(await findImage(cloud, first.id)).toMatchObject({ os_hidden: true, status: 'active' });
  });

  it('leaves the image of that name as it was when the new one is refused', async () => {
    const first = await register(built('firm', [randomBytes(mib)]));
    const bad = built('firm', [randomBytes(mib)]);
    await expect(register({ ...bad, manifest: { ...bad.manifest, format: 'else' } as never })).rejects.toThrow(
      /format/,
    );
    expect((await names()).filter((name) => name.startsWith('firm'))).toEqual(['firm']);
    expect((await findImage(cloud, 'firm')).id).toBe(first.id);
  });

  it('tells of a damaged build', async () => {
    const bad = built('damaged', [randomBytes(mib)]);
    for (const name of readdirSync(join(bad.directory, 'objects')))
      writeFileSync(join(bad.directory, 'objects', name), 'short');
    await expect(register(bad)).rejects.toThrow(/has 5 bytes and its index says \d+: build the image again/);
    rmSync(bad.directory, { recursive: true });
  });

  it('is shown by the commands', async () => {
    await register(built('shown', [randomBytes(mib)]));
    expect((await site.run('undercloud', 'image', 'list')).stdout).toMatch(
      /^shown +[0-9a-f-]{36} +active +1\.0 MB +raw/m,
    );
    expect((await site.run('undercloud', 'image', 'show', 'shown')).stdout).toMatch(/status +active/);
    const ran = await site.run('undercloud', 'image', 'delete', 'shown', 'nobody');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('✔ shown: deleted');
    expect(ran.stderr).toMatch(/✘ nobody: .*nobody/);
  });
});
