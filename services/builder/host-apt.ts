import { readFile } from 'node:fs/promises';
import { runCommand } from './command.ts';
import { BuildError } from './progress.ts';

/** One line of sources.list, from the host's own apt: nothing about mirrors is written into this program. */
export interface AptSource {
  uri: string;
  suite: string;
  components: string[];
  /** Path of a keyring, when the host's configuration names one. */
  signedBy?: string;
}

/** The mirrors of a build. */
export interface HostApt {
  /** `ID` of os-release: debian, ubuntu ... */
  distribution: string;
  release: string;
  architecture: string;
  sources: AptSource[];
  /** `Acquire::...` settings that a fetch from here needs (proxies), as lines of apt.conf. */
  options: string[];
  /** Who names the mirrors: the host's own apt; the caller, for the host's distribution; the elements with the caller's variables, for another distribution. */
  origin: 'host' | 'caller' | 'elements';
}

/** What this machine is and what its apt knows. */
export interface Host {
  distribution: string;
  /** Code name of its release; '' where os-release does not say. */
  codename: string;
  architecture: string;
  stanzas: Record<string, string>[];
  options: string[];
}

/** Reads the stanzas of `apt-get indextargets`: fields by lower-case name. */
export function parseStanzas(text: string): Record<string, string>[] {
  return text
    .split(/\n\s*\n/)
    .map((block) => {
      const fields: Record<string, string> = {};
      for (const line of block.split('\n')) {
        const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
        if (match !== null) fields[match[1]!.toLowerCase()] = match[2]!;
      }
      return fields;
    })
    .filter((fields) => Object.keys(fields).length > 0);
}

/** The release itself first: what builds from nothing asks the first source. */
function rankOf(suite: string, release: string): number {
  return suite === release ? 0 : suite.endsWith('-updates') ? 1 : 2;
}

/** The sources of one Debian release (itself, its updates, its security suite) among everything the host's apt knows. */
export function sourcesOf(stanzas: readonly Record<string, string>[], release: string): AptSource[] {
  const wanted = new Set([release, `${release}-updates`, `${release}-security`]);
  const sources = new Map<string, AptSource>();
  for (const { 'repo-uri': uri, release: suite, component, 'signed-by': signedBy, origin } of stanzas) {
    if (uri === undefined || suite === undefined || component === undefined || !wanted.has(suite)) continue;
    // Strangers' repositories often use Debian's code names; before the first `apt update` the origin is not known.
    if (origin !== undefined && origin !== '' && origin !== 'Debian') continue;
    const key = `${uri} ${suite}`;
    const source = sources.get(key) ?? {
      uri,
      suite,
      components: [],
      ...(signedBy?.startsWith('/') ? { signedBy } : {}),
    };
    if (!source.components.includes(component)) source.components.push(component);
    sources.set(key, source);
  }
  return [...sources.values()].sort((a, b) => rankOf(a.suite, release) - rankOf(b.suite, release));
}

/** Reads the host's own apt configuration and os-release. */
export async function readHost(): Promise<Host> {
  const [targets, config, native, os] = await Promise.all([
    runCommand('apt-get', ['indextargets', 'Created-By: Packages'], { capture: true }),
    runCommand('apt-config', ['dump'], { capture: true }),
    runCommand('dpkg', ['--print-architecture'], { capture: true }),
    readFile('/etc/os-release', 'utf8').catch(() => ''),
  ]);
  const field = (name: string): string =>
    new RegExp(`^${name}=(.*)$`, 'm').exec(os)?.[1]?.replaceAll('"', '').trim() ?? '';
  return {
    distribution: field('ID') || 'debian',
    codename: field('VERSION_CODENAME'),
    architecture: native.trim(),
    stanzas: parseStanzas(targets),
    options: config.split('\n').filter((line) => /^Acquire::(https?|ftp)::(Proxy|Timeout|.*::Proxy)[^"]* "/.test(line)),
  };
}

/** The host's own mirrors for its own distribution. `release` is a code name; without it the host's own. */
export async function readHostApt(release?: string, architecture?: string): Promise<HostApt> {
  return hostMirrors(await readHost(), release === undefined ? {} : { DIB_RELEASE: release }, architecture);
}

/** Lines of diskimage-builder's DIB_APT_SOURCES_CONF, `NAME:deb [options] URI SUITE COMPONENT ...`. */
export function parseSourcesConf(text: string, release: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split('\n')) {
    const match = /^[^:]*:\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)$/.exec(line.trim());
    if (match === null) continue;
    const [, options = '', uri = '', suite = '', components = ''] = match;
    const signedBy = /signed-by=(\/\S+)/.exec(options)?.[1];
    sources.push({
      uri,
      suite,
      components: components.split(/\s+/).filter(Boolean),
      ...(signedBy === undefined ? {} : { signedBy }),
    });
  }
  return sources.sort((a, b) => rankOf(a.suite, release) - rankOf(b.suite, release));
}

/** Components as the debootstrap element takes them: `main,contrib`. */
const componentsOf = (text: string): string[] => text.split(/[,\s]+/).filter(Boolean);

/**
 * The mirrors of the host's own distribution: the host's apt, as far as the caller's variables (diskimage-builder's) say nothing else. A release that the host's apt does
 * not know is looked for where its own release lies.
 */
export function hostMirrors(
  host: Host,
  caller: Readonly<Record<string, string>>,
  architecture: string = host.architecture,
): HostApt {
  const release = caller.DIB_RELEASE || host.codename;
  if (release === '')
    throw new BuildError('This machine does not say which Debian release it is (/etc/os-release): set DIB_RELEASE.');
  const known = sourcesOf(host.stanzas, release);
  const near = known.length > 0 || host.codename === '' ? [] : sourcesOf(host.stanzas, host.codename);
  const moved = near.map((each) => ({ ...each, suite: each.suite.replace(host.codename, release) }));
  const mirror = caller.DIB_DEBIAN_DISTRIBUTION_MIRROR || caller.DIB_DISTRIBUTION_MIRROR || undefined;
  const found = known.length > 0 ? known : moved;
  const base =
    found.length > 0 || mirror === undefined ? found : [{ uri: mirror, suite: release, components: ['main'] }];
  const components = caller.DIB_DEBIAN_COMPONENTS;
  const named = base.map((each) => ({
    ...each,
    // The security suite lies on a mirror of its own.
    ...(mirror === undefined || each.suite.endsWith('-security') ? {} : { uri: mirror }),
    ...(components === undefined ? {} : { components: componentsOf(components) }),
  }));
  const sources =
    caller.DIB_APT_SOURCES_CONF === undefined ? named : parseSourcesConf(caller.DIB_APT_SOURCES_CONF, release);
  if (sources.length === 0)
    throw new BuildError(
      `This machine's apt knows no mirror of Debian "${release}": add one to /etc/apt/sources.list, run "apt-get update", or set DIB_DISTRIBUTION_MIRROR.`,
    );
  const own = known.length > 0 && mirror === undefined && caller.DIB_APT_SOURCES_CONF === undefined;
  const { distribution, options } = host;
  return { distribution, release, architecture, sources, options, origin: own ? 'host' : 'caller' };
}

/**
 * The mirrors of another distribution than the host's, from the variables as the elements leave them: the caller's, or their own defaults. Elements that are not
 * debootstrap's fetch in their own way and name no suites.
 */
export function elementMirrors(
  host: Host,
  settled: Readonly<Record<string, string>>,
  debootstrap: boolean,
  architecture: string = host.architecture,
): HostApt {
  const distribution = settled.DISTRO_NAME ?? 'unknown';
  const release = settled.DIB_RELEASE || distribution;
  const uri = settled.DIB_DISTRIBUTION_MIRROR ?? '';
  const components = componentsOf(settled.DIB_DEBIAN_COMPONENTS ?? 'main');
  const suites = [release, ...componentsOf(settled.DIB_UBUNTU_MIRROR_DISTS ?? '').map((name) => `${release}-${name}`)];
  const plain = uri === '' ? [] : suites.map((suite) => ({ uri, suite, components }));
  const conf = settled.DIB_APT_SOURCES_CONF;
  const sources = debootstrap ? (conf === undefined ? plain : parseSourcesConf(conf, release)) : [];
  return { distribution, release, architecture, sources, options: host.options, origin: 'elements' };
}

/** sources.list lines. `keyring: true` names the host's key files, for a run outside the image. */
export function sourceLines(apt: HostApt, keyring = false): string[] {
  return apt.sources.map(({ uri, suite, components, signedBy }) => {
    const option = keyring && signedBy !== undefined ? `[signed-by=${signedBy}] ` : '';
    return `deb ${option}${uri} ${suite} ${components.join(' ')}`;
  });
}
