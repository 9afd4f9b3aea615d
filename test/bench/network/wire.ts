/** Two network namespaces with a wire between them: a server's side at 10.77.0.1/16 and the clients' at 10.77.0.2/16. */
import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';

export const serverAddress = '10.77.0.1';

export interface Wire {
  /** The name of the interface on both sides. */
  readonly device: string;
  /** Starts a program on the server's side, on the processor with this number. */
  serve(processor: number, words: readonly string[], stdio?: StdioOptions): ChildProcess;
  /** Starts a program on the clients' side; its stdout is to be read. */
  attack(processor: number, words: readonly string[]): ChildProcess;
  /** Runs a client's program to its end, on that processor; its words on stdout and stderr, whatever its exit code. */
  ask(processor: number, words: readonly string[]): Promise<string>;
  close(): void;
}

const ip = (...words: string[]) => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });

export function createWire(): Wire {
  const tag = randomBytes(3).toString('hex');
  const server = `ucb-s-${tag}`;
  const client = `ucb-c-${tag}`;
  const device = 'wire';
  ip('netns', 'add', server);
  ip('netns', 'add', client);
  ip('-n', server, 'link', 'add', device, 'type', 'veth', 'peer', 'name', device, 'netns', client);
  for (const [side, address] of [
    [server, serverAddress],
    [client, '10.77.0.2'],
  ] as const) {
    ip('-n', side, 'addr', 'add', `${address}/16`, 'dev', device);
    ip('-n', side, 'link', 'set', device, 'up');
    ip('-n', side, 'link', 'set', 'lo', 'up');
  }
  const inside = (side: string, processor: number, words: readonly string[], stdio: StdioOptions) =>
    spawn('ip', ['netns', 'exec', side, 'taskset', '-c', String(processor), ...words], { stdio });
  return {
    device,
    serve: (processor, words, stdio = ['ignore', 'ignore', 'inherit']) => inside(server, processor, words, stdio),
    attack: (processor, words) => inside(client, processor, words, ['ignore', 'pipe', 'inherit']),
    async ask(processor, words) {
      const child = inside(client, processor, words, ['ignore', 'pipe', 'pipe']);
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream?.on('data', (part: Buffer) => {
          text += part;
        });
      await new Promise<void>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', () => resolve());
      });
      return text;
    },
    close() {
      for (const side of [server, client]) ip('netns', 'del', side);
    },
  };
}

/** Ends a program that was started here, and waits until it is gone. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const last = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await gone;
  clearTimeout(last);
}
