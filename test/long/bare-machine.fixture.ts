/**
 * A machine on which nothing is installed and from which no way leads out: Debian as mmdebstrap's `minbase` has it, in namespaces of its
 * own (network, mounts, processes). All of it ends with this process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { type Ran, run } from '../lab/undercloud.fixture.ts';

export interface BareMachine {
  /** A command in its tree. */
  run(command: string, args: readonly string[]): Promise<Ran>;
  /** A command of this machine in its network. */
  over(command: string, args: readonly string[], env: Record<string, string>): Promise<Ran>;
  /** A file of its first process in /proc. */
  proc(name: string): string;
  end(): Promise<void>;
}

async function bareTree(cache: string): Promise<string> {
  const tree = join(cache, 'minbase');
  if (existsSync(tree)) return tree;
  mkdirSync(cache, { recursive: true });
  const release = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '';
  const words = ['--variant=minbase', '--aptopt=Acquire::Languages "none"', release, `${tree}.new`];
  const { code, stderr } = await run('mmdebstrap', words);
  if (code !== 0) throw new Error(`no minimal tree could be made: ${stderr}`);
  renameSync(`${tree}.new`, tree);
  return tree;
}

/** `shared`: a directory that it sees under the same path, and that holds what it writes. */
export async function bareMachine(cache: string, shared: string): Promise<BareMachine> {
  const lower = await bareTree(cache);
  const [upper, work, root] = ['upper', 'work', 'root'].map((name) => join(shared, 'bare', name)) as [
    string,
    string,
    string,
  ];
  for (const directory of [upper, work, root]) mkdirSync(directory, { recursive: true });
  const script = `set -e
mount -t overlay overlay -o lowerdir=${lower},upperdir=${upper},workdir=${work} ${root}
mkdir -p ${root}${shared}
mount --bind ${shared} ${root}${shared}
mount -t proc proc ${root}/proc
mount --rbind /sys ${root}/sys
mount --rbind /dev ${root}/dev
for each in run tmp; do mount -t tmpfs -o mode=1777 none ${root}/$each; done
ip link set lo up
echo there
exec chroot ${root} /bin/bash -c 'read -r _ || true'`;
  // The first process takes in orphans, and ends (and all others with it) when its standard input does.
  const words = ['--net', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script];
  const child = spawn('unshare', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const [said] = await Promise.race([once(child.stdout, 'data'), closed]);
  if (!(said instanceof Buffer)) throw new Error(`the bare machine did not come up: unshare ended with ${said}`);
  const first = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim();
  const enter = ['--target', first, '--net'];
  return {
    run: (command, args) => run('nsenter', [...enter, '--mount', '--pid', '--root', '--wd', '--', command, ...args]),
    over: (command, args, env) => run('nsenter', [...enter, '--', command, ...args], { env }),
    proc: (name) => join('/proc', first, name),
    async end() {
      child.stdin.end();
      await closed;
    },
  };
}
