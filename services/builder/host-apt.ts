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

export interface HostApt {
  release: string;
  architecture: string;
  sources: AptSource[];
  /** `Acquire::...` settings that a fetch from here needs (proxies), as lines of apt.conf. */
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
  const rank = (suite: string): number => (suite === release ? 0 : suite.endsWith('-updates') ? 1 : 2);
  return [...sources.values()].sort((a, b) => rank(a.suite) - rank(b.suite));
}

/** Reads the host's own apt configuration. `release` is a Debian code name; without it the host's own. */
export async function readHostApt(release?: string, architecture?: string): Promise<HostApt> {
  const [targets, config, native, os] = await Promise.all([
    runCommand('apt-get', ['indextargets', 'Created-By: Packages'], { capture: true }),
    runCommand('apt-config', ['dump'], { capture: true }),
    runCommand('dpkg', ['--print-architecture'], { capture: true }),
    readFile('/etc/os-release', 'utf8').catch(() => ''),
  ]);
  const codename = release ?? /^VERSION_CODENAME=(.*)$/m.exec(os)?.[1]?.replaceAll('"', '').trim();
  if (codename === undefined || codename === '') {
    throw new BuildError('This machine does not say which Debian release it is (/etc/os-release): set DIB_RELEASE.');
  }
  const sources = sourcesOf(parseStanzas(targets), codename);
  if (sources.length === 0) {
    throw new BuildError(
      `This machine's apt knows no mirror of Debian "${codename}": add one to /etc/apt/sources.list, run "apt-get update", or set DIB_RELEASE.`,
    );
  }
  const options = config
    .split('\n')
    .filter((line) => /^Acquire::(https?|ftp)::(Proxy|Timeout|.*::Proxy)[^"]* "/.test(line));
  return { release: codename, architecture: architecture ?? native.trim(), sources, options };
}

/** sources.list lines. `keyring: true` names the host's key files, for a run outside the image. */
export function sourceLines(apt: HostApt, keyring = false): string[] {
  return apt.sources.map(({ uri, suite, components, signedBy }) => {
    const option = keyring && signedBy !== undefined ? `[signed-by=${signedBy}] ` : '';
    return `deb ${option}${uri} ${suite} ${components.join(' ')}`;
  });
}
