/**
 * The real diskimage-builder as a peer: Debian's package, run as it is, with stand-ins for what machines without device-mapper, FAT or sudo lack (kpartx by partx on the loop
 * device's own partitions).
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cpuSeconds } from '../../services/builder/command.ts';

const KPARTX = `#!/bin/bash
# The loop driver makes /dev/loopNpM by itself; diskimage-builder wants /dev/mapper/loopNpM.
set -eu
dev="\${@: -1}"; opts="\${*:1:$#-1}"; base="\${dev##*/}"
mkdir -p /dev/mapper
# Partitions of a run that was killed stay with the device, and no new one may overlap them.
clear() { for p in /sys/block/$base/\${base}p*; do [ ! -e "$p" ] || delpart "$dev" "\${p##*p}"; done; rm -f /dev/mapper/"$base"p*; }
case "$opts" in
  *d*) clear ;;
  *a* | *u*)
    clear
    partx -a "$dev"
    for i in $(seq 50); do ls "\${dev}"p* >/dev/null 2>&1 && break; sleep 0.1; done
    for p in "\${dev}"p*; do ln -sfn "$p" "/dev/mapper/\${p##*/}"; echo "add map \${p##*/}"; done ;;
  *l*) partx -s "$dev" ;;
esac
`;
// For kernels without FAT. GRUB's tools find the device by the mount's source and read the real file system there; what they leave in the directory is copied into it at the end.
const MOUNT = `#!/bin/bash
if [ $# = 2 ] && [ "$(blkid -p -s TYPE -o value "$1" 2>/dev/null)" = vfat ]; then exec /bin/mount -t tmpfs -o mode=755 "$1" "$2"; fi
exec /bin/mount "$@"
`;
const UMOUNT = `#!/bin/bash
dir="\${@: -1}"
if [ "$(findmnt -n -o FSTYPE -M "$dir" 2>/dev/null)" = tmpfs ]; then
  dev=$(findmnt -n -o SOURCE -M "$dir")
  if [ -b "$dev" ] && ls -A "$dir" | grep -q .; then mcopy -s -o -i "$dev@@0" "$dir"/* :: || exit 1; fi
fi
exec /bin/umount "$@"
`;
const SUDO = `#!/bin/sh
while [ $# -gt 0 ]; do case "$1" in -E | -H | -n | -S) shift ;; -u) shift 2 ;; --) shift; break ;; *) break ;; esac; done
exec env "$@"
`;

export interface DibRun {
  elements: readonly string[];
  types: readonly string[];
  /** The result is `<directory>/<name>.<type>`. */
  directory: string;
  name: string;
  /** diskimage-builder's own cache; emptied when `cold`. */
  cache: string;
  cold?: boolean;
  environment?: Readonly<Record<string, string>>;
  options?: readonly string[];
}

export interface DibResult {
  cpu: number;
  wall: number;
  log: string;
}

function knowsFat(): boolean {
  const known = (): boolean => /\bvfat$/m.test(readFileSync('/proc/filesystems', 'utf8'));
  if (known()) return true;
  spawnSync('modprobe', ['-q', 'vfat']);
  return known();
}

/** Mirrors of this machine's own apt, in the form that debian-minimal wants; its default names a security path that answers 404. */
async function sources(): Promise<Record<string, string>> {
  const { readHostApt } = await import('../../services/builder/host-apt.ts');
  const apt = await readHostApt();
  const line = (suite: string): string => {
    const found = apt.sources.find((source) => source.suite === `${apt.release}${suite}`);
    return found === undefined ? '' : `deb ${found.uri} ${found.suite} ${found.components.join(' ')}`;
  };
  const named = [
    ['default', line('')],
    ['updates', line('-updates')],
    ['security', line('-security')],
  ].filter(([, text]) => text !== '');
  return {
    DIB_RELEASE: apt.release,
    DIB_DISTRIBUTION_MIRROR: apt.sources[0]?.uri ?? '',
    DIB_APT_SOURCES_CONF: named.map(([name, text]) => `${name}:${text}`).join('\n'),
  };
}

/** Runs disk-image-create to its end. CPU seconds are those of all its processes. */
export async function runDib(run: DibRun): Promise<DibResult> {
  if (run.cold) await rm(run.cache, { recursive: true, force: true });
  const programs = join(run.directory, 'programs');
  for (const path of [programs, run.cache, join(run.directory, 'tmp'), join(run.directory, 'home')])
    await mkdir(path, { recursive: true });
  const misc = readFileSync('/proc/misc', 'utf8');
  const shims: Record<string, string> = existsSync('/usr/bin/sudo') ? {} : { sudo: SUDO };
  if (!misc.includes('device-mapper')) Object.assign(shims, { kpartx: KPARTX, dmsetup: '#!/bin/sh\nexit 0\n' });
  if (!knowsFat()) Object.assign(shims, { mount: MOUNT, umount: UMOUNT });
  for (const [name, text] of Object.entries(shims)) {
    await writeFile(join(programs, name), text);
    await chmod(join(programs, name), 0o755);
  }
  const env: Record<string, string> = {
    PATH: `${programs}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: join(run.directory, 'home'),
    USER: 'root',
    TMP_DIR: join(run.directory, 'tmp'),
    DIB_IMAGE_CACHE: run.cache,
    OVERWRITE_OLD_IMAGE: '1',
    DIB_DEBUG_TRACE: '0',
    ...(await sources()),
    ...run.environment,
  };
  const began = { cpu: cpuSeconds(), wall: Date.now() };
  const args = [
    '-t',
    run.types.join(','),
    '-o',
    join(run.directory, run.name),
    ...(run.options ?? []),
    ...run.elements,
  ];
  // It mounts in the namespace it is started in and leaves all of that behind when it is killed: here its namespaces end with it.
  const alone = ['--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--propagation', 'private'];
  const child = spawn('unshare', [...alone, 'disk-image-create', ...args], {
    cwd: run.directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  const take = (data: Buffer): void => {
    log = (log + data.toString()).slice(-200_000);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0)
    throw new Error(
      `disk-image-create ${args.join(' ')} failed with ${code}:\n${log.split('\n').slice(-40).join('\n')}`,
    );
  return { cpu: cpuSeconds() - began.cpu, wall: (Date.now() - began.wall) / 1000, log };
}
