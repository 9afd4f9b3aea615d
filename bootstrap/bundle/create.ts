/** Writes a bundle: every part through tar and a packer into one file, in one pass and bounded memory; then index and signature. */
import { spawn } from 'node:child_process';
import { createHash, type Hash, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { constants, createGzip, createZstdCompress } from 'node:zlib';
import { type BundleIndex, type BundlePart, HEAD, type Segment, sealed } from './format.ts';

export interface PartSource {
  readonly part: BundlePart;
  readonly directory: string;
  /** Names at the directory's top that are taken; all without it. */
  readonly entries?: readonly string[];
  /** Names at its top, and paths below it, that are left out. */
  readonly without?: readonly string[];
}

export interface BundleOrder {
  readonly file: string;
  readonly sources: readonly PartSource[];
  readonly key: KeyObject;
  readonly version: string | null;
  /** Seconds since 1970. */
  readonly made: number;
  readonly onPart?: (part: BundlePart, packed: number) => void;
  readonly signal?: AbortSignal;
}

/** `sha256`: of the whole file, for who has to compare it before a program of ours can. */
export type MadeBundle = BundleIndex & { size: number; sha256: string };

/** Whole or not at all: it has its name when it is signed and durable. @throws Error with tar's last words */
export async function createBundle(order: BundleOrder): Promise<MadeBundle> {
  const unfinished = `${order.file}.part`;
  const file = await open(unfinished, 'w', 0o644);
  try {
    const whole = createHash('sha256').update(HEAD);
    await file.write(HEAD);
    const segments: Segment[] = [];
    let at = HEAD.length;
    for (const source of order.sources) {
      const entries = await entriesOf(source);
      if (entries.length === 0) continue;
      const counted = await count(source.directory, entries, source.without);
      const packed = await pack(file, at, source, entries, order, whole);
      segments.push({ part: source.part, offset: at, ...packed, ...counted });
      at += packed.length;
      order.onPart?.(source.part, packed.length);
    }
    const index: BundleIndex = { format: 'undercloud.bundle/1', made: order.made, version: order.version, segments };
    const end = sealed(index, at, order.key);
    await file.write(end, 0, end.length, at);
    await file.sync();
    await file.close();
    await rename(unfinished, order.file);
    return { ...index, size: at + end.length, sha256: whole.update(end).digest('hex') };
  } catch (error) {
    await file.close().catch(() => {});
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function entriesOf({ directory, entries, without = [] }: PartSource): Promise<string[]> {
  const there = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return there.filter((name) => !without.includes(name) && (entries === undefined || entries.includes(name))).sort();
}

async function count(
  directory: string,
  entries: readonly string[],
  without: readonly string[] = [],
): Promise<{ files: number; bytes: number }> {
  const total = { files: 0, bytes: 0 };
  for (const name of entries) {
    if (without.includes(name)) continue;
    const path = join(directory, name);
    const found = await lstat(path);
    if (found.isDirectory()) {
      const inside = without.flatMap((one) => (one.startsWith(`${name}/`) ? [one.slice(name.length + 1)] : []));
      const below = await count(path, await readdir(path), inside);
      total.files += below.files;
      total.bytes += below.bytes;
    } else {
      total.files += 1;
      total.bytes += found.isFile() ? found.size : 0;
    }
  }
  return total;
}

async function pack(
  file: FileHandle,
  offset: number,
  { directory, part, without = [] }: PartSource,
  entries: readonly string[],
  { signal }: BundleOrder,
  whole: Hash,
): Promise<Pick<Segment, 'length' | 'sha256' | 'packing'>> {
  // Owners are this machine's; where it is unpacked everything is root's. Names come by standard input: there may be many.
  const words = ['-c', '-C', directory, '--owner=0', '--group=0', '--numeric-owner', '--sort=name'];
  words.push('--anchored', '--no-wildcards', ...without.map((path) => `--exclude=${path}`));
  const tar = spawn('tar', [...words, '--null', '--verbatim-files-from', '-T', '-'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(signal && { signal }),
  });
  let told = '';
  tar.stderr.on('data', (piece: Buffer) => {
    told = `${told}${piece}`.slice(-2000);
  });
  const ended = once(tar, 'close') as Promise<[number | null]>;
  // Waited for below; until then a failure to start is nobody's.
  ended.catch(() => {});
  tar.stdin.on('error', () => {});
  tar.stdin.end(entries.map((name) => `${name}\0`).join(''));
  const hash = createHash('sha256');
  let length = 0;
  const params = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 };
  const packing = part === 'program' ? 'gzip' : 'zstd';
  const packer = packing === 'gzip' ? createGzip({ level: 1, chunkSize: 1 << 18 }) : createZstdCompress({ params });
  for await (const piece of tar.stdout.pipe(packer) as AsyncIterable<Buffer>) {
    hash.update(piece);
    whole.update(piece);
    await file.write(piece, 0, piece.length, offset + length);
    length += piece.length;
  }
  const [code] = await ended;
  if (code !== 0)
    throw new Error(`tar could not read ${directory}: ${told.trim().split('\n').at(-1) || `exit code ${code}`}`);
  return { length, sha256: hash.digest('hex'), packing };
}
