import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bind } from './chroot.ts';
import { CommandFailed } from './command.ts';
import type { HostApt } from './host-apt.ts';
import type { Environment, NativeStep, Phase, PhaseContext } from './phases.ts';
import { BuildError } from './progress.ts';

/** apt's lists and archives live outside the tree: they are shared by all builds and never part of a layer or an image. */
export async function aptBinds(cache: string, release: string): Promise<Bind[]> {
  const lists = join(cache, 'apt', release, 'lists');
  const archives = join(cache, 'apt', release, 'archives');
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(join(archives, 'partial'), { recursive: true });
  return [
    { source: lists, target: '/var/lib/apt/lists' },
    { source: archives, target: '/var/cache/apt/archives' },
  ];
}

/** Options for one build's apt runs: no recommends, no questions, no fsync for each file (an interrupted build is thrown away whole), the host's own proxies. */
export async function writeAptOptions(path: string, apt: HostApt): Promise<void> {
  const lines = [
    'APT::Install-Recommends "false";',
    'APT::Install-Suggests "false";',
    'APT::Keep-Downloaded-Packages "true";',
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    'Dpkg::Use-Pty "false";',
    'Dpkg::Options { "--force-unsafe-io"; "--force-confold"; };',
    ...apt.options,
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
}

export interface Packager {
  /** The native steps that install and remove a phase's packages, at the places where diskimage-builder's own scripts stand. */
  steps: (phase: Phase) => NativeStep[];
}

/** The name of the step after which the tree is worth keeping as a layer: all packages of install.d are in. */
export const PACKAGES_STEP = '01-package-installs';

const INSTALL_STEP: Partial<Record<Phase, string>> = {
  'pre-install.d': '10-package-installs',
  'install.d': PACKAGES_STEP,
  'post-install.d': '00-package-installs',
};
const UNINSTALL_STEP: Partial<Record<Phase, string>> = {
  'pre-install.d': '99-package-uninstalls',
  'install.d': '99-package-uninstalls',
  'post-install.d': '95-package-uninstalls',
};

export interface PackagerOptions {
  context: PhaseContext;
  /** A file outside the tree that is locked while apt runs. */
  lock: string;
  /** What to install and remove in a phase. */
  wanted: (phase: Phase) => { install: string[]; uninstall: string[] };
}

export function packager({ context, lock, wanted }: PackagerOptions): Packager {
  let listsAreFresh = false;
  const apt = async (environment: Environment, phase: Phase, script: string, args: string[]): Promise<void> => {
    const env = {
      ...environment,
      DEBCONF_NONINTERACTIVE_SEEN: 'true',
      LC_ALL: 'C.UTF-8',
    };
    const onLine = (line: string): void => context.onProgress({ phase, script, line });
    try {
      // Two builds share lists and archives; apt itself gives up at once when it finds them locked.
      const inside = ['chroot', context.room.root, 'apt-get', '-y', '-q', ...args];
      await context.room.runOutside(['flock', lock, ...inside], { env, onLine });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      const telling = error.tail.filter((line) => /^(E:|Err)|dpkg:|error/i.test(line.trim())).slice(-8);
      const lines = telling.length > 0 ? telling : error.tail.slice(-8);
      throw new BuildError(`apt-get ${args.join(' ')} failed in phase ${phase}:\n${lines.join('\n')}`, error.tail);
    }
  };
  const step = (phase: Phase, name: string | undefined, kind: 'install' | 'uninstall'): NativeStep[] => {
    const names = wanted(phase)[kind];
    if (name === undefined || names.length === 0) return [];
    const run = async (environment: Environment): Promise<void> => {
      if (kind === 'uninstall') return apt(environment, phase, name, ['purge', ...names]);
      if (!listsAreFresh) await apt(environment, phase, name, ['update']);
      listsAreFresh = true;
      await apt(environment, phase, name, ['install', ...names]);
    };
    return [{ name, run }];
  };
  return {
    steps: (phase) => [
      ...step(phase, INSTALL_STEP[phase], 'install'),
      ...step(phase, UNINSTALL_STEP[phase], 'uninstall'),
    ],
  };
}

// Only files count, with the mode they have: an element's copy of a directory must not change the mode of /root or /tmp in the image.
const INSTALL_STATIC = `set -e
cd /tmp/in_target.d/static
find . -type f -print0 | while IFS= read -r -d '' f; do install -D -o root -g root -m "$(stat -c %a "$f")" "$f" "/\${f#./}"; done
find . -type l -print0 | while IFS= read -r -d '' f; do mkdir -p "/$(dirname "$f")"; cp -Pf "$f" "/\${f#./}"; done`;

/** Copies the elements' `static/` trees into the image, where diskimage-builder's install-static element does. */
export function staticStep(context: PhaseContext): NativeStep {
  return {
    name: '10-install-static-files',
    run: async (environment) => {
      await context.room.runInside(['bash', '-c', INSTALL_STATIC], { env: environment });
    },
  };
}

/** Every installed package of the tree, sorted by name. */
export async function installedPackages(
  context: PhaseContext,
): Promise<{ name: string; version: string; architecture: string }[]> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const argv = ['dpkg-query', '-W', '-f', '${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n'];
  const text = await context.room.runInside(argv, {
    capture: true,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
  return text
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([state]) => state?.startsWith('ii'))
    .map(([, name = '', version = '', architecture = '']) => ({ name, version, architecture }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
