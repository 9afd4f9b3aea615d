import { join } from 'node:path';
import type { Room } from './chroot.ts';
import { CommandFailed } from './command.ts';
import { type HookTree, listHooks } from './hooks.ts';
import { compareHooks, orderEnvironment, orderHooks } from './order.ts';
import { BuildError, type OnProgress } from './progress.ts';

/**
 * A build goes through these directories of hooks, in this order. Outside: on this machine, with the tree at TMP_MOUNT_PATH. Inside: in the tree.
 * root.d fills an empty tree; the tree is then furnished (devices, name resolution, no daemons); extra-data.d fetches what the tree cannot reach; packages come in
 * pre-install.d, install.d and post-install.d; after post-root.d diskimage-builder makes a block device and copies the tree to it, which most layouts do not need here, so the
 * last three see the same tree; cleanup.d takes out what only the build needed.
 */
export const PHASES = {
  'root.d': 'outside',
  'extra-data.d': 'outside',
  'pre-install.d': 'inside',
  'install.d': 'inside',
  'post-install.d': 'inside',
  'post-root.d': 'outside',
  'block-device.d': 'outside',
  'pre-finalise.d': 'outside',
  'finalise.d': 'inside',
  'cleanup.d': 'outside',
} as const;

export type Phase = keyof typeof PHASES;
export type Environment = Record<string, string>;

/** Where the merged hook tree is seen from inside. */
export const HOOKS_INSIDE = '/tmp/in_target.d';
/** Where the build's own directory is seen from inside, with apt's options for this build. */
export const WORK_INSIDE = '/run/undercloud-build';

/** A step of the builder's own that takes its place among a phase's scripts by its name. */
export interface NativeStep {
  name: string;
  run: (environment: Environment) => Promise<void>;
}

export interface PhaseContext {
  room: Room;
  tree: HookTree;
  /** What every hook starts with, before environment.d. */
  environment: Environment;
  onProgress: OnProgress;
  /** Directory of programs that stand before the machine's own for hooks outside. */
  programs?: string;
  /** Where hooks outside run: what they write by a relative path lands there. */
  directory?: string;
}

const SOURCE_ALL = `set -eu
for f in "$@"; do source "$f" >&2; done
exec env -0`;

/** Variables of the shell that prints the environment; they belong to nobody else. */
const SHELL_OWN = new Set(['_', 'SHLVL', 'PWD', 'OLDPWD']);

/** Reads the output of `env -0`. */
export function parseEnvironment(text: string): Environment {
  const environment: Environment = {};
  for (const entry of text.split('\0')) {
    const at = entry.indexOf('=');
    if (at > 0 && !SHELL_OWN.has(entry.slice(0, at))) environment[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return environment;
}

const INSIDE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The environment in which a phase's scripts run: the common one with environment.d sourced on top, once a phase, so that what one script sets the next does not see. */
export async function phaseEnvironment(context: PhaseContext, place: 'outside' | 'inside'): Promise<Environment> {
  const { room, tree } = context;
  const names = orderEnvironment(await listHooks(tree, 'environment.d', false));
  const start: Environment = { ...context.environment };
  if (place === 'inside') {
    start.HOME = '/root';
    start.PATH = `${HOOKS_INSIDE}/bin:${INSIDE_PATH}`;
    start.APT_CONFIG = `${WORK_INSIDE}/apt.conf`;
    start.DEBIAN_FRONTEND = 'noninteractive';
    delete start.TMPDIR;
    delete start.VIRTUAL_ENV;
  } else start.PATH = `${context.programs ?? ''}:${start.PATH ?? INSIDE_PATH}:${join(tree.path, 'bin')}`;
  const directory = place === 'inside' ? `${HOOKS_INSIDE}/environment.d` : join(tree.path, 'environment.d');
  const argv = ['bash', '-c', SOURCE_ALL, 'environment', ...names.map((name) => `${directory}/${name}`)];
  const options = { env: start, capture: true };
  try {
    return parseEnvironment(
      await (place === 'inside' ? room.runInside(argv, options) : room.runOutside(argv, options)),
    );
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const files = names.map((name) => `${tree.owners.get(`environment.d/${name}`)}:${name}`).join(', ');
    throw new BuildError(
      `The environment of the build could not be set up: one of environment.d/ (${files}) failed.`,
      error.tail,
    );
  }
}

/** Runs every script of a phase outside, one after the other; the first failure ends it. */
export async function runPhase(context: PhaseContext, phase: Phase): Promise<void> {
  const steps = await planPhase(context.tree, phase, []);
  if (steps.length === 0) return;
  const environment = await phaseEnvironment(context, PHASES[phase]);
  for (const step of steps) if (typeof step === 'string') await runScript(context, phase, step, environment);
}

/** Scripts and native steps of one phase in the order in which they run; a script of the same name replaces a native step. */
export async function planPhase(
  tree: HookTree,
  phase: Phase,
  natives: readonly NativeStep[],
): Promise<(string | NativeStep)[]> {
  const scripts = orderHooks(await listHooks(tree, phase));
  const steps: (string | NativeStep)[] = [...scripts, ...natives.filter(({ name }) => !scripts.includes(name))];
  const nameOf = (step: string | NativeStep): string => (typeof step === 'string' ? step : step.name);
  return steps.sort((a, b) => compareHooks(nameOf(a), nameOf(b)));
}

/** What the last lines of a failure say about its cause, where they say it. */
function remedy(tail: readonly string[], place: 'outside' | 'inside'): string {
  const text = tail.join('\n');
  if (/No space left on device|ENOSPC|Disk quota exceeded/i.test(text))
    return 'The disk is full: free space below the cache directory, or name another with --image-cache. ';
  if (place === 'outside' && text.includes('Read-only file system'))
    return 'It wrote outside the tree: hooks on this side may write to the tree, TMP_BUILD_DIR, DIB_IMAGE_CACHE, /tmp and the directory that the build was started from. ';
  return '';
}

/** Runs one script of a phase. A failure says which script of which element it was, and its last lines. */
export async function runScript(
  context: PhaseContext,
  phase: Phase,
  script: string,
  environment: Environment,
): Promise<void> {
  const { room, tree, onProgress } = context;
  const element = tree.owners.get(`${phase}/${script}`) ?? 'unknown';
  onProgress({ phase, element, script });
  const options = {
    env: environment,
    onLine: (line: string) => onProgress({ phase, element, script, line }),
  };
  try {
    if (PHASES[phase] === 'inside') await room.runInside([`${HOOKS_INSIDE}/${phase}/${script}`], options);
    else
      await room.runOutside([join(tree.path, phase, script)], {
        ...options,
        ...(context.directory === undefined ? {} : { cwd: context.directory }),
      });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const how = error.message.slice(error.command.length).split(':')[0]!.trim();
    throw new BuildError(
      `Script ${phase}/${script} of element "${element}" ${how}. ${remedy(error.tail, PHASES[phase])}Its last lines:\n${error.tail.slice(-10).join('\n')}`,
      error.tail,
    );
  }
}
