import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheKey, exists, publish, removeTree } from './cache.ts';
import { type Bind, Room } from './chroot.ts';
import { cpuSeconds } from './command.ts';
import type { HookTree } from './hooks.ts';
import { type Environment, PHASES, type Phase, type PhaseContext, phaseEnvironment } from './phases.ts';
import { BuildError, type OnProgress } from './progress.ts';
import { digestLayer, explainMiss, type StepParts, stepKey } from './step-key.ts';

/** What happened to one step of a build: `plan` shows it, the provenance keeps it. */
export interface StepRecord {
  phase: string;
  script: string;
  element: string;
  key: string;
  /** `run` is a step that always runs, because it fetches things or writes outside the tree. */
  state: 'hit' | 'miss' | 'run';
  /** Why a miss is one. */
  reason?: string;
  cpu?: number;
  parts?: StepParts;
}

export interface LayeringOptions {
  definition: { name: string };
  mount: string;
  cache: string;
  work: string;
  directory: string;
  useCache: boolean;
  dryRun?: boolean;
  keep?: boolean;
  tree: HookTree;
  environment: Environment;
  programs: string;
  binds: readonly Bind[];
  writable: readonly string[];
  onProgress: OnProgress;
  /** After each step that ran. */
  onStep?: () => Promise<void>;
  signal?: AbortSignal | undefined;
}

type Parts = Omit<StepParts, 'parent'>;
type Work = (context: PhaseContext, environment: Environment) => Promise<void>;

/** A pile of overlay layers that grows by one for each step. Keys run in the order of the scripts: a changed script makes the layers above it stale and no other. */
export class Layering {
  readonly layers: string[] = [];
  readonly steps: StepRecord[] = [];
  readonly warnings: string[] = [];
  /** While finalise.d runs without a device. */
  deviceless = false;
  /** Variables that hooks have only once the tree is whole. */
  late: Environment = {};
  /** In a dry run: a layer is missing, and nothing above it can be told. */
  broken = false;
  #options: LayeringOptions;
  #key = '';
  #counter = 0;
  #environments = new Map<string, Environment>();
  #before: Map<string, StepParts> | undefined;

  constructor(options: LayeringOptions) {
    this.#options = options;
  }

  get options(): LayeringOptions {
    return this.#options;
  }

  #recordPath(): string {
    return join(this.#options.cache, 'plans', `${this.#options.definition.name}.json`);
  }

  async #last(name: string): Promise<StepParts | undefined> {
    if (this.#before === undefined) {
      const text = await readFile(this.#recordPath(), 'utf8').catch(() => '[]');
      this.#before = new Map(
        (JSON.parse(text) as StepRecord[]).flatMap((step) =>
          step.parts ? [[`${step.phase}/${step.script}`, step.parts] as const] : [],
        ),
      );
    }
    return this.#before.get(name);
  }

  /** Keeps what the steps depended on, so that the next plan can say what changed. */
  async remember(): Promise<void> {
    const path = this.#recordPath();
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, JSON.stringify(this.steps));
  }

  /** What phases need to run in a room. */
  contextOf(room: Room): PhaseContext {
    const { tree, environment, onProgress, programs, directory } = this.#options;
    return { room, tree, environment: { ...environment, ...this.late }, onProgress, programs, directory };
  }

  /** Runs something beside the tree, such as sourcing environment.d. */
  async outside<Result>(work: (context: PhaseContext) => Promise<Result>): Promise<Result> {
    const { work: place, writable, signal } = this.#options;
    const room = await Room.open({ root: join(place, 'empty'), writable, signal });
    try {
      return await work(this.contextOf(room));
    } finally {
      await room.close();
    }
  }

  #place(key: string): string {
    return join(this.#options.cache, 'layers', key);
  }

  /** The first layer: whatever fills an empty directory. */
  async base(parts: StepParts, fill: (context: PhaseContext, target: string) => Promise<void>): Promise<void> {
    const { work, writable, signal, useCache, dryRun } = this.#options;
    const key = stepKey('root.d', parts);
    const record = await this.#record({ phase: 'root.d', script: '*', element: 'operating system' }, key, parts);
    this.#key = key;
    const place = this.#place(key);
    if (record.state === 'miss') {
      if (dryRun) {
        this.broken = true;
        return;
      }
      const target = join(work, 'base');
      await mkdir(target, { recursive: true });
      const began = cpuSeconds();
      const room = await Room.open({ root: target, writable, signal });
      try {
        await fill(this.contextOf(room), target);
        await this.#complain(room, 'root.d');
      } finally {
        await room.close();
      }
      record.cpu = cpuSeconds() - began;
      if (!useCache) await removeTree(place);
      await this.#publish(target, place);
    }
    this.layers.push(join(place, 'diff'));
  }

  async #publish(diff: string, place: string): Promise<void> {
    const staged = `${diff}.staged`;
    await mkdir(staged, { recursive: true });
    if (diff !== '') await publish(diff, join(staged, 'diff'));
    await publish(staged, place);
  }

  async #record(
    what: { phase: string; script: string; element: string },
    key: string,
    parts: StepParts,
  ): Promise<StepRecord> {
    const hit = this.#options.useCache && !this.broken && (await exists(this.#place(key)));
    const record: StepRecord = { ...what, key, state: hit ? 'hit' : 'miss', parts };
    if (!hit) {
      record.reason = this.#options.useCache
        ? explainMiss(await this.#last(`${what.phase}/${what.script}`), parts)
        : 'the cache is not used';
    }
    this.steps.push(record);
    return record;
  }

  /** A step that is done when its layer is there. */
  async step(what: { phase: Phase; script: string; element: string }, parts: Parts, work: Work): Promise<void> {
    await this.#cached(what, parts, async (room) => {
      const { phase } = what;
      const name = `${phase} ${this.deviceless}`;
      let environment = this.#environments.get(name);
      if (environment === undefined) {
        environment = await phaseEnvironment(this.contextOf(room), PHASES[phase]);
        if (this.deviceless) environment.PATH = `/run/undercloud-build/boot:${environment.PATH}`;
        this.#environments.set(name, environment);
      }
      await work(this.contextOf(room), environment);
    });
  }

  /** A step of the builder's own, in shell: inside the tree, or outside with the tree as its first argument. */
  async native(
    name: string,
    script: string,
    place: 'inside' | 'outside',
    rest: string,
    inputs?: (layers: readonly string[]) => string,
  ): Promise<void> {
    const parts = { script: '', data: '', programs: '', environment: '', rest };
    await this.#cached(
      { phase: 'builder', script: name, element: 'builder' },
      parts,
      async (room) => {
        const { onProgress } = this.#options;
        const options = { onLine: (line: string) => onProgress({ phase: name, line }) };
        if (place === 'outside') return void (await room.runOutside(['bash', '-c', script, name, room.root], options));
        const env = await phaseEnvironment(this.contextOf(room), 'inside');
        await room.runInside(['bash', '-c', script, name], { ...options, env });
      },
      inputs,
    );
  }

  async #cached(
    what: { phase: string; script: string; element: string },
    parts: Parts,
    work: (room: Room) => Promise<void>,
    /** Instead of the layer below: a digest of what the step takes from the layers. What it makes must depend on nothing else of them. */
    inputs?: (layers: readonly string[]) => string,
  ): Promise<void> {
    const whole = { ...parts, parent: inputs === undefined || this.broken ? this.#key : inputs(this.layers) };
    const key = stepKey(`${what.phase}/${what.script}`, whole);
    const record = await this.#record(what, key, whole);
    this.#key = inputs === undefined ? key : cacheKey(this.#key, key);
    if (record.state === 'miss') {
      if (this.#options.dryRun) {
        this.broken = true;
        return;
      }
      this.#options.onProgress({ phase: what.phase, element: what.element, script: what.script });
      const upper = await this.#run(
        record,
        work,
        `${what.phase}/${what.script} of element "${what.element}"`,
        what.script === 'dress',
      );
      if (!this.#options.useCache) await removeTree(this.#place(key));
      if ((await readdir(upper)).length === 0) await mkdir(this.#place(key), { recursive: true });
      else await this.#publish(upper, this.#place(key));
    }
    if (await exists(join(this.#place(key), 'diff'))) this.layers.push(join(this.#place(key), 'diff'));
  }

  /** A step that always runs; its layer goes by what it holds, so that the layers above stay valid as long as it makes the same. */
  async volatile(phase: string, work: (context: PhaseContext) => Promise<void>, keyed = true): Promise<void> {
    const record: StepRecord = { phase, script: '*', element: '', key: '', state: 'run' };
    if (this.broken) return;
    this.steps.push(record);
    const upper = await this.#run(record, (room) => work(this.contextOf(room)), phase, true);
    const content = await digestLayer(upper);
    record.key = stepKey(phase, {
      parent: this.#key,
      script: '',
      data: content,
      programs: '',
      environment: '',
      rest: '',
    });
    this.#key = record.key;
    if ((await readdir(upper)).length === 0) return;
    if (!keyed) {
      this.layers.push(upper);
      return;
    }
    const place = this.#place(record.key);
    if (!(await exists(place))) await this.#publish(upper, place);
    this.layers.push(join(place, 'diff'));
  }

  /** Runs work in a room over the layers so far. Returns the directory of its changes. */
  async #run(record: StepRecord, work: (room: Room) => Promise<void>, label: string, guarded = false): Promise<string> {
    const { mount, work: place, binds, writable, signal, keep } = this.#options;
    this.#counter += 1;
    const upper = join(place, `u${this.#counter}`);
    const began = cpuSeconds();
    const room = await Room.open({
      root: mount,
      layers: this.layers,
      upper,
      work: join(place, `w${this.#counter}`),
      ...(guarded ? { writable } : {}),
      signal,
    });
    try {
      await room.furnish(binds);
      await work(room);
      await this.#complain(room, label);
    } catch (error) {
      if (keep && error instanceof BuildError) error.message += `\n${await this.#leaveShell(upper)}`;
      throw error;
    } finally {
      await room.close();
    }
    record.cpu = Math.round((cpuSeconds() - began) * 100) / 100;
    await removeTree(join(place, `w${this.#counter}`));
    await this.#options.onStep?.();
    return upper;
  }

  /** Daemons and mounts end with the room; that they were there is worth a word. */
  async #complain(room: Room, label: string): Promise<void> {
    for (const left of await room.leftBehind()) {
      const [kind, ...rest] = left.split(' ');
      const what =
        kind === 'mount'
          ? `a mount at ${rest.join(' ')}`
          : `a process running (${rest.join(' ').trim().slice(0, 120)})`;
      const warning = `${label} left ${what}: it was ended with the step.`;
      this.warnings.push(warning);
      this.#options.onProgress({ phase: 'warning', line: warning });
    }
  }

  /** A script that enters the tree as the failed step left it. */
  async #leaveShell(upper: string): Promise<string> {
    const { work, mount } = this.#options;
    const path = join(work, 'shell');
    const lower = this.layers.map((_, index) => index).reverse();
    const script = `#!/bin/sh
# Enters the tree of a failed build of image "${this.#options.definition.name}". Remove ${work} when done.
exec unshare --mount --pid --fork --mount-proc sh -ec '
mkdir -p "${work}/shell.l" "${work}/shell.w"; cd "${work}/shell.l"
${this.layers.map((layer, index) => `ln -sfn "${layer}" ${index}`).join('\n')}
mount -t overlay overlay -o "lowerdir=${lower.join(':')},upperdir=${upper},workdir=${work}/shell.w,index=off,redirect_dir=off,metacopy=off" "${mount}"
mount -t proc proc "${mount}/proc"; mkdir -p "${mount}/tmp/in_target.d"; mount --bind "${work}/hooks" "${mount}/tmp/in_target.d"
exec chroot "${mount}" /bin/bash -l'
`;
    await writeFile(path, script, { mode: 0o755 });
    return `The tree is kept as the script left it: ${path} opens a shell in it.`;
  }
}
