import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommandOptions, endGroup, runCommand } from './command.ts';
import { BuildError } from './progress.ts';

/** A directory of the machine that is shown inside the tree while hooks run. */
export interface Bind {
  source: string;
  target: string;
  readOnly?: boolean;
}

export interface RoomOptions {
  /** An empty directory that the tree is mounted on, or the tree itself when there are no layers. */
  root: string;
  /** Read-only layers below, lowest first. Without any, `root` is used as it is. */
  layers?: string[];
  /** Where changes go when there are layers: two directories on one file system. */
  upper?: string;
  work?: string;
  signal?: AbortSignal | undefined;
}

// A /dev of the tree's own: packages' scripts change owners and modes there, and the host's devices must never be within their reach.
const FURNISH = `
set -e
R=$1
for d in proc sys dev run tmp; do [ -d "$R/$d" ] || mkdir -p "$R/$d"; done
mount -t proc proc "$R/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$R/sys"
mount -t tmpfs -o mode=755 dev "$R/dev"
for n in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r a b c <<<"$n"; mknod -m 666 "$R/dev/$a" c "$b" "$c"
done
mkdir "$R/dev/pts" "$R/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$R/dev/pts"
mount -t tmpfs -o mode=1777 shm "$R/dev/shm"
ln -s pts/ptmx "$R/dev/ptmx"; ln -s /proc/self/fd "$R/dev/fd"
ln -s fd/0 "$R/dev/stdin"; ln -s fd/1 "$R/dev/stdout"; ln -s fd/2 "$R/dev/stderr"
mount -t tmpfs -o mode=755 run "$R/run"
mount -t tmpfs -o mode=1777 tmp "$R/tmp"
mkdir -p "$R/run/lock"; chmod 1777 "$R/run/lock"
`;

// policy-rc.d 101: invoke-rc.d must start no daemon (Debian Policy 9.3.3.1). resolv.conf is replaced as diskimage-builder does, the original kept beside it.
const DRESS = `
set -e
R=$1
mkdir -p "$R/usr/sbin" "$R/etc"
printf '#!/bin/sh\\nexit 101\\n' >"$R/usr/sbin/policy-rc.d"; chmod 755 "$R/usr/sbin/policy-rc.d"
if [ -e "$R/etc/resolv.conf" ] || [ -L "$R/etc/resolv.conf" ]; then mv "$R/etc/resolv.conf" "$R/etc/resolv.conf.ORIG"; fi
cat /etc/resolv.conf >"$R/etc/resolv.conf" 2>/dev/null || : >"$R/etc/resolv.conf"
`;

const STRIP = `
R=$1
rm -f "$R/usr/sbin/policy-rc.d" "$R/etc/resolv.conf"
if [ -e "$R/etc/resolv.conf.ORIG" ] || [ -L "$R/etc/resolv.conf.ORIG" ]; then mv "$R/etc/resolv.conf.ORIG" "$R/etc/resolv.conf"; fi
# Deepest first; a lazy unmount is right here, since whatever still holds one dies with the namespace.
awk -v r="$R/" 'index($5, r) == 1 {print length($5), $5}' /proc/self/mountinfo | sort -rn | cut -d' ' -f2- | while IFS= read -r m; do umount -l "$m"; done
`;

/**
 * The place where hooks run: a mount, PID, UTS and IPC namespace of its own. Whatever a hook mounts or leaves running ends with the namespace, and the namespace ends
 * with this process, however that ends: its first process waits on a pipe that the kernel closes when we die.
 */
export class Room {
  readonly root: string;
  #holder: ChildProcess;
  #pid: number;
  #signal: AbortSignal | undefined;

  private constructor(root: string, holder: ChildProcess, pid: number, signal: AbortSignal | undefined) {
    this.root = root;
    this.#holder = holder;
    this.#pid = pid;
    this.#signal = signal;
  }

  static async open(options: RoomOptions): Promise<Room> {
    await mkdir(options.root, { recursive: true });
    const holder = spawn(
      'unshare',
      [
        '--mount',
        '--pid',
        '--uts',
        '--ipc',
        '--fork',
        '--kill-child',
        '--propagation',
        'private',
        'sh',
        '-c',
        'echo ready; exec cat >/dev/null',
      ],
      { stdio: ['pipe', 'pipe', 'pipe'], detached: true },
    );
    const complaint: string[] = [];
    holder.stderr.on('data', (data: Buffer) => complaint.push(data.toString()));
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string): void =>
        reject(
          new BuildError(
            `No private namespaces for the build (${why}): building an image needs root and Linux namespaces.`,
          ),
        );
      holder.once('error', (error) => fail(error.message));
      holder.once('exit', () => fail(complaint.join('').trim() || 'unshare ended at once'));
      holder.stdout.once('data', () => resolve());
    });
    holder.removeAllListeners('exit');
    const children = await readFile(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8');
    const room = new Room(options.root, holder, Number(children.trim().split(' ')[0]), options.signal);
    try {
      if (options.layers !== undefined && options.layers.length > 0) await room.#mountLayers(options);
    } catch (error) {
      await room.close();
      throw error;
    }
    return room;
  }

  async #mountLayers({ root, layers = [], upper, work }: RoomOptions): Promise<void> {
    if (upper === undefined || work === undefined)
      throw new BuildError('A layered tree needs a place for its changes.');
    await rm(work, { recursive: true, force: true });
    await mkdir(upper, { recursive: true });
    await mkdir(work, { recursive: true });
    const lower = [...layers].reverse().join(':');
    const data = `lowerdir=${lower},upperdir=${upper},workdir=${work},index=off,redirect_dir=off,metacopy=off`;
    await this.runOutside(['mount', '-t', 'overlay', 'overlay', '-o', data, root]);
  }

  /** The tree as the namespace sees it, by a path that this process can open. */
  path(inside = ''): string {
    return join(`/proc/${this.#pid}/root`, this.root, inside);
  }

  /** Mounts /proc, /sys (read-only), a private /dev, /run and /tmp, and the binds; starting daemons is refused from here on. */
  async furnish(binds: readonly Bind[] = []): Promise<void> {
    await this.runOutside(['bash', '-c', FURNISH, 'furnish', this.root]);
    for (const { source, target, readOnly } of binds) {
      const place = join(this.root, target);
      const script = 'set -e; mkdir -p "$2"; mount --bind "$1" "$2"; [ -z "$3" ] || mount -o remount,bind,ro "$2"';
      await this.runOutside(['bash', '-c', script, 'bind', source, place, readOnly ? 'ro' : '']);
    }
    await this.runOutside(['bash', '-c', DRESS, 'dress', this.root]);
  }

  /** Takes everything out again that `furnish` brought: what remains is the image's own tree. */
  async strip(): Promise<void> {
    await this.runOutside(['bash', '-c', STRIP, 'strip', this.root]);
  }

  /** Runs a command in the namespace, seeing the machine's own file system and the tree at `root`. */
  runOutside(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    // A mount namespace is entered at its own root: where this program runs in a chroot, that is another one.
    const places = ['--mount', '--pid', '--uts', '--ipc', '--root', '--wd'];
    return runCommand('nsenter', [`--target=${this.#pid}`, ...places, '--', ...argv], {
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
      ...options,
    });
  }

  /** Runs a command with the tree as its root directory. */
  runInside(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    return this.runOutside(['chroot', this.root, ...argv], options);
  }

  /** Ends every process of the namespace; its mounts go with it. */
  async close(): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => this.#holder.once('exit', () => resolve()));
    endGroup(this.#holder);
    try {
      process.kill(this.#pid, 'SIGKILL'); // The namespace's first process: the kernel ends all others with it (pid_namespaces(7)).
    } catch {
      // It ended together with its parent.
    }
    await gone;
  }
}
