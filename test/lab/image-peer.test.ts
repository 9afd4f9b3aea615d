import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ensurePackages } from '../../bootstrap/packages.ts';
import { SHIPPED_ELEMENTS } from '../../services/builder/definition.ts';
import { buildImage, planImage, testImage, verifyImage } from '../../services/builder/index.ts';
import { findElements } from '../../services/builder/resolve.ts';
import { UPSTREAM_ELEMENTS } from '../../services/builder/upstream.ts';
import { buildBoth } from '../conformance/images/build-both.ts';
import { type TinyImages, tinyImages } from './tiny-image.fixture.ts';

/** diskimage-builder's own elements: built by it and by us, compared, booted; then what a changed script costs. */

const cache = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';
let images: TinyImages;
let work: string;

const writeScript = (element: string, path: string, text: string): Promise<void> => images.write(element, path, text);
const tiny = (name: string, ...elements: string[]) => images.options(name, elements);

beforeAll(async () => {
  await ensurePackages(['images', 'elements', 'tests']);
  images = await tinyImages('/tmp/image-peer-');
  work = images.work;
});

afterAll(() => images.remove());

describe('elements of diskimage-builder', () => {
  it('make the same tree here as there, and it boots', async () => {
    const both = await buildBoth({ name: 'debian-minimal-vm', elements: ['debian-minimal', 'vm'] }, cache, {
      ours: ['raw'],
    });
    expect(both.unexplained).toEqual([]);
    expect(both.packages).toEqual([]);
    expect(both.units).toEqual([]);
    const raw = both.ours.files.find((file) => file.endsWith('.raw'))!;
    const boot = await testImage({
      directory: both.ours.directory,
      raw,
      cache: join(cache, 'builder'),
      how: 'nspawn',
      timeoutSeconds: 180,
    });
    expect(boot).toMatchObject({ passed: true });
  });
});

describe('elements of this project', () => {
  it('take no name that diskimage-builder gives to one of its own', async () => {
    const upstream = new Set((await findElements([UPSTREAM_ELEMENTS])).keys());
    expect(upstream).toContain('debian-minimal');
    expect([...(await findElements([SHIPPED_ELEMENTS])).keys()].filter((name) => upstream.has(name))).toEqual([]);
  });
});

describe('layers', () => {
  it('are kept up to a changed script, and the plan says why one is not', async () => {
    await writeScript('steps', 'install.d/20-first', '#!/bin/sh\necho first >/etc/first\n');
    await writeScript('steps', 'install.d/30-second', '#!/bin/sh\necho second >/etc/second\nrm /etc/first\n');
    await writeScript('steps', 'finalise.d/40-third', '#!/bin/sh\ncat /etc/second >/etc/third\n');
    const options = tiny('layered', 'steps');
    const first = await buildImage(options);
    expect((await buildImage(options)).unchanged).toBe(true);
    await writeScript('steps', 'install.d/30-second', '#!/bin/sh\necho changed >/etc/second\nrm /etc/first\n');
    const plan = await planImage(options);
    const state = (script: string) => plan.steps.find((step) => step.script === script);
    expect(state('20-first')?.state).toBe('hit');
    expect(state('30-second')).toMatchObject({ state: 'miss', reason: 'the script changed' });
    const second = await buildImage(options);
    const states = Object.fromEntries(second.steps.map(({ script, state: each }) => [script, each]));
    expect(states).toMatchObject({ '20-first': 'hit', '30-second': 'miss', '40-third': 'miss' });
    expect(second.manifest.artefacts![0]!.sha256).not.toBe(first.manifest.artefacts![0]!.sha256);
    const listing = execFileSync('tar', ['-tf', join(work, 'layered.tar')], { encoding: 'utf8' });
    expect(listing).toContain('./etc/third');
    expect(listing).not.toContain('./etc/first');
    expect(listing).not.toContain('in_target.d');
  });

  it('give the same bytes from two empty caches, signed and listed', async () => {
    await writeScript('stamp', 'install.d/50-stamp', '#!/bin/sh\necho stamp >/etc/stamp\n');
    const options = tiny('twice', 'stamp');
    const digests: string[] = [];
    for (const name of ['one', 'two']) {
      const built = await buildImage({ ...options, cache: join(work, `cache-${name}`), useCache: false });
      digests.push(JSON.stringify(built.manifest));
      expect(await readdir(built.directory)).toEqual(
        expect.arrayContaining([
          'SHA256SUMS',
          'files.list.zst',
          'lock.json',
          'manifest.json',
          'manifest.json.sig',
          'provenance.json',
          'sbom.cdx.json',
          'sbom.spdx.json',
        ]),
      );
    }
    expect(digests[0]).toBe(digests[1]);
  });
});

describe('a rebuild', () => {
  it('has the same bytes, and says which element has changed when it has not', async () => {
    await writeScript('word', 'install.d/50-word', '#!/bin/sh\necho one >/etc/word\n');
    const options = tiny('verified', 'word');
    const { directory } = await buildImage(options);
    const { definition: _, out: __, ...rest } = options;
    expect(await verifyImage(directory, rest)).toMatchObject({ same: true, reasons: [] });
    await writeScript('word', 'install.d/50-word', '#!/bin/sh\necho two >/etc/word\n');
    const { same, reasons } = await verifyImage(directory, rest);
    expect(same).toBe(false);
    expect(reasons).toEqual(
      expect.arrayContaining(['element "word" has changed since the build', '/etc/word differs']),
    );
  });
});

describe('a package that makes the resolver a link into /run', () => {
  it('does not take the network away from the scripts after it', async () => {
    await writeScript(
      'linked',
      'install.d/20-link',
      '#!/bin/sh\nbusybox ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf\n',
    );
    await writeScript('linked', 'install.d/50-look', '#!/bin/sh\ncat /etc/resolv.conf >/etc/seen\n');
    await buildImage(tiny('linked', 'linked'));
    const seen = execFileSync('tar', ['-xOf', join(work, 'linked.tar'), './etc/seen'], { encoding: 'utf8' });
    expect(seen).toBe(await readFile('/etc/resolv.conf', 'utf8'));
    const listing = execFileSync('tar', ['-tvf', join(work, 'linked.tar')], { encoding: 'utf8' });
    expect(listing).toMatch(/resolv\.conf -> \.\.\/run\/systemd\/resolve\/stub-resolv\.conf/);
    expect(listing).not.toMatch(/ \.\/run\/systemd/);
  });
});

describe('a hook that misbehaves', () => {
  it('cannot write outside the tree', async () => {
    await writeScript('stray', 'extra-data.d/50-stray', '#!/bin/sh\nset -e\necho stray >/etc/stray-from-a-hook\n');
    await expect(buildImage(tiny('stray', 'stray'))).rejects.toThrow(
      /extra-data\.d\/50-stray of element "stray".*It wrote outside the tree/s,
    );
    await expect(stat('/etc/stray-from-a-hook')).rejects.toThrow();
  });

  it('is told of when it leaves a mount or a process behind, and both are gone', async () => {
    await writeScript('litter', 'install.d/50-litter', '#!/bin/sh\nmount -t tmpfs litter /var/log\nsleep 1234 &\n');
    const built = await buildImage(tiny('litter', 'litter'));
    expect(built.warnings.join('\n')).toMatch(/50-litter of element "litter" left a mount at \/var\/log/);
    expect(built.warnings.join('\n')).toMatch(/left a process running \(.*sleep 1234/);
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toMatch(/sleep 1234$/m);
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain('litter');
  });

  it('leaves a tree that can be entered, when asked for', async () => {
    await writeScript('failing', 'install.d/50-failing', '#!/bin/sh\necho evidence >/etc/evidence\nexit 3\n');
    const failure = await buildImage({ ...tiny('failing', 'failing'), keep: true }).catch(
      (error: Error) => error.message,
    );
    expect(failure).toMatch(/install\.d\/50-failing of element "failing" ended with exit code 3/);
    const shell = /: (\S+\/shell) opens a shell in it/.exec(String(failure))?.[1];
    const inside = execFileSync(shell!, { input: 'cat /etc/evidence\n', encoding: 'utf8' });
    expect(inside).toContain('evidence');
  });

  it('finds the disk full, says so, and goes on from its finished layers when there is room', async () => {
    const small = join(work, 'small');
    await mkdir(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'small', small]);
    onTestFinished(() => void execFileSync('umount', [small]));
    await writeScript('large', 'install.d/20-early', '#!/bin/sh\necho early >/etc/early\n');
    await writeScript(
      'large',
      'install.d/50-large',
      '#!/bin/sh\nbusybox dd if=/dev/zero of=/usr/large bs=1048576 count=60\n',
    );
    const options = { ...tiny('large', 'large'), cache: join(small, 'cache') };
    // A script meets it first ...
    await expect(buildImage(options)).rejects.toThrow(
      /Script install\.d\/50-large of element "large" .*The disk is full: free space below the cache directory/s,
    );
    expect(await readdir(join(small, 'cache/work'))).toEqual([]);
    // ... then the builder itself, which has no room for the archive beside the layer ...
    execFileSync('mount', ['-o', 'remount,size=100m', small]);
    await expect(buildImage(options)).rejects.toThrow(
      /Image "large": the disk is full\. Free space below \S+, or name another directory with --image-cache/,
    );
    expect(await readdir(join(small, 'cache/work'))).toEqual([]);
    expect((await readdir(work)).filter((name) => name.includes('large.'))).toEqual([]);
    // ... and with room nothing that was finished is done again.
    execFileSync('mount', ['-o', 'remount,size=400m', small]);
    const { steps } = await buildImage(options);
    expect(steps.filter(({ state }) => state === 'miss')).toEqual([]);
  });

  it('is interrupted in one script and goes on from those before it', async () => {
    await writeScript('slow', 'install.d/20-early', '#!/bin/sh\necho early >/etc/early\n');
    await writeScript('slow', 'install.d/50-slow', '#!/bin/sh\necho waiting\nsleep 4321\n');
    const options = tiny('slow', 'slow');
    // What the kept tree of another test has.
    const before = await readdir(join(options.cache, 'work')).catch(() => []);
    const abort = new AbortController();
    const building = buildImage({
      ...options,
      signal: abort.signal,
      onProgress: ({ line }) => {
        if (line === 'waiting') abort.abort();
      },
    });
    await expect(building).rejects.toThrow(/was interrupted; the layers that were finished stay in the cache/);
    expect(await readdir(join(options.cache, 'work'))).toEqual(before);
    await writeScript('slow', 'install.d/50-slow', '#!/bin/sh\necho done\n');
    const { steps } = await buildImage(options);
    const states = Object.fromEntries(steps.map(({ script, state }) => [script, state]));
    expect(states).toMatchObject({ '20-early': 'hit', '50-slow': 'miss' });
  });

  it('meets another of its name: two hooks, two operating systems', async () => {
    await writeScript('second', 'install.d/50-stray', '#!/bin/sh\n');
    await writeScript('third', 'install.d/50-stray', '#!/bin/sh\n');
    await expect(buildImage(tiny('both', 'second', 'third'))).rejects.toThrow(
      /Elements "second" and "third" both bring install\.d\/50-stray/,
    );
    await writeScript('other-tiny', 'element-provides', 'operating-system\n');
    await expect(buildImage(tiny('both', 'other-tiny'))).rejects.toThrow(/both provide "operating-system"/);
  });

  it.each([
    [['nobody'], /There is no element "nobody"/],
    [[], /put no operating system into the tree|provides an operating system/],
  ])('elements %j are refused', async (elements, sentence) => {
    const options = tiny('refused', ...elements);
    if (elements.length === 0) options.definition.elements = ['steps'];
    await expect(buildImage(options)).rejects.toThrow(sentence);
  });
});
