/** Our side, in a process of its own (server.ts). */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Figures {
  readonly cpuSeconds: number;
  readonly rssMib: number;
  readonly heapMib: number;
  /** With the PostgreSQL behind it. */
  readonly allMib: number;
  readonly loopP99Ms: number;
  /** Since the last figures: from what a resource needs being complete to its own work being done. */
  readonly startsMs: number[];
}

export interface Ours {
  readonly keystoneUrl: string;
  figures(): Promise<Figures>;
  watched(work: () => Promise<void>): Promise<Figures>;
  end(): Promise<void>;
}

export async function startOurs(): Promise<Ours> {
  const file = new URL('./server.ts', import.meta.url).pathname;
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning'];
  const child: ChildProcess = spawn(process.execPath, [...flags, file], { stdio: ['pipe', 'pipe', 2] });
  if (!child.stdin || !child.stdout) throw new Error('server.ts has no pipes');
  const { stdin } = child;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('our side ended before its time');
    return JSON.parse(value) as T;
  };
  const { port } = await next<{ port: number }>();
  const figures = () => {
    stdin.write('figures\n');
    return next<Figures>();
  };
  return {
    keystoneUrl: `http://127.0.0.1:${port}/identity/v3`,
    figures,
    async watched(work) {
      await figures();
      stdin.write('watch\n');
      await work();
      return figures();
    },
    async end() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      stdin.write('end\n');
      await gone;
    },
  };
}
