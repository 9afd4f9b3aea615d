import { mkdir, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { cacheKey } from './cache.ts';
import { HOUSE_ROOT, type ImageDefinition, type ImageType, SHIPPED_ELEMENTS } from './definition.ts';
import { requestedElements, withVariables } from './dib-options.ts';
import { callerEnvironment, hookEnvironment } from './environment.ts';
import { digestPaths } from './hooks.ts';
import { type HostApt, readHost, sourceLines } from './host-apt.ts';
import { chooseLayout, type Layout } from './layout.ts';
import { type Lock, readLock } from './lock.ts';
import { checkMachine } from './machine.ts';
import { chooseMirrors } from './mirrors.ts';
import type { OnProgress } from './progress.ts';
import { type Element, findElements, resolveElements } from './resolve.ts';
import { hasUpstream, UPSTREAM_ELEMENTS } from './upstream.ts';

/** What a build is asked for, and everything that is known of it before anything is built. */
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
  /** Path of a lock.json: its packages, from the package store, instead of the mirrors' newest. */
  lock?: string;
  /** A digest of the mirrors' state (such as of InRelease); a new one makes cached work stale. */
  mirrorDigest?: string;
  /** Path of the Ed25519 key that signs the manifest; made when it is not there. Default: one in the cache. */
  signingKey?: string;
  signal?: AbortSignal;
  onProgress?: OnProgress;
}

/** Raised with the artefact format, so that images made by an older builder are made again. */
const BUILDER = 'builder/2';
/** All times of a build that are free to choose; a fixed one keeps equal inputs equal. */
const DEFAULT_EPOCH = 1_760_000_000;

/** Everything known of a build before anything is built. */
export interface Prepared {
  definition: ImageDefinition;
  types: ImageType[];
  elements: Element[];
  elementsPath: string[];
  apt: HostApt;
  layout: Layout;
  cache: string;
  directory: string;
  epoch: number;
  mirrorDigest: string;
  lock: Lock | undefined;
  key: string;
}

/** Every package that builds of this release have fetched. */
export function packageStore({ cache, apt }: Pick<Prepared, 'cache' | 'apt'>): string {
  return join(cache, 'apt', apt.release, 'archives');
}

export async function prepare(options: BuildOptions): Promise<Prepared> {
  const { clearEnvironment } = options.definition;
  const caller = clearEnvironment ? {} : callerEnvironment();
  const environment = { ...caller, ...options.definition.environment };
  const definition = withVariables(options.definition, environment);
  const types = [...(options.types ?? definition.types)];
  const directory = await realpath(resolve(options.directory ?? process.cwd()));
  await mkdir(options.cache, { recursive: true });
  // Mounts and layers go by real paths: a link in the way would mean another place inside the build's namespace.
  const cache = await realpath(options.cache);
  const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? DEFAULT_EPOCH);
  const elementsPath = [...(options.elementsPath ?? []).map((each) => resolve(directory, each)), SHIPPED_ELEMENTS];
  if (await hasUpstream()) elementsPath.push(UPSTREAM_ELEMENTS);
  const host = await readHost();
  const architecture = definition.architecture ?? host.architecture;
  const elements = resolveElements(requestedElements(definition, architecture), await findElements(elementsPath));
  const apt = await chooseMirrors({
    host,
    elements,
    environment,
    architecture,
    cache,
    start: (mirrors, places) => hookEnvironment(definition, elements, elementsPath, mirrors, places, epoch),
    signal: options.signal,
  });
  const lock = options.lock === undefined ? undefined : await readLock(options.lock);
  const mirrorDigest = cacheKey(options.mirrorDigest ?? '', lock === undefined ? '' : JSON.stringify(lock));
  const layout = await chooseLayout(definition, elements, environment, apt.architecture);
  await checkMachine(types, layout);
  const key = cacheKey(
    BUILDER,
    JSON.stringify({ ...definition, types, output: definition.output ?? '' }),
    await digestPaths(elements.map(({ path }) => path)),
    await digestPaths([join(HOUSE_ROOT, 'services/builder')]),
    JSON.stringify([sourceLines(apt), apt.architecture, mirrorDigest, epoch, caller]),
  );
  return { definition, types, elements, elementsPath, apt, layout, cache, directory, epoch, mirrorDigest, lock, key };
}
