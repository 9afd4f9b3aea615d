/**
 * Debian packages that travel in a bundle, with all that they depend on down to the C library: which of them a machine without a network
 * has already, and in which version, nobody knows where the bundle is made. There apt chooses among them as among a mirror's.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  createReadStream,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { statePaths } from '../services/core/config.ts';
import { command } from './command.ts';
import { writeWhole } from './whole-file.ts';

/** Where a bundle's Debian packages are gathered, and where they are loaded to. */
export const debianStoreOf = (stateDir: string): string => join(statePaths(stateDir).cache, 'debian');

const listFile = 'Packages';
const quiet = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };

/** A line of `apt-get --print-uris`. */
export interface Wanted {
  uri: string;
  /** `name_version_architecture.deb`, the version's colon written as %3a. */
  file: string;
  name: string;
  version: string;
}

export function readUris(text: string): Wanted[] {
  return text.split('\n').flatMap((line) => {
    const [, uri, file] = /^'([^']+)' (\S+\.deb) \d+ /.exec(line) ?? [];
    const [name, version] = file?.split('_') ?? [];
    return uri && file && name && version ? [{ uri, file, name, version: decodeURIComponent(version) }] : [];
  });
}

/** apt's paragraphs by `name version`; of two mirrors that have the same, the first. */
export function readParagraphs(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const paragraph of text.split('\n\n')) {
    const key = `${field(paragraph, 'Package')} ${field(paragraph, 'Version')}`;
    if (!found.has(key)) found.set(key, paragraph.trim());
  }
  return found;
}

const field = (paragraph: string, name: string): string =>
  new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1]?.trim() ?? '';

export interface GatherOptions {
  directory: string;
  packages: readonly string[];
  /** Directories with .deb files, which are not fetched again. */
  from: readonly string[];
  say?: (line: string) => void;
}

export interface Gathered {
  packages: number;
  fetched: number;
}

/**
 * Makes the directory hold exactly those packages and what they depend on, and a list of them for apt. What is there already stays.
 * @throws Error with apt's last words
 */
export async function gatherDebian({ directory, packages, from, say }: GatherOptions): Promise<Gathered> {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const scratch = mkdtempSync(join(tmpdir(), 'uc-debian-'));
  try {
    const wanted = await chosen(packages, scratch);
    const paragraphs = readParagraphs(
      await command(
        'apt-cache',
        ['show', ...nothingInstalled(scratch), ...wanted.map(({ name, version }) => `${name}=${version}`)],
        { env: quiet },
      ),
    );
    const list: string[] = [];
    const fetches: string[] = [];
    for (const { uri, file, name, version } of wanted) {
      const paragraph = paragraphs.get(`${name} ${version}`) ?? '';
      const sha256 = field(paragraph, 'SHA256');
      if (!sha256) throw new Error(`apt's lists do not tell the sha256 of ${name} ${version}`);
      list.push(paragraph.replace(/^Filename: .*$/m, `Filename: ./${file}`));
      if (!(await brought(file, sha256, directory, from))) fetches.push(uri, join(directory, file), `SHA256:${sha256}`);
    }
    if (fetches.length > 0) {
      say?.(`fetches ${fetches.length / 3} Debian packages`);
      const options = ['-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Retries=3'];
      await command('/usr/lib/apt/apt-helper', [...options, 'download-file', ...fetches], {
        env: quiet,
        ...(say && { onLine: say }),
      });
    }
    const kept = new Set([listFile, ...wanted.map(({ file }) => file)]);
    for (const name of readdirSync(directory)) if (!kept.has(name)) rmSync(join(directory, name), { recursive: true });
    writeWhole(join(directory, listFile), `${list.join('\n\n')}\n`, { mode: 0o644 });
    return { packages: wanted.length, fetched: fetches.length / 3 };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Options of an apt that sees a machine on which nothing is installed and nothing was fetched. */
function nothingInstalled(scratch: string): string[] {
  const [status, archives] = [join(scratch, 'status'), join(scratch, 'archives')];
  if (!existsSync(status)) writeFileSync(status, '');
  mkdirSync(join(archives, 'partial'), { recursive: true });
  return ['-o', `Dir::State::status=${status}`, '-o', `Dir::Cache::archives=${archives}/`];
}

async function chosen(packages: readonly string[], scratch: string): Promise<Wanted[]> {
  const words = ['install', '--print-uris', '-qq', '-y', '--no-install-recommends'];
  // Its cache of the lists is this machine's, and says what is installed here.
  const ask = () => command('apt-get', [...words, ...nothingInstalled(scratch), ...packages], { env: quiet });
  // A machine has no package lists, or stale ones: asked for where they are needed.
  const text = await ask().catch(async () => {
    await command('apt-get', ['update', '-q'], { env: quiet });
    return ask();
  });
  return readUris(text);
}

/** Whether the directory has the file, be it that another directory had it. */
async function brought(file: string, sha256: string, directory: string, from: readonly string[]): Promise<boolean> {
  const target = join(directory, file);
  for (const place of [directory, ...from]) {
    const source = join(place, file);
    if (!existsSync(source) || (await digest(source)) !== sha256) continue;
    if (source === target) return true;
    rmSync(target, { force: true });
    try {
      linkSync(source, target);
    } catch {
      copyFileSync(source, target);
    }
    return true;
  }
  rmSync(target, { force: true });
  return false;
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

/**
 * Whether there is a store to install from. The state directory is the service user's, and packages are installed as root: a list that
 * root has not written is none. It names the sha256 of each package, which apt compares.
 */
export function hasDebianStore(directory: string): boolean {
  try {
    return [directory, join(directory, listFile)].every((path) => {
      const { uid, mode } = statSync(path);
      return uid === 0 && (mode & 0o022) === 0;
    });
  } catch {
    return false;
  }
}

/** Calls `work` with the options of an apt that knows this store and nothing else; the machine's own lists stay as they are. */
export async function withDebianStore<T>(
  directory: string,
  work: (options: readonly string[]) => Promise<T>,
): Promise<T> {
  const scratch = mkdtempSync(join(tmpdir(), 'uc-debian-'));
  try {
    // A path with spaces in it would be cut in a line of sources.list.
    symlinkSync(directory, join(scratch, 'store'));
    mkdirSync(join(scratch, 'lists', 'partial'), { recursive: true });
    // Who loaded the bundle had its signature checked, and that covers this list.
    writeFileSync(join(scratch, 'sources.list'), `deb [trusted=yes] file:${scratch}/store ./\n`);
    const settings = {
      'Dir::Etc::sourcelist': join(scratch, 'sources.list'),
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::State::lists': join(scratch, 'lists'),
      'Dir::Cache::pkgcache': '',
      'Dir::Cache::srcpkgcache': '',
      'APT::Sandbox::User': 'root',
      'Acquire::Languages': 'none',
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    await command('apt-get', ['update', '-q', ...options], { env: quiet });
    return await work(options);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
