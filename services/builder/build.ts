import { mkdir, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type Assembled, assemble, findBoot } from './assemble.ts';
import { cacheKey, exists, openWork, removeTree, sweepWork } from './cache.ts';
import { CommandFailed } from './command.ts';
import { HOUSE_ROOT, type ImageDefinition, type ImageType, SHIPPED_ELEMENTS, sizes } from './definition.ts';
import { requestedElements } from './dib-options.ts';
import { callerEnvironment, osRelease } from './environment.ts';
import { listFiles, writeFileList } from './files-list.ts';
import { digestPaths } from './hooks.ts';
import { type HostApt, readHostApt, sourceLines } from './host-apt.ts';
import type { StepRecord } from './layering.ts';
import { findNode, mergeLayers, type TreeNode } from './layers.ts';
import { chooseLayout, type Layout } from './layout.ts';
import { type Lock, lockPackages } from './lock.ts';
import { buildOnLoop } from './loop-image.ts';
import { checkMachine } from './machine.ts';
import { type ImageManifest, readManifest } from './manifest.ts';
import { type Artefact, copyBoot, digestFile, needsDisk, type Outputs, writeOutputs } from './outputs.ts';
import { BuildError, type OnProgress, type StageClock, type StageCost, stageClock } from './progress.ts';
import { describeArtefact, signFiles, writePapers } from './provenance.ts';
import { type Element, findElements, resolveElements } from './resolve.ts';
import { exchange, placeByName, sumUp, writeChecksums } from './result-place.ts';
import { signingKey } from './signing.ts';
import { type BuiltTree, TreeBuilder } from './tree.ts';
import { hasUpstream, UPSTREAM_ELEMENTS } from './upstream.ts';
import { mergeOf } from './whole-tree.ts';

export interface BuildOptions {
  definition: ImageDefinition;
  /** The result goes to `<out>/<name>/`; a definition with an `output` of its own goes to `<output>.<type>` instead. */
  out: string;
  /** Layers, packages and work of unfinished builds. */
  cache: string;
  /** Searched before the elements that this project ships (ELEMENTS_PATH); Debian's packaged ones come last. */
  elementsPath?: readonly string[];
  /** Instead of the definition's own types. */
  types?: readonly ImageType[];
  /** The caller's directory: relative outputs and hooks outside start from it. */
  directory?: string;
  /** False builds from nothing. */
  useCache?: boolean;
  /** Leave the tree of a failed step behind, with a script that enters it. */
  keep?: boolean;
  /** Rename an old result of the same name instead of replacing it (diskimage-builder without OVERWRITE_OLD_IMAGE). */
  keepOld?: boolean;
  /** A digest of the mirrors' state (such as of InRelease); a new one makes cached work stale. */
  mirrorDigest?: string;
  /** Path of the Ed25519 key that signs the manifest; made when it is not there. Default: one in the cache. */
  signingKey?: string;
  signal?: AbortSignal;
  onProgress?: OnProgress;
}

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

/** Raised with the artefact format, so that images made by an older builder are made again. */
const BUILDER = 'builder/2';
/** All times of a build that are free to choose; a fixed one keeps equal inputs equal. */
const DEFAULT_EPOCH = 1_760_000_000;

/** Everything known of a build before anything is built. */
interface Prepared {
  definition: ImageDefinition;
  types: ImageType[];
  elements: Element[];
  elementsPath: string[];
  apt: HostApt;
  layout: Layout;
  cache: string;
  directory: string;
  epoch: number;
  key: string;
}

async function prepare(options: BuildOptions): Promise<Prepared> {
  const { definition, mirrorDigest = '' } = options;
  const types = [...(options.types ?? definition.types)];
  const directory = await realpath(resolve(options.directory ?? process.cwd()));
  await mkdir(options.cache, { recursive: true });
  // Mounts and layers go by real paths: a link in the way would mean another place inside the build's namespace.
  const cache = await realpath(options.cache);
  const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? DEFAULT_EPOCH);
  const elementsPath = [...(options.elementsPath ?? []).map((each) => resolve(directory, each)), SHIPPED_ELEMENTS];
  if (await hasUpstream()) elementsPath.push(UPSTREAM_ELEMENTS);
  const environment = { ...callerEnvironment(), ...definition.environment };
  const apt = await readHostApt(environment.DIB_RELEASE, definition.architecture);
  const elements = resolveElements(requestedElements(definition, apt.architecture), await findElements(elementsPath));
  const layout = await chooseLayout(definition, elements, environment, apt.architecture);
  await checkMachine(types, layout);
  const key = cacheKey(
    BUILDER,
    JSON.stringify({ ...definition, types, output: definition.output ?? '' }),
    await digestPaths(elements.map(({ path }) => path)),
    await digestPaths([join(HOUSE_ROOT, 'services/builder')]),
    JSON.stringify([
      sourceLines(apt),
      apt.architecture,
      mirrorDigest,
      epoch,
      definition.clearEnvironment ? {} : callerEnvironment(),
    ]),
  );
  return { definition, types, elements, elementsPath, apt, layout, cache, directory, epoch, key };
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
    const builder = await TreeBuilder.open({
      ...prepared,
      work,
      useCache,
      keep,
      mirrorDigest: options.mirrorDigest ?? '',
      clock,
      onProgress,
      signal,
    });
    const built = await builder.build();
    const finished = await finish(prepared, built, { work, fresh, clock, onProgress, signal, builder });
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
}

/** From the layers to the files: disk, artefacts, papers, manifest. */
async function finish(
  prepared: Prepared,
  built: BuiltTree,
  context: FinishContext,
): Promise<{ manifest: ImageManifest; outputs: Outputs; lock: Lock }> {
  const { definition, types, apt, layout, cache, epoch, key, elements } = prepared;
  const { work, fresh, clock, onProgress, signal, builder } = context;
  const root = await clock.run('merge', async () => mergeLayers(built.layers, epoch));
  findNode(root, 'tmp')?.children.clear();
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
  const raw = join(work, 'disk.raw');
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
    directory: fresh,
    name,
    work,
    epoch,
    architecture: apt.architecture,
    clock,
    onProgress,
    signal,
  });
  if (boot !== undefined && (definition.output === undefined || types.includes('kernel')))
    await copyBoot(tree, boot, join(fresh, 'kernel'), join(fresh, 'initrd'));
  const lock = await clock.run('papers', async () => {
    const made = await lockPackages(
      definition.name,
      apt.release,
      built.packages,
      join(cache, 'apt', apt.release, 'archives'),
    );
    const distribution = (await osRelease(built.layers)).ID ?? 'debian';
    await writeFileList(join(fresh, 'files.list.zst'), await listFiles(tree, built.layers));
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
  await sumUp(fresh, artefacts);
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
      mirrorDigest: options.mirrorDigest ?? '',
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
