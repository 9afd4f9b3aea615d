import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBundle, type MadeBundle } from './create.ts';
import { type BundleIndex, fingerprint, HEAD, sealed, TRAILER_BYTES } from './format.ts';
import { programSource, unpackByHand } from './program.ts';
import { openBundle } from './read.ts';

const dir = mkdtempSync(join(tmpdir(), 'uc-bundle-'));
const { privateKey } = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519').privateKey;
const signer = fingerprint(privateKey);
const from = join(dir, 'from');
const file = join(dir, 'all.bundle');
const noise = randomBytes(3 << 20);
let index: MadeBundle;

beforeAll(async () => {
  mkdirSync(join(from, 'images', 'gold', 'objects'), { recursive: true });
  writeFileSync(join(from, 'images', 'gold', 'objects', 'one'), noise);
  mkdirSync(join(from, 'images', '-n'));
  mkdirSync(join(from, 'program', '.git'), { recursive: true });
  writeFileSync(join(from, 'program', 'run'), '#!/bin/sh\necho here\n');
  chmodSync(join(from, 'program', 'run'), 0o755);
  symlinkSync('run', join(from, 'program', 'link'));
  for (const name of ['needed', 'tester']) {
    mkdirSync(join(from, 'program', 'node_modules', name), { recursive: true });
    writeFileSync(join(from, 'program', 'node_modules', name, 'index.js'), '');
  }
  const packages = { 'node_modules/needed': {}, 'node_modules/tester': { dev: true } };
  writeFileSync(join(from, 'program', 'package-lock.json'), JSON.stringify({ packages }));
  index = await createBundle({
    file,
    key: privateKey,
    version: null,
    made: 1,
    sources: [
      programSource(join(from, 'program')),
      { part: 'boot', directory: join(from, 'nothing') },
      { part: 'images', directory: join(from, 'images') },
    ],
  });
});
afterAll(() => rmSync(dir, { recursive: true }));

const open = (path: string, who = signer) => openBundle(path, who, (by) => new Error(`signed by ${by}`));

describe('a bundle', () => {
  it('brings back what went in, modes and links, and leaves out what is not wanted', async () => {
    expect(index.segments.map(({ part, files }) => [part, files])).toEqual([
      ['program', 4],
      ['images', 1],
    ]);
    const to = join(dir, 'to');
    const bundle = await open(file);
    await bundle.verify();
    for (const segment of bundle.index.segments) await bundle.unpack(segment, join(to, segment.part));
    await bundle.close();
    expect(readdirSync(join(to, 'program')).sort()).toEqual(['link', 'node_modules', 'package-lock.json', 'run']);
    expect(readdirSync(join(to, 'program', 'node_modules'))).toEqual(['needed']);
    expect(statSync(join(to, 'program', 'run')).mode & 0o777).toBe(0o755);
    expect(readlinkSync(join(to, 'program', 'link'))).toBe('run');
    expect(readFileSync(join(to, 'images', 'gold', 'objects', 'one')).equals(noise)).toBe(true);
    // Loaded once more, over itself.
    const again = await open(file);
    for (const segment of again.index.segments) await again.unpack(segment, join(to, segment.part));
    await again.close();
    expect(readdirSync(join(to, 'images')).sort()).toEqual(['-n', 'gold']);
  });

  it('gives out its program by hand, where nothing but a bare Debian is there', () => {
    const [program] = index.segments;
    const place = join(dir, 'by-hand');
    for (const line of unpackByHand(file, program!.length, place)) execFileSync('sh', ['-ec', line], { stdio: 'pipe' });
    expect(execFileSync(join(place, 'run'), { encoding: 'utf8' })).toBe('here\n');
    expect(execFileSync('sha256sum', [file], { encoding: 'utf8' }).split(' ')[0]).toBe(index.sha256);
  });

  it('is refused when it is cut short, lengthened, changed anywhere, or signed by somebody else', async () => {
    const whole = readFileSync(file);
    const bad = join(dir, 'bad.bundle');
    const refused = async (bytes: Buffer, sentence: RegExp, who = signer) => {
      writeFileSync(bad, bytes);
      const work = async () => {
        const bundle = await open(bad, who);
        await bundle.verify().finally(() => bundle.close());
      };
      await expect(work()).rejects.toThrow(sentence);
    };
    const changed = (at: number) => {
      const copy = Buffer.from(whole);
      copy[at]! ^= 1;
      return copy;
    };
    await refused(Buffer.alloc(0), /does not begin as a bundle does/);
    await refused(HEAD, /it was cut short/);
    await refused(whole.subarray(0, whole.length - 1), /does not end as a bundle does/);
    await refused(whole.subarray(0, whole.length / 2), /does not end as a bundle does/);
    await refused(Buffer.concat([whole, Buffer.from('x')]), /does not end as a bundle does/);
    // A piece is taken out of the middle, and the end is whole.
    await refused(Buffer.concat([whole.subarray(0, 1000), whole.subarray(2000)]), /something was cut out of it/);
    const [program, images] = index.segments;
    await refused(changed(program!.offset + 20), /the part program is damaged: its sha256 is/);
    await refused(changed(images!.offset + images!.length - 5), /the part images is damaged/);
    const indexAt = images!.offset + images!.length;
    await refused(changed(indexAt + 30), /does not fit its signature/);
    await refused(changed(whole.length - TRAILER_BYTES + 12), /does not fit its signature/);
    // Signed again, well, by another key.
    const again = Buffer.concat([whole.subarray(0, indexAt), sealed(index, indexAt, stranger)]);
    await refused(again, new RegExp(`signed by ${fingerprint(stranger)}`));
    await refused(whole, new RegExp(`signed by ${signer}`), 'nobody');
    // Well signed and senseless.
    const lie = { ...index, segments: [{ ...program!, length: program!.length - 1 }, images!] };
    await refused(Buffer.concat([whole.subarray(0, indexAt), sealed(lie, indexAt, privateKey)]), /that cannot be/);
    const other = { ...index, format: 'undercloud.image/1' } as unknown as BundleIndex;
    await refused(Buffer.concat([whole.subarray(0, indexAt), sealed(other, indexAt, privateKey)]), /its format is/);
  });

  it('unpacks nothing of a part that changed after it was verified', async () => {
    const bundle = await open(file);
    await bundle.verify();
    const [, images] = index.segments;
    const to = join(dir, 'late');
    await expect(bundle.unpack({ ...images!, sha256: '0'.repeat(64) }, to)).rejects.toThrow(
      /the part images is damaged/,
    );
    await bundle.close();
    expect(readdirSync(to)).toEqual([]);
  });

  it('is not there when it could not be made', async () => {
    const gone = join(dir, 'gone.bundle');
    const sources = [{ part: 'images', directory: join(from, 'images'), entries: ['gold'] }] as const;
    const stopped = AbortSignal.abort();
    await expect(
      createBundle({ file: gone, key: privateKey, version: null, made: 1, sources, signal: stopped }),
    ).rejects.toThrow();
    expect(existsSync(gone)).toBe(false);
    expect(existsSync(`${gone}.part`)).toBe(false);
  });
});

it('the commands make one, and load it into an empty state where no way leads out', { timeout: 120_000 }, () => {
  const cli = join(import.meta.dirname, '../../services/cli/undercloud.ts');
  const state = join(dir, 'state');
  mkdirSync(join(state, 'keys'), { recursive: true });
  writeFileSync(join(state, 'keys', 'signing.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  mkdirSync(join(state, 'cache'));
  execFileSync('cp', ['-a', join(from, 'images'), join(state, 'cache', 'images')]);
  const bundle = join(dir, 'cli.bundle');
  const run = (prefix: readonly string[], ...words: string[]) => {
    const [program = '', ...rest] = [...prefix, process.execPath, cli, ...words];
    return execFileSync(program, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  };
  const made = JSON.parse(run([], '--json', '--state', state, 'bundle', 'create', bundle, '--parts', 'images,boot'));
  expect(made).toMatchObject({ fingerprint: signer, segments: [{ part: 'images', files: 1 }] });
  // A namespace of its own without one interface that is up: not even the loopback one.
  const alone = ['unshare', '--map-root-user', '--net', '--'];
  const empty = join(dir, 'empty');
  expect(() => run(alone, '--state', empty, 'bundle', 'load', bundle)).toThrow(
    new RegExp(`is signed by ${signer}, and nobody is trusted here`),
  );
  expect(existsSync(empty)).toBe(false);
  run(alone, '--state', empty, 'bundle', 'verify', bundle, '--trust', signer);
  run(alone, '--state', empty, 'bundle', 'load', bundle, '--trust', signer);
  expect(readFileSync(join(empty, 'cache/images/gold/objects/one')).equals(noise)).toBe(true);
});
