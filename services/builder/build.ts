import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { type Assembled, assemble, findBoot } from './assemble.ts';
import { exists, openWork, removeTree, sweepWork } from './cache.ts';
import { CommandFailed } from './command.ts';
import { sizes } from './definition.ts';
import { digestTree } from './digests.ts';
import { osRelease } from './environment.ts';
import { listFiles, writeFileList } from './files-list.ts';
import type { StepRecord } from './layering.ts';
import type { TreeNode } from './layers.ts';
import { everInstalled, listPackages } from './listed.ts';
import { type Lock, lockPackages } from './lock.ts';
import { LISTING, openLockedMirror, readListing } from './locked-mirror.ts';
import { buildOnLoop } from './loop-image.ts';
import { type ImageManifest, readManifest } from './manifest.ts';
import { DiskMap } from './mapped-disk.ts';
import { type Artefact, copyBoot, digestFile, needsDisk, needsRaw, type Outputs, writeOutputs } from './outputs.ts';
import { PieceCache } from './piece-cache.ts';
import { type BuildOptions, type Prepared, packageStore, prepare } from './prepare.ts';
import { BuildError, type OnProgress, type StageClock, type StageCost, stageClock } from './progress.ts';
import { describeArtefact, signFiles, writePapers } from './provenance.ts';
import { exchange, placeByName, sumUp, writeChecksums } from './result-place.ts';
import { signingKey } from './signing.ts';
import { type BuiltTree, TreeBuilder } from './tree.ts';
import { finishedTree, mergeOf } from './whole-tree.ts';

export interface BuiltImage {
  /** Where manifest.json lies: `<out>/<name>`, or `<output>.d`. */
  directory: string;
  manifest: ImageManifest;
  /** Paths of the results. */
  files: string[];
  /** True when nothing had changed since the last build and nothing was done. */
  unchanged: boolean;
  stages: StageCost[];
  steps: StepRecord[];
  warnings: string[];
}

/** What the image's last build left, when it is still whole and the same. */
async function unchangedResult(
  place: string,
  prepared: Prepared,
  files: readonly string[],
): Promise<ImageManifest | undefined> {
  const previous = await readManifest(place);
  if (previous?.key !== prepared.key) return undefined;
  for (const [index, artefact] of (previous.artefacts ?? []).entries()) {
    const path = files[index] ?? join(place, artefact.name);
    const info = await stat(path).catch(() => undefined);
    if (info?.size !== artefact.size) return undefined;
  }
  return previous;
}

/** Builds an image, or finds that it is already there. On failure and on interruption nothing of this build stays behind; the last good image stays in its place. */
export async function buildImage(options: BuildOptions): Promise<BuiltImage> {
  const { signal, onProgress = () => {}, useCache = true, keep = false } = options;
  if (process.getuid?.() !== 0)
    throw new BuildError('Building an image needs root: run it as root (packages set owners and devices).');
  onProgress({ phase: 'resolve' });
  const prepared = await prepare(options);
  const { definition, cache, directory } = prepared;
  const byName = definition.output !== undefined;
  const output = resolve(directory, definition.output ?? '');
  const place = byName ? `${output}.d` : join(resolve(options.out), definition.name);
  const resultOf = (type: Artefact['type'], name: string): string =>
    byName && type !== 'index' ? join(dirname(output), name) : join(place, name);
  if (useCache) {
    const expected = ((await readManifest(place))?.artefacts ?? []).map(({ type, name }) => resultOf(type, name));
    const previous = await unchangedResult(place, prepared, expected);
    if (previous !== undefined)
      return {
        directory: place,
        manifest: previous,
        files: expected,
        unchanged: true,
        stages: [],
        steps: [],
        warnings: [],
      };
  }
  const clock = stageClock(onProgress);
  await sweepWork(cache);
  const work = await openWork(cache);
  const parent = byName ? dirname(output) : resolve(options.out);
  const fresh = join(parent, `.${definition.name}.new`);
  let failed = false;
  try {
    await removeTree(fresh);
    await mkdir(fresh, { recursive: true });
    const locked =
      prepared.lock === undefined
        ? undefined
        : await openLockedMirror({
            lock: prepared.lock,
            listing: await readListing(join(dirname(options.lock!), LISTING)),
            store: packageStore(prepared),
            directory: join(work, 'inside'),
            apt: prepared.apt,
          });
    const builder = await TreeBuilder.open({
      ...prepared,
      locked,
      work,
      useCache,
      keep,
      clock,
      onProgress,
      signal,
    });
    const built = await builder.build();
    const finished = await finish(prepared, built, { work, fresh, clock, onProgress, signal, builder, useCache });
    const { manifest, outputs } = finished;
    const key = await signingKey(options.signingKey ?? join(cache, 'signing.key'));
    await signFiles(fresh, ['manifest.json', ...(manifest.indexSha256 === undefined ? [] : ['index.json'])], key);
    await builder.remember();
    await writeFile(
      join(fresh, 'build.json'),
      `${JSON.stringify({ stages: clock.costs, steps: built.steps.map(({ parts: _, ...step }) => step), warnings: built.warnings }, undefined, 1)}\n`,
    );
    const files = byName ? await placeByName(output, fresh, outputs, definition, options.keepOld ?? false) : [];
    if (!byName) {
      await exchange(fresh, place);
      files.push(...outputs.files.map(({ path }) => join(place, basename(path))));
    }
    return {
      directory: place,
      manifest,
      files,
      unchanged: false,
      stages: clock.costs,
      steps: built.steps,
      warnings: built.warnings,
    };
  } catch (error) {
    failed = true;
    await removeTree(fresh);
    throw explain(error, definition.name, cache, signal);
  } finally {
    if (!(failed && keep && (await exists(join(work, 'shell'))))) await removeTree(work);
  }
}

function explain(error: unknown, name: string, cache: string, signal?: AbortSignal): unknown {
  if (signal?.aborted)
    return new BuildError(
      `The build of image "${name}" was interrupted; the layers that were finished stay in the cache, and nothing else is left behind.`,
    );
  const full =
    (error as NodeJS.ErrnoException).code === 'ENOSPC' ||
    (error instanceof CommandFailed && /No space left on device/.test(error.tail.join('\n')));
  if (full)
    return new BuildError(
      `Image "${name}": the disk is full. Free space below ${cache}, or name another directory with --image-cache; finished layers stay, and the next build goes on from them.`,
    );
  if (error instanceof CommandFailed) return new BuildError(`Image "${name}": ${error.message}`, error.tail);
  if (error instanceof BuildError) return error;
  if (error instanceof Error && !('code' in error) && error.name === 'Error')
    return new BuildError(`Image "${name}": ${error.message}`);
  return error;
}

interface FinishContext {
  work: string;
  fresh: string;
  clock: StageClock;
  onProgress: OnProgress;
  signal?: AbortSignal | undefined;
  builder: TreeBuilder;
  useCache: boolean;
}

/** From the layers to the files: disk, artefacts, papers, manifest. */
async function finish(
  prepared: Prepared,
  built: BuiltTree,
  context: FinishContext,
): Promise<{ manifest: ImageManifest; outputs: Outputs; lock: Lock }> {
  const { definition, types, apt, layout, cache, epoch, key, elements } = prepared;
  const { work, fresh, clock, onProgress, signal, builder } = context;
  const root = await clock.run('merge', async () => finishedTree(built.layers, epoch));
  const { environment } = built;
  const boot = findBoot(
    root,
    layout.rootUuid,
    environment.DIB_BOOTLOADER_DEFAULT_CMDLINE ?? 'console=tty0 console=ttyS0,115200n8',
  );
  if (boot === undefined && types.includes('chunks'))
    throw new BuildError(
      `The tree of image "${definition.name}" holds no kernel with an initrd (/boot/vmlinuz-* and /boot/initrd.img-*): add an element that installs one, such as "boot", or "vm" with diskimage-builder's.`,
    );
  const name = definition.output === undefined ? definition.name : basename(definition.output);
  await clock.run('files', () => digestTree(root, built.layers));
  const raw = join(work, 'disk.raw');
  const map = new DiskMap();
  const pieces = new PieceCache(join(cache, 'pieces'), context.useCache);
  let assembled: Assembled | undefined;
  let tree: TreeNode = root;
  if (layout.loop)
    ({ assembled, tree } = await buildOnLoop({
      builder,
      built,
      layout,
      definition,
      root,
      image: raw,
      work,
      clock,
      epoch,
      signal,
    }));
  // Files that assembly adds (fstab, grub.cfg) belong into the archives too.
  else if (needsDisk(types) || types.includes('tar'))
    assembled = await assemble(
      {
        ...sizes(definition),
        root,
        layers: built.layers.length,
        layout,
        image: raw,
        work: join(work, 'assemble'),
        commandLine: boot?.commandLine ?? '',
        menuTimeout: Number(environment.DIB_GRUB_TIMEOUT ?? 0),
        epoch,
        map,
        writeFiles: needsRaw(types, definition),
        clock,
        signal,
      },
      boot,
    );
  const outputs = await writeOutputs({
    definition,
    types,
    root: layout.loop ? tree : mergeOf(root, built, epoch),
    ...(needsDisk(types) ? { raw } : {}),
    map,
    pieces,
    directory: fresh,
    name,
    work,
    epoch,
    architecture: apt.architecture,
    clock,
    onProgress,
    signal,
  });
  await pieces.collect();
  if (boot !== undefined && (definition.output === undefined || types.includes('kernel')))
    await copyBoot(tree, boot, join(fresh, 'kernel'), join(fresh, 'initrd'));
  const lock = await clock.run('papers', async () => {
    const made = await lockPackages(
      definition.name,
      apt.release,
      built.packages,
      packageStore(prepared),
      await everInstalled(built.layers),
    );
    const listing = await listPackages(join(cache, 'apt', apt.release), [...made.packages, ...(made.buildOnly ?? [])]);
    await writeFile(join(fresh, LISTING), zstdCompressSync(JSON.stringify(listing)));
    const distribution = (await osRelease(built.layers)).ID ?? 'debian';
    await writeFileList(join(fresh, 'files.list.zst'), listFiles(tree));
    await writePapers({
      directory: fresh,
      key,
      definition,
      elements,
      apt,
      built,
      root: tree,
      lock: made,
      epoch,
      distribution,
    });
    return made;
  });
  const artefacts = await Promise.all(
    outputs.files.map(({ type, path }) => describeArtefact(type, path, type === 'raw' ? outputs.sha256 : undefined)),
  );
  if (definition.checksum) for (const { path } of [...outputs.files]) await writeChecksums(path, outputs);
  const hasBoot = boot !== undefined && (await exists(join(fresh, 'kernel')));
  const digest = async (file: string): Promise<string> =>
    hasBoot ? (await digestFile(join(fresh, file), 'sha256'))[0]! : '';
  const manifest: ImageManifest = {
    format: 'undercloud.image/1',
    name: definition.name,
    key,
    size: needsDisk(types) ? (assembled?.size ?? 0) : 0,
    sha256: outputs.sha256 ?? '',
    sha512: outputs.sha512 ?? '',
    ...(outputs.indexSha256 === undefined ? {} : { indexSha256: outputs.indexSha256 }),
    release: apt.release,
    architecture: apt.architecture,
    elements: elements.map((element) => element.name),
    packages: built.packages,
    firmware: assembled?.firmware ?? [],
    secureBoot: assembled?.secureBoot ?? false,
    boot: {
      kernel: 'kernel',
      initrd: 'initrd',
      commandLine: boot?.commandLine ?? '',
      rootUuid: layout.rootUuid,
      espUuid: assembled?.espUuid ?? '',
      kernelPath: hasBoot ? boot.kernel : '',
      initrdPath: hasBoot ? boot.initrd : '',
      kernelSha256: await digest('kernel'),
      initrdSha256: await digest('initrd'),
    },
    types,
    artefacts,
  };
  await writeFile(join(fresh, 'manifest.json'), `${JSON.stringify(manifest, undefined, 1)}\n`);
  await sumUp(fresh, artefacts, definition);
  return { manifest, outputs, lock };
}

/** Which layers a build would find, and why one is missing; nothing is built, but extra-data.d runs, since its results decide. */
export async function planImage(
  options: BuildOptions,
): Promise<{ key: string; unchanged: boolean; elements: string[]; layout: string; steps: StepRecord[] }> {
  const { signal, onProgress = () => {} } = options;
  if (process.getuid?.() !== 0)
    throw new BuildError('Planning an image needs root: extra-data.d runs in namespaces of its own.');
  const prepared = await prepare(options);
  const { definition, cache, directory } = prepared;
  const place =
    definition.output === undefined
      ? join(resolve(options.out), definition.name)
      : `${resolve(directory, definition.output)}.d`;
  const work = await openWork(cache);
  try {
    const builder = await TreeBuilder.open({
      ...prepared,
      work,
      useCache: true,
      dryRun: true,
      clock: stageClock(),
      onProgress,
      signal,
    });
    const built = await builder.build();
    const layout = prepared.layout.loop ? `needs loop devices: ${prepared.layout.why}` : 'without loop devices';
    return {
      key: prepared.key,
      unchanged: (await readManifest(place))?.key === prepared.key,
      elements: prepared.elements.map(({ name }) => name),
      layout,
      steps: built.steps,
    };
  } finally {
    await removeTree(work);
  }
}
