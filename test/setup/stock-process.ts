/** The stock `openstack` client as processes, forked from one that has its modules in memory (stock-client.py). One such parent a test process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface StockEnd {
  readonly stdout: string;
  readonly stderr: string;
}

interface Parent {
  readonly child: ChildProcess;
  readonly dir: string;
  readonly waiting: Map<number, (code: number) => void>;
}

let parent: Parent | null = null;
let next = 0;

/** The distribution's Python: the client's modules are in its own place, whatever else is first on the PATH. */
const python = '/usr/bin/python3';

function opened(): Parent {
  if (parent) return parent;
  const dir = mkdtempSync(join(tmpdir(), 'uc-stock-'));
  const child = spawn(python, [join(import.meta.dirname, 'stock-client.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: Parent['waiting'] = new Map();
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const { id, code } = JSON.parse(line) as { id: number; code: number };
    waiting.get(id)?.(code);
    waiting.delete(id);
  });
  child.on('exit', () => {
    for (const end of waiting.values()) end(127);
    waiting.clear();
    parent = null;
  });
  // Neither keeps the test process alive nor outlives it.
  child.unref();
  for (const stream of [child.stdin, child.stdout]) (stream as unknown as { unref(): void }).unref();
  process.once('exit', () => {
    child.kill();
    rmSync(dir, { recursive: true, force: true });
  });
  parent = { child, dir, waiting };
  return parent;
}

/** Rejects with `stdout` and `stderr` on the error when it ends with another code than 0, as execFile does. */
export async function runStock(
  argv: readonly string[],
  options: { env: Record<string, string>; cwd: string },
): Promise<StockEnd> {
  const { child, dir, waiting } = opened();
  next += 1;
  const id = next;
  const [out, err] = [join(dir, `${id}.out`), join(dir, `${id}.err`)];
  // A command in hand keeps the test process alive, as a child of its own would.
  const held = setInterval(() => {}, 60_000);
  try {
    const code = await new Promise<number>((resolve) => {
      waiting.set(id, resolve);
      child.stdin?.write(`${JSON.stringify({ id, argv, out, err, ...options })}\n`);
    });
    const end = { stdout: readFileSync(out, 'utf8'), stderr: readFileSync(err, 'utf8') };
    if (code !== 0) {
      const told = `openstack ${argv.join(' ')} ended with ${code}: ${end.stderr || end.stdout}`;
      throw Object.assign(new Error(told), end, { code });
    }
    return end;
  } finally {
    clearInterval(held);
  }
}
