import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensurePackages } from '../../bootstrap/packages.ts';
import { buildImage, definitionOf } from '../../services/builder/index.ts';

/** Rebuilds where no network is: from the lock and the package store, and from nothing else. */

const shared = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';
const run = promisify(execFile);
let work: string;
let cache: string;
let store: string;
let directory: string;

interface Outcome {
  same?: boolean;
  reasons?: string[];
  refused?: string;
}

/** In a network namespace of its own, which has not even a loopback that is up. */
async function verifyAlone(): Promise<Outcome> {
  const fixture = new URL('image-locked.fixture.ts', import.meta.url).pathname;
  const { stdout } = await run('unshare', ['--net', process.execPath, fixture, cache, directory]);
  return JSON.parse(stdout) as Outcome;
}

beforeAll(async () => {
  await ensurePackages(['images', 'tests']);
  work = await mkdtemp('/var/tmp/image-locked-');
  // The store alone: no layer of the first build can help the second to the same result.
  cache = join(work, 'cache');
  const definition = { ...definitionOf(['debian-base']), base: false, packages: ['less'], types: ['tar' as const] };
  const output = join(work, 'small');
  ({ directory } = await buildImage({
    definition: { ...definition, name: 'small', output },
    out: work,
    cache: shared,
  }));
  const { release } = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')) as { release: string };
  await cp(join(shared, 'apt', release), join(cache, 'apt', release), { recursive: true });
  store = join(cache, 'apt', release, 'archives');
}, 300_000);

afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

describe('a rebuild without a network', () => {
  it('takes every package from the store and makes the same bytes', async () => {
    const lock = JSON.parse(await readFile(join(directory, 'lock.json'), 'utf8')) as {
      packages: { name: string; sha256: string | null }[];
    };
    expect(lock.packages.filter(({ sha256 }) => sha256 === null)).toEqual([]);
    expect(lock.packages.map(({ name }) => name)).toContain('less');
    expect(await verifyAlone()).toEqual({ same: true, reasons: [] });
  });

  it('names each package that neither the store nor a mirror has, before anything is built', async () => {
    const files = (await readdir(store)).filter((name) => /^(less|tar)_/.test(name));
    const [less = '', tar = ''] = files.sort();
    await rename(join(store, less), join(work, less));
    // Damaged is as good as gone.
    const whole = await readFile(join(store, tar));
    await rm(join(store, tar));
    await writeFile(join(store, tar), whole.subarray(0, whole.length - 1));
    const { refused } = await verifyAlone();
    expect(refused).toMatch(/neither the package store \(\S+archives\) nor a mirror \(http/);
    expect(refused).toMatch(
      /has (less \S+ amd64, tar \S+ amd64|tar \S+ amd64, less \S+ amd64)\. Bring a package store/,
    );
    expect(refused).not.toContain('dpkg ');
  });
});
