/**
 * A room of its own for processes that must not be seen from outside nor outlive us: namespaces for mounts, processes and
 * network, in which one program runs. When it ends, or when this process ends in whatever way, the kernel kills everything in
 * the room and takes its mounts and its loopback down. Needs root.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** `mount` first makes every mount private, so that none is seen outside. */
const script = 'mount -t proc proc /proc && ip link set lo up && exec "$@"';

export interface RoomOptions {
  /** The network of outside: for what has to fetch packages. */
  readonly online?: boolean;
  readonly mostMs: number;
  readonly onLine?: (line: string) => void;
}

/** @throws Error when the program fails or takes longer than `mostMs` */
export async function inRoom(words: readonly string[], { online = false, mostMs, onLine }: RoomOptions): Promise<void> {
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child'],
      ...(online ? words : ['--net', 'sh', '-c', script, 'sh', ...words]),
    ],
    { stdio: ['ignore', 'pipe', 2] },
  );
  const gone = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  let isLate = false;
  const late = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, mostMs);
  if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => onLine?.(line));
  const code = await gone;
  clearTimeout(late);
  if (isLate) throw new Error(`${words[0]} took longer than ${mostMs / 1_000} s`);
  if (code !== 0) throw new Error(`${words.join(' ')} ended with code ${code}`);
}

/** A program of this repository, with this Node. */
export const program = (file: string, ...words: string[]): string[] => [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  new URL(file, import.meta.url).pathname,
  ...words,
];
