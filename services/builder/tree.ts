import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFER, GRUB_INSTALL, GRUB_PROBE, INITRAMFS, INITRAMFS_MODULES, PROBE, UNPROBE } from './boot-stubs.ts';
import { cacheKey, exists } from './cache.ts';
import type { Room } from './chroot.ts';
import type { ImageDefinition } from './definition.ts';
import { hookEnvironment, keyedEnvironment } from './environment.ts';
import { DRESS, finishTree, GENERALISE, RESTORE } from './finish-tree.ts';
import { digestPaths, type HookTree, listHooks, mergeHooks } from './hooks.ts';
import type { HostApt } from './host-apt.ts';
import { imageSizeKib, runBlockDeviceHooks, writeBlockDeviceParameters } from './image-stage.ts';
import { initramfsInputs } from './initramfs-inputs.ts';
import { Layering, type StepRecord } from './layering.ts';
import { type Layout, layoutEnvironment } from './layout.ts';
import type { LockedMirror } from './locked-mirror.ts';
import { checkMirror } from './mirrors.ts';
import { orderHooks } from './order.ts';
import { type PackagePlan, planPackages, readPackageRequests } from './package-installs.ts';
import {
  AptCache,
  INSTALL_STEP,
  installPackages,
  installStatic,
  removePackages,
  STATIC_STEP,
  UNINSTALL_STEP,
  writeAptOptions,
} from './packages.ts';
import {
  type Environment,
  type NativeStep,
  type Phase,
  phaseEnvironment,
  planPhase,
  runPhase,
  runScript,
  WORK_INSIDE,
} from './phases.ts';
import { BuildError, type OnProgress, type StageClock } from './progress.ts';
import type { Element } from './resolve.ts';
import { dataDigest, readScript } from './step-key.ts';
import { libraryPath, UPSTREAM_LIBRARY, writeHostPrograms } from './upstream.ts';

export interface TreeOptions {
  definition: ImageDefinition;
  elements: readonly Element[];
  elementsPath: readonly string[];
  apt: HostApt;
  layout: Layout;
  /** Directory of the cache, and one of this build; both real paths. */
  cache: string;
  work: string;
  /** The caller's directory: hooks outside run there, and may write there. */
  directory: string;
  useCache: boolean;
  keep?: boolean;
  epoch: number;
  /** A digest of the mirrors' state; a new one builds the base anew. */
  mirrorDigest: string;
  /** Of a build from a lock. */
  locked?: LockedMirror | undefined;
  /** Only ask which layers are there; the tree that results is of no use. */
  dryRun?: boolean;
  clock: StageClock;
  onProgress: OnProgress;
  signal?: AbortSignal | undefined;
}

export interface BuiltTree {
  /** Directories of the layers, the lowest first. */
  layers: string[];
  /** The environment of the hooks after environment.d: assembly reads the boot settings from it. */
  environment: Environment;
  packages: { name: string; version: string; architecture: string }[];
  steps: StepRecord[];
  warnings: string[];
}

/** Builds the tree of an image as a pile of layers, each made by one script and kept under a key of everything it depends on. */
export class TreeBuilder {
  #options: TreeOptions;
  #tree: HookTree;
  #start: Environment;
  #settled: Environment;
  #plan: PackagePlan;
  #layering: Layering;
  #native: boolean;
  #freshen = true;
  #aptCache: AptCache;

  private constructor(
    options: TreeOptions,
    parts: {
      tree: HookTree;
      start: Environment;
      settled: Environment;
      plan: PackagePlan;
      layering: Layering;
      native: boolean;
      aptCache: AptCache;
    },
  ) {
    this.#options = options;
    this.#tree = parts.tree;
    this.#start = parts.start;
    this.#settled = parts.settled;
    this.#plan = parts.plan;
    this.#layering = parts.layering;
    this.#native = parts.native;
    this.#aptCache = parts.aptCache;
  }

  static async open(options: TreeOptions): Promise<TreeBuilder> {
    const { definition, elements, apt, cache, work, directory } = options;
    const hooks = join(work, 'hooks');
    const mount = join(work, 'root');
    const inside = join(work, 'inside');
    const tree = await mergeHooks(elements, hooks);
    await mkdir(join(hooks, 'environment.d'), { recursive: true });
    const type = definition.installType ?? 'source';
    const line = `export DIB_DEFAULT_INSTALLTYPE=\${DIB_DEFAULT_INSTALLTYPE:-"${type}"}\n`;
    await writeFile(join(hooks, 'environment.d/11-dib-install-type.bash'), line);
    if (await exists(join(UPSTREAM_LIBRARY, 'dib-run-parts')))
      await cp(join(UPSTREAM_LIBRARY, 'dib-run-parts'), join(hooks, 'dib-run-parts'));
    await mkdir(join(inside, 'boot'), { recursive: true });
    for (const [name, text] of Object.entries({ 'grub-install': GRUB_INSTALL, 'grub-probe': GRUB_PROBE }))
      for (const alias of name === 'grub-install' ? [name, 'grub2-install'] : [name])
        await writeFile(join(inside, 'boot', alias), text, { mode: 0o755 });
    await writeAptOptions(join(inside, 'apt.conf'), apt, options.locked?.apt);
    const parameters = await writeBlockDeviceParameters(work, options.layout, mount);
    const places = { build: work, hooks, mount, cache, library: await libraryPath(work) };
    const start: Environment = {
      ...hookEnvironment(definition, elements, options.elementsPath, apt, places, options.epoch),
      ...layoutEnvironment(options.layout),
      DIB_BLOCK_DEVICE_PARAMS_YAML: parameters,
      UC_INITRAMFS_LIST: INITRAMFS_MODULES,
    };
    const aptCache = await AptCache.open(join(cache, 'apt', apt.release), join(work, 'apt'));
    const programs = await writeHostPrograms(join(work, 'programs'));
    const layering = new Layering({
      ...options,
      mount,
      tree,
      environment: { ...start, ...options.locked?.environment },
      programs,
      binds: [
        { source: hooks, target: '/tmp/in_target.d', readOnly: true },
        { source: inside, target: '/run/undercloud-build', readOnly: true },
        ...aptCache.binds,
      ],
      onStep: () => aptCache.keep(),
      writable: [...new Set(['/tmp', '/var/tmp', cache, work, directory])],
    });
    const native = !elements.some(({ name }) => name === 'package-installs');
    const settled = await layering.outside((context) => phaseEnvironment(context, 'outside'));
    const plan = native ? planPackages(await readPackageRequests(elements), settled) : { install: {}, uninstall: {} };
    return new TreeBuilder(options, { tree, start, settled, plan, layering, native, aptCache });
  }

  async build(): Promise<BuiltTree> {
    const { definition, clock, work } = this.#options;
    const layers = this.#layering;
    await clock.run('root.d', () => this.#base());
    await layers.native('dress', DRESS, 'outside', cacheKey(DRESS));
    await layers.volatile('extra-data.d', (context) => runPhase(context, 'extra-data.d'));
    await layers.native('defer', DEFER, 'inside', cacheKey(DEFER));
    await clock.run('pre-install.d', () => this.#phase('pre-install.d'));
    await clock.run('install.d', () => this.#phase('install.d'));
    await this.#extraPackages();
    await clock.run('post-install.d', () => this.#phase('post-install.d'));
    if ((await listHooks(this.#tree, 'post-root.d')).length > 0)
      await layers.volatile('post-root.d', (context) => runPhase(context, 'post-root.d'));
    if (this.#options.dryRun && layers.broken) return this.#result([]);
    await this.#imageStage();
    await clock.run('initramfs', () =>
      layers.native('initramfs', INITRAMFS, 'inside', this.#initramfsKey(), initramfsInputs),
    );
    if ((await listHooks(this.#tree, 'pre-finalise.d')).length > 0)
      await layers.volatile('pre-finalise.d', (context) => runPhase(context, 'pre-finalise.d'));
    if (!this.#options.layout.loop) await this.#finalise();
    if (this.#options.dryRun) return this.#result([]);
    const packages = await finishTree(layers, { loop: this.#options.layout.loop, clock });
    await writeFile(join(work, 'finished'), definition.name);
    return this.#result(packages);
  }

  /** What hooks outside may write to. */
  get writable(): readonly string[] {
    return this.#layering.options.writable;
  }

  /** finalise.d and cleanup.d on a mounted device. `show` puts the device's nodes into a /dev. */
  async finishOnDevice(
    room: Room,
    mount: string,
    devices: Environment,
    show: (directory: string) => Promise<void>,
  ): Promise<void> {
    const context = this.#layering.contextOf(room);
    const own = { ...context, environment: { ...context.environment, ...devices, TMP_MOUNT_PATH: mount } };
    await this.#options.clock.run('finalise.d', async () => {
      await room.furnish(this.#layering.options.binds);
      await show(join(mount, 'dev'));
      await runPhase(own, 'finalise.d');
    });
    const outside = { ...own, environment: { ...own.environment, TARGET_ROOT: mount } };
    await this.#options.clock.run('cleanup.d', async () => {
      await runPhase(outside, 'cleanup.d');
      for (const script of [RESTORE, GENERALISE]) await room.runOutside(['bash', '-c', script, 'finish', mount]);
      // What `furnish` mounted, before the device is unmounted for good.
      await room.runOutside([
        'bash',
        '-c',
        'umount -R "$1"/{proc,sys,dev,run} "$1"/tmp/in_target.d "$1"/var/lib/apt/lists "$1"/var/cache/apt/archives; rmdir "$1/tmp/in_target.d"',
        'strip',
        mount,
      ]);
    });
  }

  /** Keeps what each step depended on, for the next plan. */
  remember(): Promise<void> {
    return this.#layering.remember();
  }

  #result(packages: BuiltTree['packages']): BuiltTree {
    const { layers, steps, warnings } = this.#layering;
    return { layers: [...layers], environment: this.#settled, packages, steps, warnings };
  }

  #initramfsKey(): string {
    const { DIB_INITRAMFS = '', DIB_INITRAMFS_MODULES = '', DIB_INITRAMFS_ANEW = '' } = this.#settled;
    return cacheKey(INITRAMFS, INITRAMFS_MODULES, DIB_INITRAMFS, DIB_INITRAMFS_MODULES, DIB_INITRAMFS_ANEW);
  }

  /** root.d fills an empty directory. Package lists that it left there move out of the layer, to where the later phases find them. */
  async #base(): Promise<void> {
    const { cache, definition } = this.#options;
    const hooks = await digestPaths(['root.d', 'environment.d', 'bin'].map((name) => join(this.#tree.path, name)));
    const scripts = await Promise.all(
      (await listHooks(this.#tree, 'root.d')).map(
        async (name) => (await readScript(join(this.#tree.path, 'root.d', name))).text,
      ),
    );
    const environment = keyedEnvironment(this.#start, scripts.join('\n'));
    await this.#layering.base(
      { script: hooks, data: '', programs: '', environment, rest: this.#options.mirrorDigest, parent: '' },
      async (context, target) => {
        const own = {
          ...context,
          environment: { ...context.environment, TMP_MOUNT_PATH: target, TARGET_ROOT: target },
        };
        if (this.#options.locked === undefined)
          await checkMirror(this.#options.apt, this.#options.elements, this.#settled, this.#options.work);
        await this.#withMirror(context.room, target, () => runPhase(own, 'root.d'));
        const filled = (await readdir(target)).filter((name) => name !== 'lost+found' && name !== 'tmp');
        if (filled.length === 0)
          throw new BuildError(
            `The elements of image "${definition.name}" put no operating system into the tree (root.d of ${[...new Set(this.#tree.owners.values())].join(', ')}): add one such as debian-base or debian-minimal.`,
          );
        const lists = join(target, 'var/lib/apt/lists');
        const script =
          '[ -d "$1" ] || exit 0; find "$1" -maxdepth 1 -type f ! -name lock -exec mv -f {} "$2/" \\;; rm -f "$3"/var/cache/apt/*.bin "$3"/var/cache/apt/archives/*.deb';
        // diskimage-builder's dpkg element keeps what root.d fetched in a directory of the distribution's name.
        await this.#aptCache.keep([
          join(target, 'var/cache/apt/archives'),
          join(cache, 'apt', this.#settled.DISTRO_NAME ?? ''),
        ]);
        await context.room.runOutside(['bash', '-c', script, 'lists', lists, this.#aptCache.lists, target]);
      },
    );
  }

  /** debootstrap's elements run apt in the half-filled tree, before it is furnished: there too it has to see the lock's packages. mmdebstrap wants its target empty, and needs no such thing. */
  async #withMirror(room: Room, target: string, work: () => Promise<void>): Promise<void> {
    const { elements, locked } = this.#options;
    if (locked === undefined || !elements.some(({ name }) => name === 'debootstrap')) return work();
    const place = join(target, WORK_INSIDE);
    const show = 'mkdir -p "$2" && mount --bind "$1" "$2"';
    await room.runOutside(['sh', '-c', show, 'show', join(this.#options.work, 'inside'), place]);
    await work();
    await room.runOutside(['sh', '-c', 'umount "$1" && rmdir "$1"', 'hide', place]);
  }

  /** One phase inside the tree, a layer for each of its scripts and native steps. */
  async #phase(phase: Phase): Promise<void> {
    const names = orderHooks(await listHooks(this.#tree, phase));
    for (const step of await planPhase(this.#tree, phase, await this.#natives(phase, names))) {
      if (typeof step === 'string') await this.#script(phase, step);
      else await step.run({});
    }
  }

  async #script(phase: Phase, name: string): Promise<void> {
    const element = this.#tree.owners.get(`${phase}/${name}`) ?? 'unknown';
    const { text, isText, digest } = await readScript(join(this.#tree.path, phase, name));
    const parts = {
      script: digest,
      data: await dataDigest(this.#tree, element, text, isText),
      programs: await digestPaths([join(this.#tree.path, 'bin')]),
      environment: `${await digestPaths([join(this.#tree.path, 'environment.d')])}\n${keyedEnvironment({ ...this.#start, ...this.#layering.late }, text)}`,
      rest: '',
    };
    await this.#layering.step({ phase, script: name, element }, parts, (context, environment) =>
      runScript(context, phase, name, environment),
    );
  }

  /** The builder's own steps of a phase: packages and static files, where the upstream elements that do the same are not in the image. */
  async #natives(phase: Phase, scripts: readonly string[]): Promise<NativeStep[]> {
    const steps: NativeStep[] = [];
    const add = (name: string | undefined, packages: readonly string[], verb: 'install' | 'remove'): void => {
      if (name === undefined || packages.length === 0) return;
      const run = async (): Promise<void> => {
        const parts = {
          script: verb,
          data: '',
          programs: '',
          environment: await this.#commonEnvironment(),
          rest: packages.join(' '),
        };
        await this.#layering.step({ phase, script: name, element: 'packages' }, parts, async (context, environment) => {
          const aptRun = { context, phase, script: name, environment };
          if (verb === 'remove') return removePackages(aptRun, packages);
          await installPackages(aptRun, packages, this.#freshen);
          this.#freshen = false;
        });
      };
      steps.push({ name, run });
    };
    if (this.#native) {
      const extra = phase === 'install.d' ? this.#options.definition.packages : [];
      add(INSTALL_STEP[phase], [...new Set([...(this.#plan.install[phase] ?? []), ...extra])], 'install');
      add(UNINSTALL_STEP[phase], this.#plan.uninstall[phase] ?? [], 'remove');
    }
    const hasStatic = [...this.#tree.owners.keys()].some((path) => path.startsWith('static/'));
    if (phase === 'install.d' && hasStatic && !scripts.includes(STATIC_STEP))
      steps.push({
        name: STATIC_STEP,
        run: async () => {
          const data = await digestPaths([join(this.#tree.path, 'static')]);
          const parts = { script: 'static/1', data, programs: '', environment: '', rest: '' };
          await this.#layering.step({ phase, script: STATIC_STEP, element: 'static files' }, parts, installStatic);
        },
      });
    return steps;
  }

  async #commonEnvironment(): Promise<string> {
    return `${await digestPaths([join(this.#tree.path, 'environment.d')])}\n${keyedEnvironment(this.#start, '')}`;
  }

  /** `-p`: extra packages by the distribution's own install-packages, after install.d. */
  async #extraPackages(): Promise<void> {
    const { packages } = this.#options.definition;
    if (this.#native || packages.length === 0) return;
    const parts = {
      script: 'extra',
      data: '',
      programs: await digestPaths([join(this.#tree.path, 'bin')]),
      environment: await this.#commonEnvironment(),
      rest: packages.join(' '),
    };
    await this.#layering.step(
      { phase: 'install.d', script: 'install-packages', element: '-p' },
      parts,
      async (context, environment) => {
        await context.room.runInside(['install-packages', ...packages], {
          env: environment,
          onLine: (line) => context.onProgress({ phase: 'install.d', script: 'install-packages', line }),
        });
      },
    );
  }

  /** From here on hooks know the disk's size; finding it costs a walk of the tree, so only where one of them asks. */
  async #imageStage(): Promise<void> {
    const { definition } = this.#options;
    const scripts: string[] = [];
    for (const phase of ['block-device.d', 'pre-finalise.d', 'finalise.d', 'cleanup.d'])
      for (const name of await listHooks(this.#tree, phase))
        scripts.push((await readScript(join(this.#tree.path, phase, name))).text);
    if (scripts.some((text) => text.includes('DIB_IMAGE_SIZE')))
      this.#layering.late = { DIB_IMAGE_SIZE: String(imageSizeKib(definition, this.#layering.layers)) };
    if ((await listHooks(this.#tree, 'block-device.d')).length > 0)
      await this.#layering.volatile('block-device.d', runBlockDeviceHooks);
  }

  /** finalise.d, with programs that stand in for those that want a device. */
  async #finalise(): Promise<void> {
    const { clock } = this.#options;
    const names = await listHooks(this.#tree, 'finalise.d');
    if (names.length === 0) return;
    const texts = await Promise.all(
      names.map(async (name) => (await readScript(join(this.#tree.path, 'finalise.d', name))).text),
    );
    const grub = texts.some((text) => /grub2?-(install|mkconfig)|update-grub/.test(text));
    await clock.run('finalise.d', async () => {
      if (grub) await this.#layering.native('grub-probe', PROBE, 'inside', cacheKey(PROBE, GRUB_PROBE, GRUB_INSTALL));
      this.#layering.deviceless = grub;
      await this.#phase('finalise.d');
      this.#layering.deviceless = false;
      if (grub) await this.#layering.native('grub-probe-off', UNPROBE, 'inside', cacheKey(UNPROBE));
    });
  }
}
