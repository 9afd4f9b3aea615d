import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, openWork, removeTree } from './cache.ts';
import { Room } from './chroot.ts';
import { CommandFailed, runCommand } from './command.ts';
import type { BuildPlaces } from './environment.ts';
import { mergeHooks } from './hooks.ts';
import { elementMirrors, type Host, type HostApt, hostMirrors } from './host-apt.ts';
import { type Environment, phaseEnvironment } from './phases.ts';
import { BuildError } from './progress.ts';
import type { Element } from './resolve.ts';
import { libraryPath } from './upstream.ts';

/** Which distribution an image is, where its packages come from, and whether they can be had from here. */

/** Every name that an element's environment.d gives to DISTRO_NAME, as it stands there: `debian`, `${DISTRO_NAME:-ubuntu}`. */
async function namesGiven(elements: readonly Element[]): Promise<Set<string>> {
  const names = new Set<string>();
  for (const { path } of elements) {
    const directory = join(path, 'environment.d');
    for (const file of await readdir(directory).catch(() => [] as string[])) {
      const text = await readFile(join(directory, file), 'utf8').catch(() => '');
      for (const [, word = ''] of text.matchAll(/\bDISTRO_NAME=["']?(\$\{DISTRO_NAME:?-[^}]*\}|[^\s"';]*)/g))
        names.add(word.replace(/^\$\{DISTRO_NAME:?-(.*)\}$/, '$1'));
    }
  }
  return names;
}

interface Asking {
  host: Host;
  elements: readonly Element[];
  /** The caller's variables that reach hooks, and the definition's. */
  environment: Environment;
  architecture: string;
  cache: string;
  /** Everything that environment.d finds before it, with these mirrors. */
  start: (apt: HostApt, places: BuildPlaces) => Environment;
  signal?: AbortSignal | undefined;
}

/** The variables after environment.d, with nothing of this machine's mirrors set before. */
async function settle({ host, elements, architecture, cache, start, signal }: Asking): Promise<Environment> {
  const work = await openWork(cache);
  try {
    const tree = await mergeHooks(elements, join(work, 'hooks'));
    const places = {
      build: work,
      hooks: tree.path,
      mount: join(work, 'root'),
      cache,
      library: await libraryPath(work),
    };
    const room = await Room.open({ root: join(work, 'empty'), writable: [work], signal });
    try {
      const environment = start(elementMirrors(host, {}, false, architecture), places);
      return await phaseEnvironment({ room, tree, environment, onProgress: () => {} }, 'outside');
    } finally {
      await room.close();
    }
  } finally {
    await removeTree(work);
  }
}

/**
 * The host's mirrors are of use for its own distribution alone. Elements of another one (ubuntu-minimal on Debian) are asked what they would fetch, and from where: their
 * environment.d is run only when one of them names another distribution at all.
 */
export async function chooseMirrors(asking: Asking): Promise<HostApt> {
  const { host, elements, environment, architecture } = asking;
  const own = (): HostApt => hostMirrors(host, environment, architecture);
  const names = await namesGiven(elements);
  if (environment.DISTRO_NAME !== undefined) names.add(environment.DISTRO_NAME);
  if ([...names].every((name) => name === host.distribution)) return own();
  const settled = await settle(asking);
  if ((settled.DISTRO_NAME ?? host.distribution) === host.distribution) return own();
  return elementMirrors(
    host,
    settled,
    elements.some(({ name }) => name === 'debootstrap'),
    architecture,
  );
}

/** Why a mirror does not give the release's list, in apt's own words; undefined when it does. apt's downloader knows the machine's proxies. */
export async function probeMirror(uri: string, suite: string, work: string): Promise<string | undefined> {
  let reason = '';
  for (const name of ['InRelease', 'Release']) {
    const target = join(work, `probe.${process.pid}`);
    const address = `${uri.replace(/\/$/, '')}/dists/${suite}/${name}`;
    const patience = ['Retries=0', 'http::Timeout=15', 'https::Timeout=15'].flatMap((each) => [
      '-o',
      `Acquire::${each}`,
    ]);
    try {
      await runCommand('/usr/lib/apt/apt-helper', [...patience, 'download-file', address, target], { capture: true });
      return undefined;
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      const said = error.tail.filter((line) => /^(E|W|Err)[:\d ]/.test(line) && !line.includes('Download Failed'));
      reason ||= (said.at(-1) ?? error.tail.at(-1) ?? 'no answer').replace(/^(E|W): /, '').trim();
    } finally {
      await rm(target, { force: true });
    }
  }
  return reason;
}

/** What debootstrap's script of a release says of the keys that its packages are signed with. */
export function keyringsOf(script: string): string[] {
  return [...new Set([...script.matchAll(/^\s*keyring\s+(\/\S+)/gm)].map(([, path]) => path!))];
}

const SCRIPTS = '/usr/share/debootstrap/scripts';

/** The script that debootstrap would fill the tree with; it knows which keys the release is signed with. */
async function readScriptOf({ distribution, release }: HostApt, settled: Environment): Promise<string> {
  const path = settled.DIB_DEBIAN_DEBOOTSTRAP_SCRIPT || join(SCRIPTS, release);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined)
    throw new BuildError(
      `debootstrap has no script for ${distribution} "${release}" (${path}): correct DIB_RELEASE, bring a newer debootstrap, or name a script in DIB_DEBIAN_DEBOOTSTRAP_SCRIPT.`,
    );
  return text;
}

/** debootstrap goes on without a check when it has no keys: an image whose packages nobody has vouched for is made on request only. */
async function checkKeyring({ distribution, release }: HostApt, settled: Environment, script: string): Promise<void> {
  if (/--(no-check-gpg|keyring)\b/.test(settled.DIB_DEBOOTSTRAP_EXTRA_ARGS ?? '')) return;
  const named = settled.DIB_APT_KEYRING || settled.DIB_DEBIAN_KEYRING;
  const keyrings = named ? [named] : keyringsOf(script);
  if (keyrings.length === 0) return;
  for (const path of keyrings) if (await exists(path)) return;
  throw new BuildError(
    `The keys that ${distribution} "${release}" is signed with are not on this machine (${keyrings.join(', ')}): install the package that has them (${distribution}-archive-keyring), name a file of theirs in DIB_APT_KEYRING, or set DIB_DEBOOTSTRAP_EXTRA_ARGS=--no-check-gpg to build from packages that nobody has vouched for.`,
  );
}

/** Before a tree is filled: what would end as debootstrap's or apt's failure minutes later is refused here, with the mirror's name. */
export async function checkMirror(
  apt: HostApt,
  elements: readonly Element[],
  settled: Environment,
  work: string,
): Promise<void> {
  if (settled.DIB_OFFLINE) return;
  const debootstrap = elements.some(({ name }) => name === 'debootstrap');
  const script = debootstrap ? await readScriptOf(apt, settled) : '';
  const [first] = apt.sources;
  if (apt.origin !== 'host' && first !== undefined) {
    const reason = await probeMirror(first.uri, first.suite, work);
    if (reason !== undefined)
      throw new BuildError(
        `The mirror ${first.uri} does not give ${apt.distribution} "${first.suite}" to this machine (${reason}): set DIB_DISTRIBUTION_MIRROR to a mirror that does, correct DIB_RELEASE, or set http_proxy when only a proxy reaches it.`,
      );
  }
  if (debootstrap) await checkKeyring(apt, settled, script);
}
