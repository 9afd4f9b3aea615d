import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ImageServer, imageServer } from '../../../test/setup/image-server.ts';
import { MIB, packImage } from '../../agent/testing/chunked-image.ts';

let server: ImageServer;
let directory = '';
beforeAll(async () => {
  server = await imageServer();
  directory = join(server.dir, 'gold');
});
afterAll(() => server.close());

const register = async (): Promise<{ image: { id: string; registered: boolean; sent: number } }> => {
  const program = join(import.meta.dirname, '../undercloud.ts');
  const env = {
    ...{ PATH: process.env.PATH, HOME: server.dir, OS_AUTH_URL: `${server.url}/identity/v3`, OS_USERNAME: 'admin' },
    ...{
      OS_PASSWORD: 'swordfish',
      OS_PROJECT_NAME: 'admin',
      OS_USER_DOMAIN_ID: 'default',
      OS_PROJECT_DOMAIN_ID: 'default',
    },
  };
  const args = ['--disable-warning=ExperimentalWarning', program, '--json', 'image', 'register', directory];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  return JSON.parse(stdout);
};

const packed = packImage(randomBytes(3 * MIB));
function lay(changes: { index?: string; manifest?: object } = {}): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, 'objects'), { recursive: true });
  const objects = packed.index.objects.map((object) => ({ ...object, name: object.sha256 }));
  for (const [name, data] of packed.objects)
    writeFileSync(join(directory, 'objects', objects[Number(name.slice(7))]!.sha256), data);
  const index = JSON.stringify({ ...packed.index, objects });
  writeFileSync(join(directory, 'index.json'), changes.index ?? index);
  for (const file of ['kernel', 'initrd']) writeFileSync(join(directory, file), file);
  const manifest = {
    ...{ format: 'undercloud.image/1', name: 'gold', key: 'k', size: packed.raw.length, types: ['chunks'] },
    sha512: createHash('sha512').update(packed.raw).digest('hex'),
    indexSha256: createHash('sha256').update(index).digest('hex'),
    ...{ release: 'bookworm', architecture: 'amd64' },
    boot: { kernelPath: '/vmlinuz', initrdPath: '/initrd.img', commandLine: 'ro' },
    ...changes.manifest,
  };
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify(manifest));
}

it('puts a built image into the store without building, once', async () => {
  lay();
  const { image } = await register();
  expect(image).toMatchObject({
    registered: true,
    sent: packed.index.objects.reduce((sum, { size }) => sum + size, 0),
  });
  expect(await server.images.find(server.world.context, 'gold')).toMatchObject({ id: image.id, status: 'active' });
  expect((await register()).image).toMatchObject({ id: image.id, registered: false, sent: 0 });
});

it.each([
  ['an index that is not the manifest’s', { index: '{}' }, /index\.json is not the one of its manifest/],
  ['an image without chunks', { manifest: { types: ['qcow2'] } }, /built without type “chunks”/],
  ['another format', { manifest: { format: 'x/1' } }, /manifest\.json cannot be read/],
] as const)('refuses %s', async (_what, changes, sentence) => {
  lay(changes);
  await expect(register()).rejects.toThrow(sentence);
});

it('refuses a directory whose objects are damaged, and keeps no image of it', async () => {
  lay({ manifest: { name: 'torn', sha512: '0'.repeat(128) } });
  // Not in the store yet, so that it is really sent.
  const other = packImage(randomBytes(MIB));
  const [object] = other.index.objects;
  const index = JSON.stringify({ ...other.index, objects: [{ ...object, name: object!.sha256 }] });
  const indexSha256 = createHash('sha256').update(index).digest('hex');
  lay({ index, manifest: { name: 'torn', sha512: '0'.repeat(128), size: MIB, indexSha256 } });
  writeFileSync(join(directory, 'objects', object!.sha256), Buffer.alloc(object!.size));
  await expect(register()).rejects.toThrow(/sha256/);
  await expect(server.images.find(server.world.context, 'torn')).rejects.toThrow();
});
