import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, createReadStream, createWriteStream, openSync } from 'node:fs';
import { copyFile, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { type ChunkedImage, chunkImage, encodeChunkIndex } from '../ipa/index.ts';
import { keptChunks } from './chunk-pieces.ts';
import { runCommand } from './command.ts';
import type { ImageDefinition, ImageType } from './definition.ts';
import type { TreeNode } from './layers.ts';
import { findNode } from './layers.ts';
import { type DiskMap, MappedDisk } from './mapped-disk.ts';
import type { PieceCache } from './piece-cache.ts';
import { BuildError, type OnProgress, type StageClock } from './progress.ts';
import { writeQcow2 } from './qcow2/write.ts';
import { writeTar } from './tar.ts';

/** A file that a build leaves behind. */
export interface Artefact {
  type: ImageType | 'index';
  /** Name beside the manifest, or relative to it. */
  name: string;
  size: number;
  sha256: string;
}

/** Types that are a disk: they need the assembled image. */
const DISKS: readonly ImageType[] = ['chunks', 'raw', 'qcow2', 'vhd', 'vmdk', 'vdi'];

export function needsDisk(types: readonly ImageType[]): boolean {
  return types.some((type) => DISKS.includes(type));
}

/** A qcow2 file as this builder writes it, and not as qemu-img does because somebody asked for something of its options. */
function isOwnQcow2({ uncompressed, qemuOptions }: ImageDefinition): boolean {
  return !uncompressed && qemuOptions === undefined;
}

/** Types that read the whole disk; the builder's own qcow2 reads files where they are. */
export function needsRaw(types: readonly ImageType[], definition: ImageDefinition): boolean {
  return types.some((type) => DISKS.includes(type) && !(type === 'qcow2' && isOwnQcow2(definition)));
}

const ENDINGS: Partial<Record<ImageType, string>> = { squashfs: 'squash', docker: 'docker.tar', oci: 'oci.tar' };

/** The ending of a type's file, as diskimage-builder has it where it knows the type. */
export function endingOf(type: ImageType): string {
  return ENDINGS[type] ?? type;
}

export interface OutputOptions {
  definition: ImageDefinition;
  types: readonly ImageType[];
  root: TreeNode;
  /** The assembled disk; undefined when no type needs it. */
  raw?: string;
  /** Where files lie on it. */
  map: DiskMap;
  /** What was compressed before. */
  pieces: PieceCache;
  /** Directory that the files are made in, and the beginning of their names. */
  directory: string;
  name: string;
  work: string;
  epoch: number;
  architecture: string;
  clock: StageClock;
  onProgress: OnProgress;
  signal?: AbortSignal | undefined;
}

export interface Outputs {
  /** Paths of the files by type. */
  files: { type: Artefact['type']; path: string }[];
  sha256?: string;
  sha512?: string;
  indexSha256?: string;
}

/** Bytes that are read and hashed at once. */
const PIECE = 1024 * 1024;

/** Digests of a file in one read, through one piece of memory: a stream takes a fresh one for each piece, and twice the time. */
export async function digestFile(path: string, ...algorithms: string[]): Promise<string[]> {
  const hashes = algorithms.map((name) => createHash(name));
  const piece = Buffer.allocUnsafe(PIECE);
  const file = await open(path, 'r');
  try {
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, PIECE);
      if (bytesRead === 0) break;
      for (const hash of hashes) hash.update(piece.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
  return hashes.map((hash) => hash.digest('hex'));
}

/** One for each processor: more only take turns, and cost a fifth more CPU (5.0 s for 870 MB at 8, 4.2 at 1). qemu-img knows at most 16. */
const COMPRESSORS = String(Math.min(16, availableParallelism()));

/** Clusters are written in their order (no -W): out of order, two runs place them differently. */
async function convert(
  options: OutputOptions,
  format: string,
  target: string,
  extra: readonly string[],
): Promise<void> {
  await runCommand(
    'qemu-img',
    ['convert', '-f', 'raw', '-O', format, ...extra, '-m', COMPRESSORS, options.raw!, target],
    options.signal === undefined ? {} : { signal: options.signal },
  );
}

/** zstd, which readers since QEMU 5.1 know, costs a fifth of zlib's CPU; --qemu-img-options compression_type=zlib is for older ones. */
async function makeQcow2(options: OutputOptions, target: string): Promise<void> {
  const { definition, pieces, map, signal } = options;
  if (isOwnQcow2(definition)) {
    const disk = new MappedDisk(options.raw!, map);
    try {
      return await writeQcow2({ disk, target, pieces, signal });
    } finally {
      disk.close();
    }
  }
  const { uncompressed, qemuOptions } = definition;
  const given = qemuOptions === undefined ? [] : [qemuOptions];
  const compressed = uncompressed ? [] : ['-c'];
  const old = qemuOptions?.includes('compression_type') || qemuOptions?.includes('compat=0.10');
  const words = [...given, ...(uncompressed || old ? [] : ['compression_type=zstd'])].join(',');
  await convert(options, 'qcow2', target, [...compressed, ...(words === '' ? [] : ['-o', words])]);
}

async function makeChunks(options: OutputOptions, objects: string): Promise<ChunkedImage> {
  const { raw, map, pieces, signal, onProgress } = options;
  const disk = new MappedDisk(raw!, map);
  try {
    return await chunkImage({
      raw: raw!,
      objects,
      kept: keptChunks(disk, pieces),
      signal,
      onProgress: (done, total) => onProgress({ phase: 'chunks', line: `${done} of ${total} MiB` }),
    });
  } finally {
    disk.close();
  }
}

async function gzip(source: string, target: string): Promise<void> {
  await pipeline(
    createReadStream(source, { highWaterMark: 1024 * 1024 }),
    createGzip({ level: 6 }),
    createWriteStream(target),
  );
}

/** An OCI image layout of one layer in a tar archive, with docker's own manifest.json for `docker load`. */
async function writeOci(options: OutputOptions, tar: string, target: string): Promise<void> {
  const layout = join(options.work, 'oci');
  const blobs = join(layout, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const [diff] = await digestFile(tar, 'sha256');
  await gzip(tar, join(blobs, 'layer'));
  const [layer] = await digestFile(join(blobs, 'layer'), 'sha256');
  await rename(join(blobs, 'layer'), join(blobs, layer!));
  const blob = async (value: object, mediaType: string): Promise<object> => {
    const bytes = JSON.stringify(value);
    const digest = createHash('sha256').update(bytes).digest('hex');
    await writeFile(join(blobs, digest), bytes);
    return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(bytes) };
  };
  const created = new Date(options.epoch * 1000).toISOString();
  const config = await blob(
    {
      created,
      architecture: options.architecture,
      os: 'linux',
      config: { Cmd: ['/bin/sh'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${diff}`] },
      history: [{ created, created_by: 'undercloud image build' }],
    },
    'application/vnd.oci.image.config.v1+json',
  );
  const layerSize = (await stat(join(blobs, layer!))).size;
  const layers = [
    { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: `sha256:${layer}`, size: layerSize },
  ];
  const manifest = await blob(
    { schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config, layers },
    'application/vnd.oci.image.manifest.v1+json',
  );
  const reference = options.definition.dockerTarget ?? `${options.definition.name.toLowerCase()}:latest`;
  const entry = {
    ...manifest,
    annotations: { 'org.opencontainers.image.ref.name': reference },
    platform: { architecture: options.architecture, os: 'linux' },
  };
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const path = (digest: unknown): string => `blobs/sha256/${String(digest).slice('sha256:'.length)}`;
  await writeFile(
    join(layout, 'manifest.json'),
    JSON.stringify([
      { Config: path((config as { digest: string }).digest), RepoTags: [reference], Layers: [`blobs/sha256/${layer}`] },
    ]),
  );
  const fixed = [
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    `--mtime=@${options.epoch}`,
    '--format=ustar',
    '--mode=u=rwX,go=rX',
  ];
  await runCommand('tar', [...fixed, '-C', layout, '-cf', target, '.']);
}

async function fromTar(program: string, args: readonly string[], tar: string): Promise<void> {
  const input = openSync(tar, 'r');
  try {
    const child = spawn(program, [...args], { stdio: [input, 'ignore', 'pipe'] });
    let text = '';
    child.stderr?.on('data', (data: Buffer) => {
      text = (text + data.toString()).slice(-2000);
    });
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new BuildError(`${program} failed with exit code ${code}: ${text.trim()}`);
  } finally {
    closeSync(input);
  }
}

const SQUASHFS = ['-no-progress', '-noappend', '-quiet', '-comp', 'zstd', '-Xcompression-level', '6', '-tar'];

async function aciManifest(definition: ImageDefinition, architecture: string): Promise<Buffer> {
  const given = definition.environment.ACI_MANIFEST ?? process.env.ACI_MANIFEST;
  if (given !== undefined) return readFile(given);
  const labels = [
    { name: 'os', value: 'linux' },
    { name: 'arch', value: architecture },
  ];
  return Buffer.from(
    JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: definition.name.toLowerCase(), labels }),
  );
}

/** Makes every type that was asked for out of the tree and the disk. The raw image is used up when it is one of them. */
export async function writeOutputs(options: OutputOptions): Promise<Outputs> {
  const { types, root, raw, directory, name, work, epoch, clock } = options;
  const result: Outputs = { files: [] };
  const place = (type: ImageType): string => join(directory, `${name}.${endingOf(type)}`);
  const add = (type: Artefact['type'], path: string): void => void result.files.push({ type, path });
  const tar = join(work, 'tree.tar');
  if (types.some((type) => ['tar', 'tgz', 'squashfs', 'oci', 'docker', 'tree'].includes(type)))
    await clock.run('tar', async () => writeTar(tar, root, { epoch, without: ['proc', 'sys'] }));
  for (const type of new Set(types)) {
    const path = place(type);
    switch (type) {
      case 'chunks': {
        const digests = await clock.run('chunks', () => makeChunks(options, join(directory, 'objects')));
        const index = encodeChunkIndex(digests.index);
        await writeFile(join(directory, 'index.json'), index);
        Object.assign(result, {
          sha256: digests.sha256,
          sha512: digests.sha512,
          indexSha256: createHash('sha256').update(index).digest('hex'),
        });
        add('index', join(directory, 'index.json'));
        break;
      }
      case 'qcow2':
        await clock.run('qcow2', () => makeQcow2(options, path));
        add(type, path);
        break;
      case 'vhd':
        await clock.run('vhd', () => convert(options, 'vpc', path, ['-o', 'subformat=dynamic,force_size=on']));
        add(type, path);
        break;
      case 'vmdk':
        await clock.run('vmdk', () => convert(options, 'vmdk', path, ['-o', 'subformat=streamOptimized']));
        add(type, path);
        break;
      case 'vdi':
        await clock.run('vdi', () => convert(options, 'vdi', path, []));
        add(type, path);
        break;
      case 'tar':
        await copyFile(tar, path);
        add(type, path);
        break;
      case 'tgz':
        await clock.run('tgz', () => gzip(tar, path));
        add(type, path);
        break;
      case 'squashfs':
        await clock.run('squashfs', () =>
          fromTar('mksquashfs', ['-', path, ...SQUASHFS, '-mkfs-time', String(epoch)], tar),
        );
        add(type, path);
        break;
      case 'oci':
      case 'docker':
        await clock.run('oci', () => writeOci(options, tar, path));
        add(type, path);
        break;
      case 'aci': {
        const first = [{ name: 'manifest', bytes: await aciManifest(options.definition, options.architecture) }];
        await clock.run('aci', async () =>
          writeTar(path, root, { prefix: 'rootfs', epoch, without: ['proc', 'sys'], first }),
        );
        add(type, path);
        break;
      }
      case 'tree':
        await mkdir(join(directory, 'tree'), { recursive: true });
        await clock.run('tree', () =>
          runCommand('tar', [
            '-C',
            join(directory, 'tree'),
            '-xpf',
            tar,
            '--numeric-owner',
            '--xattrs',
            '--xattrs-include=*',
            '--same-owner',
          ]),
        );
        break;
      case 'kernel':
      case 'raw':
        break;
    }
  }
  await rm(tar, { force: true });
  if (raw !== undefined) {
    // The digest of a disk that nobody gets would cost as much as compressing it.
    if (result.sha256 === undefined && types.includes('raw')) {
      const [sha256] = await clock.run('digests', () => digestFile(raw, 'sha256'));
      result.sha256 = sha256!;
    }
    if (types.includes('raw')) {
      await rename(raw, place('raw')).catch(async () => {
        await runCommand('cp', ['--sparse=always', raw, place('raw')]);
        await rm(raw);
      });
      add('raw', place('raw'));
    }
  }
  return result;
}

/** Copies the kernel and initrd out of the tree. */
export async function copyBoot(
  root: TreeNode,
  boot: { kernel: string; initrd: string },
  kernel: string,
  initrd: string,
): Promise<void> {
  const pairs = [
    [boot.kernel, kernel],
    [boot.initrd, initrd],
  ] as const;
  for (const [inside, target] of pairs) {
    const node = findNode(root, inside);
    if (node === undefined || node.kind !== 'file') throw new BuildError(`${inside} is no file of the tree.`);
    await copyFile(node.source, target);
  }
}
