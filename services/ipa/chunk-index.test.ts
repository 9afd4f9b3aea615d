import { describe, expect, it } from 'vitest';
import {
  CHUNK_SIZE,
  type ChunkIndex,
  ChunkIndexError,
  chunkLength,
  encodeChunkIndex,
  parseChunkIndex,
  validateChunkIndex,
} from './index.ts';

const SHA = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);

function sample(): ChunkIndex {
  return {
    format: 'undercloud.chunks/2',
    size: 2 * CHUNK_SIZE + 512,
    chunkSize: CHUNK_SIZE,
    objects: [{ name: 'a.pack', size: 1000, sha256: SHA }],
    chunks: [[0, 0, 100, SHA, SHA], null, [0, 100, 900, OTHER]],
  };
}

describe('chunk index', () => {
  it('survives writing and reading, byte for byte', () => {
    const text = encodeChunkIndex(sample());
    expect(parseChunkIndex(text)).toEqual(sample());
    expect(encodeChunkIndex(parseChunkIndex(Buffer.from(text)))).toBe(text);
    expect([0, 1, 2].map((i) => chunkLength(sample(), i))).toEqual([CHUNK_SIZE, CHUNK_SIZE, 512]);
  });

  it('lets equal chunks share a frame', () => {
    const index = sample();
    index.chunks[2] = [0, 0, 100, SHA, SHA];
    expect(validateChunkIndex(index).chunks[2]).toEqual([0, 0, 100, SHA, SHA]);
  });

  it('reads what was written before frames had sums of their own, and writes it as it was', () => {
    const old: ChunkIndex = { ...sample(), format: 'undercloud.chunks/1', chunks: [[0, 0, 100, SHA], null, null] };
    const text = encodeChunkIndex(old);
    expect(text).toContain(`"chunks":[[0,0,100,"${SHA}"],null,null]`);
    expect(parseChunkIndex(text)).toEqual(old);
  });

  const faults: [
    string,
    (index: Record<string, unknown> & { objects: unknown[]; chunks: unknown[] }) => void,
    RegExp,
  ][] = [
    ['another format', (x) => Object.assign(x, { format: 'undercloud.chunks/3' }), /format is "undercloud.chunks\/3"/],
    [
      "a frame's sum in format 1",
      (x) => Object.assign(x, { format: 'undercloud.chunks/1' }),
      /neither null nor \[object, offset, length, sha256\]/,
    ],
    [
      "a frame's sum that is none",
      (x) => Object.assign(x.chunks, { 0: [0, 0, 100, SHA, 'ab'] }),
      /chunks\[0\]'s frame is "ab"/,
    ],
    [
      'a shared frame with two sums of its own',
      (x) => Object.assign(x.chunks, { 2: [0, 0, 100, SHA, OTHER] }),
      /different checksums/,
    ],
    ['too many sums', (x) => Object.assign(x.chunks, { 0: [0, 0, 100, SHA, SHA, SHA] }), /sha256, frame\]/],
    ['another chunk size', (x) => Object.assign(x, { chunkSize: 4096 }), /chunkSize is 4096/],
    ['a size that is no multiple of 512', (x) => Object.assign(x, { size: 2 * CHUNK_SIZE + 7 }), /multiple of 512/],
    ['an absurd size', (x) => Object.assign(x, { size: 2 ** 53 }), /size is 9007199254740992/],
    ['a size of nothing', (x) => Object.assign(x, { size: 0 }), /size is 0/],
    ['too few chunks', (x) => x.chunks.pop(), /lists 2 chunks, and 2097664 bytes need 3/],
    [
      'a chunk past its object',
      (x) => Object.assign(x.chunks, { 2: [0, 101, 900, SHA] }),
      /chunks\[2\] ends at byte 1001/,
    ],
    ['an unknown object', (x) => Object.assign(x.chunks, { 0: [1, 0, 100, SHA] }), /chunks\[0\]'s object is 1/],
    ['a negative offset', (x) => Object.assign(x.chunks, { 0: [0, -1, 100, SHA] }), /offset is -1/],
    [
      'a frame larger than a chunk can be',
      (x) => Object.assign(x.chunks, { 0: [0, 0, 2 ** 21, SHA] }),
      /length is 2097152/,
    ],
    [
      'overlapping frames',
      (x) => Object.assign(x.chunks, { 2: [0, 99, 900, SHA] }),
      /chunks\[0\] and chunks\[2\] overlap/,
    ],
    [
      'a shared frame with two checksums',
      (x) => Object.assign(x.chunks, { 2: [0, 0, 100, OTHER] }),
      /different checksums/,
    ],
    ['a chunk that is a number', (x) => Object.assign(x.chunks, { 1: 0 }), /chunks\[1\] is 0/],
    ['a checksum in capitals', (x) => Object.assign(x.chunks, { 0: [0, 0, 100, 'A'.repeat(64)] }), /lower-case/],
    [
      'a path as an object name',
      (x) => Object.assign(x.objects, { 0: { name: '../a', size: 1000, sha256: SHA } }),
      /plain file name/,
    ],
    ['two objects of one name', (x) => x.objects.push(x.objects[0]), /two objects are named a.pack/],
    ['no objects', (x) => Object.assign(x, { objects: null }), /objects is null/],
    ['no chunks', (x) => Object.assign(x, { chunks: {} }), /chunks is \{\}/],
  ];
  it.each(faults)('refuses %s', (_name, spoil, sentence) => {
    const index = structuredClone(sample());
    spoil(index as unknown as Parameters<typeof spoil>[0]);
    expect(() => validateChunkIndex(index)).toThrow(ChunkIndexError);
    expect(() => validateChunkIndex(index)).toThrow(sentence);
  });

  it.each([
    ['', /no JSON/],
    ['[]', /not an object/],
    ['null', /not an object/],
    ['{"format":', /no JSON/],
  ] as const)('refuses the text %j', (text, sentence) => {
    expect(() => parseChunkIndex(text)).toThrow(sentence);
  });
});
