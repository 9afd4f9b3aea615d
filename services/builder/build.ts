import { copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { chunkImage, encodeChunkIndex } from '../ipa/index.ts';
import { assemble } from './assemble.ts';
import { cacheKey, exists, openWork, removeTree, sweepWork } from './cache.ts';
import { CommandFailed, runCommand } from './command.ts';
import { HOUSE_ROOT, type ImageDefinition, type ImageType, SHIPPED_ELEMENTS } from './definition.ts';
import { digestPaths } from './hooks.ts';
import { readHostApt, sourceLines } from './host-apt.ts';
import { BuildError, type OnProgress, type StageCost, stageClock } from './progress.ts';
import { findElements, resolveElements } from './resolve.ts';
import { buildTree } from './tree.ts';

export interface BuildOptions {
  definition: ImageDefinition;
  /** The result goes to `<out>/<name>/`. */
  out: string;
  /** Bases, layers, packages and work of unfinished builds. */
  cache: string;
  /** Searched before the elements that this project ships (ELEMENTS_PATH). */
  elementsPath?: readonly string[];
  /** Instead of the definition's own types. */
  types?: readonly ImageType[];
  /** False builds from nothing. */
  useCache?: boolean;
  /** A digest of the mirrors' state (such as of InRelease); a new one makes cached work stale. */
  mirrorDigest?: string;
  signal?: AbortSignal;
  onProgress?: OnProgress;
}

/** `<out>/<name>/manifest.json`: everything a deploy needs to know about an image. */
export interface ImageManifest {
  format: 'undercloud.image/1';
  name: string;
  /** Names the inputs of the build: definition, elements, mirrors, builder. */
  key: string;
  /** Of the raw image, in bytes and hexadecimal. */
  size: number;
  sha256: string;
  sha512: string;
  /** What the root file system holds, in bytes; the smallest disk is `size`. */
  release: string;
  architecture: string;
  elements: string[];
  packages: { name: string; version: string; architecture: string }[];
  firmware: ('bios' | 'uefi')[];
  /** For a hand-over by kexec, and for a direct boot: the files lie beside this one. */
  boot: {
    kernel: 'kernel';
    initrd: 'initrd';
    commandLine: string;
    rootUuid: string;
    espUuid: string;
    /** Their paths in the image. */
    kernelPath: string;
    initrdPath: string;
    kernelSha256: string;
    initrdSha256: string;
  };
  types: ImageType[];
  stages: StageCost[];
}

export interface BuiltImage {
  /** `<out>/<name>`: manifest.json, kernel, initrd, and for type `chunks` index.json with objects/, for the others NAME.raw, NAME.qcow2, tree/. */
  directory: string;
  manifest: ImageManifest;
  /** True when nothing had changed since the last build and nothing was done. */
  unchanged: boolean;
}

/** Raised with the artefact format, so that images made by an older builder are made again. */
const BUILDER = 'builder/1';
/** All times of a build that are free to choose; a fixed one keeps equal inputs equal. */
const DEFAULT_EPOCH = 1_760_000_000;

const PROGRAMS: Record<string, string> = {
  mmdebstrap: 'mmdebstrap',
  'grub-mkimage': 'grub-common',
  mke2fs: 'e2fsprogs',
  mformat: 'mtools',
  unshare: 'util-linux',
};

async function checkMachine(types: readonly ImageType[]): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new BuildError('Building an image needs root: run it as root (packages set owners and devices).');
  const wanted = { ...PROGRAMS, ...(types.includes('qcow2') ? { 'qemu-img': 'qemu-utils' } : {}) };
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`.split(':');
  const missing: string[] = [];
  for (const [program, name] of Object.entries(wanted)) {
    const found = await Promise.all(path.map((directory) => exists(join(directory, program))));
    if (!found.includes(true)) missing.push(name);
  }
  if (missing.length > 0)
    throw new BuildError(`Programs are missing on this machine: apt-get install ${missing.join(' ')}`);
}

async function sha256Of(path: string): Promise<string> {
  const { createHash } = await import('node:crypto');
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** Builds an image, or finds that it is already there. On failure and on interruption nothing of this build stays behind; the last good image stays in its place. */
export async function buildImage(options: BuildOptions): Promise<BuiltImage> {
  const { definition, signal, onProgress = () => {}, useCache = true, mirrorDigest = '' } = options;
  const types = [...(options.types ?? definition.types)];
  const out = resolve(options.out);
  const cache = resolve(options.cache);
  const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? DEFAULT_EPOCH);
  const elementsPath = [...(options.elementsPath ?? []).map((each) => resolve(each)), SHIPPED_ELEMENTS];
  await checkMachine(types);
  const clock = stageClock(onProgress);
  onProgress({ phase: 'resolve' });
  const elements = resolveElements(definition.elements, await findElements(elementsPath));
  const apt = await readHostApt(definition.environment.DIB_RELEASE ?? process.env.DIB_RELEASE);
  const passed = Object.entries(process.env)
    .filter(([name]) => name.startsWith('DIB_'))
    .sort();
  const key = cacheKey(
    BUILDER,
    JSON.stringify({ ...definition, types }),
    await digestPaths(elements.map(({ path }) => path)),
    await digestPaths([join(HOUSE_ROOT, 'services/builder')]),
    JSON.stringify([sourceLines(apt), apt.architecture, mirrorDigest, epoch, passed]),
  );
  const directory = join(out, definition.name);
  const previous = await readManifest(directory);
  if (useCache && previous?.key === key) return { directory, manifest: previous, unchanged: true };

  await mkdir(cache, { recursive: true });
  await sweepWork(cache);
  const work = await openWork(cache);
  const fresh = join(out, `.${definition.name}.new`);
  let room: { close: () => Promise<void> } | undefined;
  try {
    await removeTree(fresh);
    await mkdir(fresh, { recursive: true });
    const built = await buildTree({
      definition,
      elements,
      elementsPath,
      apt,
      cache,
      work,
      useCache,
      epoch,
      mirrorDigest,
      clock,
      onProgress,
      signal,
    });
    room = built.room;
    const { environment } = built;
    const raw = join(fresh, `${definition.name}.raw`);
    const assembled = await assemble({
      tree: built.room.path(),
      image: raw,
      work: join(work, 'assemble'),
      seed: `undercloud/${definition.name}`,
      label: environment.DIB_ROOT_LABEL ?? 'cloudimg-rootfs',
      commandLine: environment.DIB_BOOTLOADER_DEFAULT_CMDLINE ?? 'console=tty0 console=ttyS0,115200n8',
      menuTimeout: Number(environment.DIB_GRUB_TIMEOUT ?? 0),
      espMib: definition.espMib,
      spareMib: definition.spareMib,
      epoch,
      clock,
      signal,
    });
    await copyFile(built.room.path(assembled.kernel), join(fresh, 'kernel'));
    await copyFile(built.room.path(assembled.initrd), join(fresh, 'initrd'));
    if (types.includes('tree'))
      await clock.run('tree', () =>
        built.room.runOutside(['cp', '-a', '--sparse=auto', built.room.root, join(fresh, 'tree')]),
      );
    await built.room.close();
    const digests = await clock.run('chunks', () =>
      chunkImage({
        raw,
        objects: join(fresh, 'objects'),
        signal,
        onProgress: (done, total) => onProgress({ phase: 'chunks', line: `${done} of ${total} MiB` }),
      }).catch((error: Error) => {
        throw signal?.aborted ? new BuildError(`The build was stopped. ${error.message}`) : error;
      }),
    );
    if (types.includes('chunks')) await writeFile(join(fresh, 'index.json'), encodeChunkIndex(digests.index));
    else await rm(join(fresh, 'objects'), { recursive: true });
    if (types.includes('qcow2'))
      await clock.run('qcow2', () => writeQcow2(raw, join(fresh, `${definition.name}.qcow2`), signal));
    if (!types.includes('raw')) await rm(raw);
    const manifest: ImageManifest = {
      format: 'undercloud.image/1',
      name: definition.name,
      key,
      size: assembled.size,
      sha256: digests.sha256,
      sha512: digests.sha512,
      release: apt.release,
      architecture: apt.architecture,
      elements: elements.map(({ name }) => name),
      packages: built.packages,
      firmware: ['bios', 'uefi'],
      boot: {
        kernel: 'kernel',
        initrd: 'initrd',
        commandLine: assembled.commandLine,
        rootUuid: assembled.rootUuid,
        espUuid: assembled.espUuid,
        kernelPath: assembled.kernel,
        initrdPath: assembled.initrd,
        kernelSha256: await sha256Of(join(fresh, 'kernel')),
        initrdSha256: await sha256Of(join(fresh, 'initrd')),
      },
      types,
      stages: clock.costs,
    };
    await writeFile(join(fresh, 'manifest.json'), `${JSON.stringify(manifest, undefined, 1)}\n`);
    await exchange(fresh, directory);
    return { directory, manifest, unchanged: false };
  } catch (error) {
    await removeTree(fresh);
    if (signal?.aborted)
      throw new BuildError(`The build of image "${definition.name}" was interrupted; nothing of it is left behind.`);
    if (error instanceof CommandFailed)
      throw new BuildError(`Image "${definition.name}": ${error.message}`, error.tail);
    throw error;
  } finally {
    await room?.close();
    await removeTree(work);
  }
}

/** Puts the finished directory in the place of the old one. */
async function exchange(fresh: string, directory: string): Promise<void> {
  const { rename } = await import('node:fs/promises');
  const old = `${fresh}.old`;
  await removeTree(old);
  if (await exists(directory)) await rename(directory, old);
  await rename(fresh, directory);
  await removeTree(old);
}

/** qcow2 for strangers: zlib, which every reader knows, costs five times zstd's CPU; readers since QEMU 5.1 know zstd. */
async function writeQcow2(raw: string, target: string, signal?: AbortSignal): Promise<void> {
  const args = [
    'convert',
    '-f',
    'raw',
    '-O',
    'qcow2',
    '-c',
    '-o',
    'compression_type=zstd',
    '-W',
    '-m',
    '8',
    raw,
    target,
  ];
  await runCommand('qemu-img', args, signal === undefined ? {} : { signal });
}

/** The manifest of a finished image directory; undefined when there is none that can be read. */
export async function readManifest(directory: string): Promise<ImageManifest | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')) as ImageManifest;
    if (manifest.format !== 'undercloud.image/1') return undefined;
    const needed = [
      manifest.boot.kernel,
      manifest.boot.initrd,
      ...(manifest.types.includes('chunks') ? ['index.json'] : []),
    ];
    for (const file of needed) await stat(join(directory, file));
    return manifest;
  } catch {
    return undefined;
  }
}
