import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheKey, exists, publish, removeTree } from './cache.ts';
import { Room } from './chroot.ts';
import type { ImageDefinition } from './definition.ts';
import { hookEnvironment, keyedEnvironment } from './environment.ts';
import { digestPaths, type HookTree, mergeHooks } from './hooks.ts';
import type { HostApt } from './host-apt.ts';
import { type PackagePlan, type PackageRequest, planPackages } from './package-installs.ts';
import { aptBinds, installedPackages, PACKAGES_STEP, packager, staticStep, writeAptOptions } from './packages.ts';
import {
  type Environment,
  HOOKS_INSIDE,
  type Phase,
  type PhaseContext,
  phaseEnvironment,
  runPhase,
  WORK_INSIDE,
} from './phases.ts';
import type { OnProgress, StageClock } from './progress.ts';
import type { Element } from './resolve.ts';

export interface TreeOptions {
  definition: ImageDefinition;
  elements: readonly Element[];
  elementsPath: readonly string[];
  apt: HostApt;
  /** Directory of the cache, and one of this build. */
  cache: string;
  work: string;
  useCache: boolean;
  epoch: number;
  /** A digest of the mirrors' state; a new one builds the base anew. */
  mirrorDigest: string;
  clock: StageClock;
  onProgress: OnProgress;
  signal?: AbortSignal | undefined;
}

export interface BuiltTree {
  room: Room;
  /** The environment of the hooks after environment.d: assembly reads the boot settings from it. */
  environment: Environment;
  packages: { name: string; version: string; architecture: string }[];
}

async function packageRequests(elements: readonly Element[], extra: readonly string[]): Promise<PackageRequest[]> {
  const requests: PackageRequest[] = [];
  for (const { name, path } of elements) {
    const map = await readFile(join(path, 'pkg-map'), 'utf8').catch(() => undefined);
    for (const file of ['package-installs.json', 'package-installs.yaml']) {
      const text = await readFile(join(path, file), 'utf8').catch(() => undefined);
      if (text !== undefined) requests.push({ element: name, text, ...(map === undefined ? {} : { map }) });
    }
  }
  if (extra.length > 0)
    requests.push({
      element: 'image definition',
      text: JSON.stringify(Object.fromEntries(extra.map((name) => [name, null]))),
    });
  return requests;
}

/** Builds the base (root.d) in a room of its own, or finds it in the cache. Returns the directory of the finished tree. */
async function buildBase(
  options: TreeOptions,
  tree: HookTree,
  environment: Environment,
): Promise<{ path: string; key: string }> {
  const { cache, work, clock, onProgress, signal } = options;
  const hooks = await digestPaths(['root.d', 'environment.d'].map((name) => join(tree.path, name)));
  const key = cacheKey(
    'base/1',
    hooks,
    keyedEnvironment({ ...environment, DIB_ARGS: '', IMAGE_ELEMENT: '' }),
    options.mirrorDigest,
  );
  const path = join(cache, 'bases', key);
  if (options.useCache && (await exists(path))) return { path, key };
  const target = join(work, 'base');
  await mkdir(target, { recursive: true });
  await clock.run('root.d', async () => {
    const room = await Room.open({ root: target, signal });
    try {
      const own = { ...environment, TMP_MOUNT_PATH: target, TARGET_ROOT: target };
      await runPhase({ room, tree, environment: own, onProgress }, 'root.d');
    } finally {
      await room.close();
    }
  });
  if (!options.useCache && (await exists(path))) {
    await rename(path, join(work, 'old-base'));
    await removeTree(join(work, 'old-base'));
  }
  await publish(target, path);
  return { path, key };
}

/** What the layer of packages depends on: every script up to it, every file those scripts can see, the packages, the environment. */
async function packagesKey(
  baseKey: string,
  tree: HookTree,
  plan: PackagePlan,
  environment: Environment,
): Promise<string> {
  const later = new Set([
    'root.d',
    'install.d',
    'post-install.d',
    'post-root.d',
    'pre-finalise.d',
    'finalise.d',
    'cleanup.d',
    'static',
  ]);
  const roots = new Set([...tree.owners.keys()].map((path) => path.split('/')[0]!));
  const seen = [...roots].filter((root) => !later.has(root)).sort();
  const digest = await digestPaths(seen.map((root) => join(tree.path, root)));
  const early = [...tree.owners.keys()].filter((path) => path.startsWith('install.d/0')).sort();
  const scripts = await digestPaths(early.map((path) => join(tree.path, path)));
  const packages = JSON.stringify([
    plan.install['pre-install.d'],
    plan.uninstall['pre-install.d'],
    plan.install['install.d'],
  ]);
  return cacheKey(
    'packages/1',
    baseKey,
    digest,
    scripts,
    packages,
    keyedEnvironment({ ...environment, DIB_ARGS: '', IMAGE_ELEMENT: '' }),
  );
}

const FIRST: readonly Phase[] = ['extra-data.d', 'pre-install.d', 'install.d'];
const LAST: readonly Phase[] = ['post-install.d', 'post-root.d', 'pre-finalise.d', 'finalise.d', 'cleanup.d'];

/**
 * Builds the tree of an image: root.d (cached), everything up to the packages (cached as an overlay layer), the rest on top. The tree lives in the room that is
 * returned; the caller closes it.
 */
export async function buildTree(options: TreeOptions): Promise<BuiltTree> {
  const { definition, elements, apt, cache, work, clock, onProgress, signal } = options;
  const hooks = join(work, 'hooks');
  const mount = join(work, 'root');
  const tree = await mergeHooks(elements, hooks);
  const places = { build: work, hooks, mount, cache };
  const environment = hookEnvironment(definition, elements, options.elementsPath, apt, places, options.epoch);
  const base = await buildBase(options, tree, environment);
  await writeAptOptions(join(work, 'apt.conf'), apt);
  const binds = [
    { source: hooks, target: HOOKS_INSIDE, readOnly: true },
    ...(await aptBinds(cache, apt.release)),
    { source: work, target: WORK_INSIDE, readOnly: true },
  ];
  let plan: PackagePlan = { install: {}, uninstall: {} };
  const enter = async (layers: string[], upper: string): Promise<PhaseContext> => {
    const room = await Room.open({ root: mount, layers, upper, work: join(work, 'overlay'), signal });
    try {
      await room.furnish(binds);
    } catch (error) {
      await room.close();
      throw error;
    }
    return { room, tree, environment, onProgress };
  };
  const phase = async (
    context: PhaseContext,
    name: Phase,
    slice: { through?: string; after?: string } = {},
  ): Promise<void> => {
    const wanted = (of: Phase) => ({ install: plan.install[of] ?? [], uninstall: plan.uninstall[of] ?? [] });
    const natives = packager({
      context,
      lock: join(cache, 'apt', apt.release, 'lock'),
      wanted,
    }).steps(name);
    const withStatic = name === 'install.d' && [...tree.owners.keys()].some((path) => path.startsWith('static/'));
    await runPhase(context, name, withStatic ? [...natives, staticStep(context)] : natives, slice);
  };

  // The plan needs the environment that environment.d makes, which needs no tree: any room will do.
  const outside = await Room.open({ root: join(work, 'empty'), signal });
  let settled: Environment;
  try {
    settled = await phaseEnvironment({ room: outside, tree, environment, onProgress }, 'outside');
  } finally {
    await outside.close();
  }
  plan = planPackages(await packageRequests(elements, definition.packages), settled);
  const key = await packagesKey(base.key, tree, plan, environment);
  const layer = join(cache, 'layers', key);
  if (!options.useCache || !(await exists(layer))) {
    const context = await enter([base.path], join(work, 'layer'));
    try {
      for (const name of FIRST) {
        await clock.run(name === 'install.d' ? 'packages' : name, () =>
          phase(context, name, name === 'install.d' ? { through: PACKAGES_STEP } : {}),
        );
      }
      await context.room.strip();
    } finally {
      await context.room.close();
    }
    if (await exists(layer)) await removeTree(layer);
    await publish(join(work, 'layer'), layer);
  }
  const context = await enter([base.path, layer], join(work, 'upper'));
  try {
    await clock.run('extra-data.d', () => phase(context, 'extra-data.d'));
    await clock.run('install.d', () => phase(context, 'install.d', { after: PACKAGES_STEP }));
    for (const name of LAST) await clock.run(name, () => phase(context, name));
    const packages = await installedPackages(context);
    await context.room.strip();
    await generalise(context.room);
    return { room: context.room, environment: settled, packages };
  } catch (error) {
    await context.room.close();
    throw error;
  }
}

// Every node written from the image would share these. An empty machine-id is filled at each first boot without being taken for a factory reset (machine-id(5)).
const GENERALISE = `
R=$1
rm -f "$R"/etc/ssh/ssh_host_*_key* "$R/var/lib/dbus/machine-id" "$R/var/lib/systemd/random-seed" "$R"/root/*.log "$R/root/.bash_history"
: >"$R/etc/machine-id"
# resolved answers through a file of its own (its package could not make the link: hooks had a resolver of ours there).
if [ -e "$R/lib/systemd/systemd-resolved" ]; then ln -sfn ../run/systemd/resolve/stub-resolv.conf "$R/etc/resolv.conf"
elif [ ! -L "$R/etc/resolv.conf" ]; then : >"$R/etc/resolv.conf"; fi
find "$R/var/log" -xdev -type f -delete
find "$R/tmp" "$R/var/tmp" "$R/run" -xdev -mindepth 1 -delete
rm -f "$R"/var/cache/apt/*.bin "$R"/var/cache/ldconfig/aux-cache "$R"/var/cache/debconf/*-old "$R"/var/lib/dpkg/*-old
find "$R/var/lib/apt/lists" "$R/var/cache/apt/archives" -xdev -type f -delete 2>/dev/null
true
`;

async function generalise(room: Room): Promise<void> {
  await room.runOutside(['bash', '-c', GENERALISE, 'generalise', room.root]);
}
