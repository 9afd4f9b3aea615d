import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CHUNK_SIZE, type ChunkIndex } from '../ipa/index.ts';
import { wireCost } from './diff.ts';
import { compareLocks, type Lock } from './lock.ts';
import { checkSignature, signBytes } from './signing.ts';
import { explainMiss, type StepParts } from './step-key.ts';

const index = (...chunks: ([string, number] | null)[]): ChunkIndex => ({
  format: 'undercloud.chunks/1',
  size: chunks.length * CHUNK_SIZE,
  chunkSize: CHUNK_SIZE,
  objects: [{ name: 'o', size: 1e6, sha256: 'f'.repeat(64) }],
  chunks: chunks.map((chunk) => (chunk === null ? null : [0, 0, chunk[1], chunk[0]])),
});

describe('the cost of going from one image to another', () => {
  it('counts what is neither at its place nor anywhere in the old image', () => {
    const before = index(['a', 10], ['b', 20], null, ['d', 40]);
    const after = index(['a', 10], ['c', 30], ['b', 20], ['c', 30], null);
    expect(wireCost(before, after)).toEqual({
      chunks: 4,
      changed: 3,
      fetched: 1,
      bytes: 30,
      wholeBytes: 60,
      diskBytes: 4 * CHUNK_SIZE,
    });
  });
});

describe('locks', () => {
  const lock = (...packages: [string, string, string][]): Lock => ({
    format: 'undercloud.lock/1',
    name: 'x',
    release: 'bookworm',
    packages: packages.map(([name, version, sha256]) => ({ name, version, architecture: 'amd64', file: null, sha256 })),
  });
  it('say what a rebuild could not get', () => {
    expect(
      compareLocks(
        lock(['a', '1', 'x'], ['b', '1', 'x'], ['c', '1', 'x']),
        lock(['a', '2', 'x'], ['b', '1', 'y'], ['d', '1', 'x']),
      ),
    ).toEqual([
      'a:amd64 was 1 and is 2',
      'b:amd64 1 has other bytes than the locked file',
      'c:amd64 1 is no longer part of it',
      'd:amd64 1 is new',
    ]);
  });
});

describe('signatures', () => {
  it('hold for the bytes and the key that made them', () => {
    const [one, other] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
    const signature = signBytes(one.privateKey, Buffer.from('manifest'));
    expect(checkSignature(one.publicKey, Buffer.from('manifest'), signature)).toBe(true);
    expect(checkSignature(one.publicKey, Buffer.from('manifesT'), signature)).toBe(false);
    expect(checkSignature(other.publicKey, Buffer.from('manifest'), signature)).toBe(false);
  });
});

describe('a miss', () => {
  const parts: StepParts = { parent: 'p', script: 's', data: 'd', programs: 'b', environment: 'e', rest: '' };
  it('says what changed first', () => {
    expect(explainMiss(undefined, parts)).toBe('it has not been built before');
    expect(explainMiss(parts, { ...parts, script: 'x', parent: 'q' })).toBe('the script changed');
    expect(explainMiss(parts, { ...parts, parent: 'q' })).toBe('a layer below it changed');
    expect(explainMiss(parts, parts)).toBe('its layer is no longer in the cache');
  });
});
