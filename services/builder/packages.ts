import { copyFile, link, mkdir, readdir, rename, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bind } from './chroot.ts';
import { CommandFailed } from './command.ts';
import type { HostApt } from './host-apt.ts';
import type { Environment, Phase, PhaseContext } from './phases.ts';
import { BuildError } from './progress.ts';

/**
 * apt's lists and archives live outside the tree: they are never part of a layer or an image. A build has its own, linked from the shared ones, because elements clean apt's
 * caches up; packages that it fetched go back to the shared store, which a rebuild takes them from.
 */
export class AptCache {
  readonly binds: Bind[];
  #shared: string;
  #own: string;
  /** What the shared store has already, by name and time: most steps fetch nothing. */
  #kept = new Set<string>();

  private constructor(shared: string, own: string) {
    this.#shared = shared;
    this.#own = own;
    this.binds = [
      { source: join(own, 'lists'), target: '/var/lib/apt/lists' },
      { source: join(own, 'archives'), target: '/var/cache/apt/archives' },
    ];
  }

  static async open(shared: string, own: string): Promise<AptCache> {
    for (const kind of ['lists', 'archives']) {
      await mkdir(join(shared, kind), { recursive: true });
      await mkdir(join(own, kind, 'partial'), { recursive: true });
      for (const entry of await readdir(join(shared, kind), { withFileTypes: true })) {
        if (!entry.isFile() || entry.name === 'lock') continue;
        const [source, target] = [join(shared, kind, entry.name), join(own, kind, entry.name)];
        await link(source, target).catch(() => copyFile(source, target));
      }
    }
    const cache = new AptCache(shared, own);
    for (const kind of ['lists', 'archives']) await cache.#fresh(join(own, kind));
    return cache;
  }

  /** Where the packages of all builds of one release are kept. */
  get store(): string {
    return join(this.#shared, 'archives');
  }

  get lists(): string {
    return join(this.#own, 'lists');
  }

  /** Files of a directory that were not there, or not the same, at the last look. */
  async #fresh(directory: string): Promise<string[]> {
    const names: string[] = [];
    for (const name of await readdir(directory).catch(() => [] as string[])) {
      const info = await stat(join(directory, name)).catch(() => undefined);
      const mark = `${directory}/${name} ${info?.mtimeMs}`;
      if (!info?.isFile() || name === 'lock' || this.#kept.has(mark)) continue;
      this.#kept.add(mark);
      names.push(name);
    }
    return names;
  }

  /** Keeps what was fetched since. `from`: further directories with packages. */
  async keep(from: readonly string[] = []): Promise<void> {
    for (const directory of [join(this.#own, 'archives'), ...from]) {
      for (const name of await this.#fresh(directory)) {
        const target = join(this.store, name);
        if (!name.endsWith('.deb')) continue;
        // Another build may have been quicker; another file system takes a copy.
        await link(join(directory, name), target).catch((error: NodeJS.ErrnoException) =>
          error.code === 'EXDEV' ? copyFile(join(directory, name), target) : undefined,
        );
      }
    }
    for (const name of await this.#fresh(this.lists)) {
      const target = join(this.#shared, 'lists', name);
      const staged = `${target}.${process.pid}`;
      const { atime, mtime } = await stat(join(this.lists, name));
      await copyFile(join(this.lists, name), staged);
      // apt's own index of the lists, which lies in the layers, holds as long as their times do.
      await utimes(staged, atime, mtime);
      await rename(staged, target);
    }
  }
}

/** Options for one build's apt runs: no recommends, no questions, no fsync for each file (an interrupted build is thrown away whole), the host's own proxies. */
export async function writeAptOptions(path: string, apt: HostApt, locked: readonly string[] = []): Promise<void> {
  const lines = [
    'APT::Install-Recommends "false";',
    'APT::Install-Suggests "false";',
    'APT::Keep-Downloaded-Packages "true";',
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    'DPkg::Lock::Timeout "600";',
    'Dpkg::Use-Pty "false";',
    'Dpkg::Options { "--force-unsafe-io"; "--force-confold"; };',
    ...apt.options,
    ...locked,
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
}

export const INSTALL_STEP: Partial<Record<Phase, string>> = {
  'pre-install.d': '10-package-installs',
  'install.d': '01-package-installs',
  'post-install.d': '00-package-installs',
};
export const UNINSTALL_STEP: Partial<Record<Phase, string>> = {
  'pre-install.d': '99-package-uninstalls',
  'install.d': '99-package-uninstalls',
  'post-install.d': '95-package-uninstalls',
};

export interface AptRun {
  context: PhaseContext;
  phase: Phase;
  script: string;
  environment: Environment;
}

async function apt({ context, phase, script, environment }: AptRun, args: readonly string[]): Promise<void> {
  const env = { ...environment, DEBCONF_NONINTERACTIVE_SEEN: 'true', LC_ALL: 'C.UTF-8' };
  const onLine = (line: string): void => context.onProgress({ phase, script, line });
  try {
    await context.room.runInside(['apt-get', '-y', '-q', ...args], { env, onLine });
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const telling = error.tail.filter((line) => /^(E:|Err)|dpkg:|error/i.test(line.trim())).slice(-8);
    const lines = telling.length > 0 ? telling : error.tail.slice(-8);
    throw new BuildError(`apt-get ${args.join(' ')} failed in phase ${phase}:\n${lines.join('\n')}`, error.tail);
  }
}

/** Installs a phase's packages in one transaction; the lists are brought up to date first when this build has not done so. */
export async function installPackages(run: AptRun, names: readonly string[], freshen: boolean): Promise<void> {
  if (freshen) await apt(run, ['update']);
  await apt(run, ['install', ...names]);
}

export function removePackages(run: AptRun, names: readonly string[]): Promise<void> {
  return apt(run, ['purge', ...names]);
}

// Only files count, with the mode they have: an element's copy of a directory must not change the mode of /root or /tmp in the image.
const INSTALL_STATIC = `set -e
cd /tmp/in_target.d/static
find . -type f -print0 | while IFS= read -r -d '' f; do install -D -o root -g root -m "$(stat -c %a "$f")" "$f" "/\${f#./}"; done
find . -type l -print0 | while IFS= read -r -d '' f; do mkdir -p "/$(dirname "$f")"; cp -Pf "$f" "/\${f#./}"; done`;

export const STATIC_STEP = '10-install-static-files';

/** Copies the elements' `static/` trees into the image, where diskimage-builder's install-static element does. */
export async function installStatic(context: PhaseContext, environment: Environment): Promise<void> {
  await context.room.runInside(['bash', '-c', INSTALL_STATIC], { env: environment });
}
