import { execFile, execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensurePackages } from '../../bootstrap/packages.ts';
import {
  type BuiltImage,
  buildImage,
  checkSignature,
  definitionOf,
  diffImages,
  type Signature,
} from '../../services/builder/index.ts';
import { peerRoot } from '../setup/peers/root.ts';

/**
 * What a build of diskimage-builder's own elements leaves, in the hands of others' tools: the same bytes from two empty states, the second without a network; archives that skopeo and
 * umoci take; sums, signature, bills of materials, and what two images differ in. About eight minutes.
 */

const run = promisify(execFile);
let work: string;
let first: BuiltImage;

const build = (cache: string, name: string, packages: string[] = []): Promise<BuiltImage> =>
  buildImage({
    definition: {
      ...definitionOf(['debian-minimal', 'vm']),
      name,
      packages,
      types: ['qcow2', 'oci', 'chunks'],
      output: join(work, name),
    },
    out: work,
    cache: join(work, cache),
    directory: work,
  });

beforeAll(async () => {
  await ensurePackages(['images', 'elements', 'tests']);
  work = await mkdtemp('/var/tmp/image-artefacts-');
  first = await build('one', 'image');
});

afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

const json = async <Value>(name: string): Promise<Value> =>
  JSON.parse(await readFile(join(first.directory, name), 'utf8')) as Value;

describe('an image of debian-minimal', () => {
  it('has the same bytes from a second empty state, of which only the package store is brought, and no network', async () => {
    const { release } = first.manifest;
    await cp(join(work, 'one/apt', release), join(work, 'two/apt', release), { recursive: true });
    const fixture = new URL('../lab/image-locked.fixture.ts', import.meta.url).pathname;
    const args = ['--net', '--kill-child', process.execPath, fixture, join(work, 'two'), first.directory];
    const { stdout } = await run('unshare', args);
    expect(JSON.parse(stdout)).toEqual({ same: true, reasons: [] });
  });

  it('has an OCI archive that skopeo reads and umoci unpacks to the same system', async () => {
    const tools = peerRoot(
      {
        name: 'oci',
        packages: ['skopeo', 'umoci', 'ca-certificates'],
        users: [],
        groups: [],
        directories: ['var/tmp', 'etc/containers', 'work'],
      },
      '/var/tmp/undercloud-test/oci',
    );
    const inside = (script: string): string =>
      execFileSync(
        'unshare',
        [
          '--mount',
          '--propagation',
          'private',
          'sh',
          '-ec',
          'mount --bind "$1" "$2/work"; mount -t proc proc "$2/proc"; exec chroot "$2" sh -ec "$3"',
          'oci',
          work,
          tools,
          script,
        ],
        { encoding: 'utf8', maxBuffer: 1 << 26 },
      );
    const seen = JSON.parse(inside('skopeo inspect oci-archive:/work/image.oci.tar')) as Record<string, unknown>;
    expect(seen).toMatchObject({ Architecture: 'amd64', Os: 'linux' });
    inside(
      'cd /work; mkdir -p layout; skopeo copy --insecure-policy -q oci-archive:/work/image.oci.tar oci:layout:image; umoci unpack --image layout:image bundle >/dev/null 2>&1',
    );
    const root = join(work, 'bundle/rootfs');
    expect(await readFile(join(root, 'etc/os-release'), 'utf8')).toContain('ID=debian');
    const there = execFileSync('chroot', [root, 'dpkg-query', '-W', '-f', `\${db:Status-Abbrev}\\t\${Package}\\n`], {
      encoding: 'utf8',
    });
    expect(there.split('\n').filter((line) => line.startsWith('ii')).length).toBe(first.manifest.packages.length);
    expect(execFileSync('stat', ['-c', '%a %u:%g', join(root, 'usr/bin/passwd')], { encoding: 'utf8' }).trim()).toBe(
      '4755 0:0',
    );
  });

  it('has sums that hold, a signature of its manifest, and a qcow2 file that is whole', async () => {
    expect(execFileSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: first.directory, encoding: 'utf8' })).toMatch(
      /^\.\.\/image\.qcow2: OK$/m,
    );
    const manifest = await readFile(join(first.directory, 'manifest.json'));
    const signature = await json<Signature>('manifest.json.sig');
    const publicKey = createPublicKey(await readFile(join(work, 'one/signing.key.pub')));
    expect(checkSignature(publicKey, manifest, signature)).toBe(true);
    expect(checkSignature(publicKey, Buffer.concat([manifest, Buffer.from(' ')]), signature)).toBe(false);
    const qcow2 = join(work, 'image.qcow2');
    expect(execFileSync('qemu-img', ['check', qcow2], { encoding: 'utf8' })).toContain('No errors were found');
  });

  it('names every package in its lock, both bills and its provenance', async () => {
    const names = first.manifest.packages.map(({ name }) => name).sort();
    const lock = await json<{ packages: { name: string; sha256: string | null }[] }>('lock.json');
    expect(lock.packages.map(({ name }) => name).sort()).toEqual(names);
    expect(lock.packages.filter(({ sha256 }) => sha256 === null)).toEqual([]);
    const cyclone = await json<{ components: { name: string; hashes: { content: string }[] }[] }>('sbom.cdx.json');
    expect(cyclone.components.map(({ name }) => name).sort()).toEqual(names);
    expect(cyclone.components.every(({ hashes }) => /^[0-9a-f]{64}$/.test(hashes[0]?.content ?? ''))).toBe(true);
    const spdx = await json<{ packages: { name: string }[] }>('sbom.spdx.json');
    expect(spdx.packages.map(({ name }) => name).sort()).toEqual([...names, 'image'].sort());
    const provenance = await json<{ elements: { name: string; sha256: string }[]; layers: { key: string }[] }>(
      'provenance.json',
    );
    expect(provenance.elements.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['debian-minimal', 'vm', 'bootloader']),
    );
    expect(provenance.layers.length).toBeGreaterThan(10);
  });

  it('differs from one with a package more by that package, its files, and a part of its bytes', async () => {
    const second = await build('one', 'more', ['less']);
    const diff = await diffImages(first.directory, second.directory);
    expect(diff.packages).toEqual([{ name: 'less', before: null, after: expect.any(String) }]);
    expect(diff.files?.added).toContain('usr/bin/less');
    expect(diff.wire!.bytes).toBeLessThan(0.25 * diff.wire!.wholeBytes);
  });
});
