import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
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
  layers?: readonly string[];
  /** Where changes go when there are layers: two directories on one file system. */
  upper?: string;
  work?: string;
  /** What commands on the machine's side may write to; everything else is read-only for them, and /dev is one of their own. Without it nothing is guarded. */
  writable?: readonly string[];
  signal?: AbortSignal | undefined;
}

/** A /dev of the room's own: hooks and packages' scripts change owners and modes there, and the host's devices must never be within their reach. */
const OWN_DEVICES = `
own_devices() {
  mount -t tmpfs -o mode=755 dev "$1"
  for n in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r a b c <<<"$n"; mknod -m 666 "$1/$a" c "$b" "$c"
  done
  mkdir "$1/pts" "$1/shm"
  mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$1/pts"
  mount -t tmpfs -o mode=1777 shm "$1/shm"
  ln -s pts/ptmx "$1/ptmx"; ln -s /proc/self/fd "$1/fd"
  ln -s fd/0 "$1/stdin"; ln -s fd/1 "$1/stdout"; ln -s fd/2 "$1/stderr"
}
`;

// Hooks outside the tree run as root with the machine's own programs. A slip of theirs (a variable that is empty) must not reach the machine: it becomes "Read-only file system".
const GUARD = `${OWN_DEVICES}
set -e
# With what is mounted below: a state directory on a disk of its own may lie under one of them.
for d in "$@"; do mkdir -p "$d"; mount --rbind "$d" "$d"; done
kept=$(for d in "$@" /proc; do printf '%s\\n' "$d"; done)
awk '{print $5}' /proc/self/mountinfo | while IFS= read -r m; do
  m=$(printf '%b' "$m")
  keep=
  while IFS= read -r d; do case "$m/" in "$d"/*) keep=1 ;; esac; done <<<"$kept"
  [ -n "$keep" ] || mount -o remount,bind,ro "$m" 2>/dev/null || true
done
own_devices /dev
`;

const FURNISH = `${OWN_DEVICES}
set -e
R=$1; shift
for d in proc sys dev run tmp; do [ -d "$R/$d" ] || mkdir -p "$R/$d"; done
mount -t proc proc "$R/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$R/sys"
own_devices "$R/dev"
mount -t tmpfs -o mode=755 run "$R/run"
mkdir -p "$R/run/lock"; chmod 1777 "$R/run/lock"
# A package has made it a link into /run, which here is empty (systemd-resolved does): later scripts look names up all the same.
t=$(readlink "$R/etc/resolv.conf" || true)
case $t in ../run/*) t=\${t#..} ;; /run/*) ;; *) t= ;; esac
[ -z "$t" ] || { mkdir -p "$R\${t%/*}"; cat /etc/resolv.conf >"$R$t" 2>/dev/null || :; }
while [ $# -gt 0 ]; do
  mkdir -p "$R$2"; mount --bind "$1" "$R$2"; [ -z "$3" ] || mount -o remount,bind,ro "$R$2"
  shift 3
done
`;

/** Mount points below the tree, and processes of the room that nobody waits for. */
const LEFT = `
R=$1
awk -v r="$R/" 'index($5, r) == 1 {print "mount " substr($5, length(r))}' /proc/self/mountinfo
for p in /proc/[0-9]*; do
  p=\${p#/proc/}
  [ "$p" = 1 ] || [ "$p" = $$ ] || [ "$p" = $PPID ] || case $(readlink /proc/$p/exe) in '' | */awk) ;; *) echo "process $(tr '\\0' ' ' </proc/$p/cmdline)" ;; esac
done
`;

/** Directories without those that lie below another: each becomes a mount, and hooks make hard links between them. */
function outermost(directories: readonly string[]): string[] {
  const all = [...new Set(directories)];
  return all.filter((one) => !all.some((other) => other !== one && one.startsWith(`${other}/`)));
}

/**
 * The place where hooks run: a mount, PID, UTS and IPC namespace of its own. Whatever a hook mounts or leaves running ends with the namespace, and the namespace ends
 * with this process, however that ends: its first process waits on a pipe that the kernel closes when we die.
 */
export class Room {
  readonly root: string;
  #holder: ChildProcess;
  #pid: number;
  #signal: AbortSignal | undefined;
  #furniture = new Set<string>();

  private constructor(root: string, holder: ChildProcess, pid: number, signal: AbortSignal | undefined) {
    this.root = root;
    this.#holder = holder;
    this.#pid = pid;
    this.#signal = signal;
  }

  static async open(options: RoomOptions): Promise<Room> {
    await mkdir(options.root, { recursive: true });
    const namespaces = ['--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child', '--mount-proc'];
    const holder = spawn(
      'unshare',
      [...namespaces, '--propagation', 'private', 'sh', '-c', 'echo ready; exec cat >/dev/null'],
      {
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
      },
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
      if (options.writable !== undefined)
        await room.runOutside(['bash', '-c', GUARD, 'guard', ...outermost([...options.writable, options.root])]);
      if (options.layers !== undefined && options.layers.length > 0) await room.#mountLayers(options);
    } catch (error) {
      await room.close();
      throw error;
    }
    return room;
  }

  /** The kernel takes one page of mount options: layers go by short names, links in a directory of their own. */
  async #mountLayers({ root, layers = [], upper, work }: RoomOptions): Promise<void> {
    if (upper === undefined || work === undefined)
      throw new BuildError('A layered tree needs a place for its changes.');
    const links = `${work}.l`;
    for (const path of [work, links]) await rm(path, { recursive: true, force: true });
    for (const path of [upper, work, links]) await mkdir(path, { recursive: true });
    for (const [index, path] of [upper, work, ...layers].entries())
      await symlink(path, join(links, index.toString(36)));
    const lower = layers.map((_, index) => (index + 2).toString(36)).reverse();
    const data = `lowerdir=${lower.join(':')},upperdir=0,workdir=1,index=off,redirect_dir=off,metacopy=off`;
    await this.runOutside([
      'sh',
      '-c',
      'cd "$1" && exec mount -t overlay overlay -o "$2" "$3"',
      'layers',
      links,
      data,
      root,
    ]);
  }

  /** The tree as the namespace sees it, by a path that this process can open. */
  path(inside = ''): string {
    return join(`/proc/${this.#pid}/root`, this.root, inside);
  }

  /** Mounts /proc, /sys (read-only), a private /dev, /run, and the binds. */
  async furnish(binds: readonly Bind[] = []): Promise<void> {
    const words = binds.flatMap(({ source, target, readOnly }) => [source, target, readOnly ? 'ro' : '']);
    await this.runOutside(['bash', '-c', FURNISH, 'furnish', this.root, ...words]);
    this.#furniture = new Set(await this.#left());
  }

  async #left(): Promise<string[]> {
    const text = await this.runOutside(['bash', '-c', LEFT, 'left', this.root], { capture: true });
    return text.split('\n').filter((line) => line !== '');
  }

  /** What hooks have left behind since `furnish`: "mount /mnt", "process sleep 1000". It ends with the room. */
  async leftBehind(): Promise<string[]> {
    return (await this.#left()).filter((line) => !this.#furniture.has(line));
  }

  /** Runs a command in the namespace, seeing the machine's own file system and the tree at `root`. */
  runOutside(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    const wd = options.cwd === undefined ? '--wd' : `--wd=${options.cwd}`;
    const { cwd: _, ...rest } = options;
    // A mount namespace is entered at its own root: where this program runs in a chroot, that is another one.
    const places = ['--mount', '--pid', '--uts', '--ipc', '--root', wd];
    return runCommand('nsenter', [`--target=${this.#pid}`, ...places, '--', ...argv], {
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
      ...rest,
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
