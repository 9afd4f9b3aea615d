import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { end, identify, isAlive, processUse, readRecord, run, strays, writeRecord } from './processes.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'uc-lab-processes-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('a record is this process and no other that gets its number later', async () => {
  const child = spawn('cat', { stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.write('ready');
  await once(child.stdout, 'data');
  const record = identify(child.pid!)!;
  expect(record.comm).toBe('cat');
  writeRecord(join(directory, 'p.json'), record);
  expect(readRecord(join(directory, 'p.json'))).toEqual(record);
  const impostor = { ...record, started: '1' };
  expect(isAlive(impostor)).toBe(false);
  await end(impostor, 0);
  expect(isAlive(record)).toBe(true);
  const exited = once(child, 'exit');
  await end(record, 5_000);
  await exited;
  expect(isAlive(record)).toBe(false);
});

test('a process that ignores SIGTERM is killed', async () => {
  const child = spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 1; done'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  const exited = once(child, 'exit');
  await end(identify(child.pid!), 50);
  expect((await exited)[1]).toBe('SIGKILL');
});

test('a stray is known by a path below the directory among its arguments', async () => {
  const file = join(directory, 'log');
  writeFileSync(file, 'ready\n');
  const child = spawn('tail', ['-f', file], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    // A process that was only just started still bears its parent's name.
    await once(child.stdout, 'data');
    expect(strays(directory, ['tail']).map((record) => record.pid)).toEqual([child.pid]);
    expect(strays(directory, ['sleep'])).toEqual([]);
    expect(strays(`${directory}-other`, ['tail'])).toEqual([]);
  } finally {
    child.kill('SIGKILL');
  }
});

test.each(['', 'null', '[]', '{"pid": 1, "comm": "init", "started": "1"}', '{"pid": "7"}'])(
  'a damaged record is none: %s',
  (text) => {
    writeFileSync(join(directory, 'p.json'), text);
    expect(readRecord(join(directory, 'p.json'))).toBeUndefined();
  },
);

test('this process has used time and memory', () => {
  const use = processUse(process.pid);
  expect(use.cpuSeconds).toBeGreaterThan(0);
  expect(use.rssMb).toBeGreaterThan(10);
});

test('a failed command is a sentence with its own words', () => {
  expect(() => run('Trying', ['sh', '-c', 'echo no such thing >&2; exit 2'])).toThrow(
    /^Trying: .* failed: no such thing\./,
  );
  expect(() => run('Trying', ['no-such-program'])).toThrow(/no-such-program.*ENOENT/);
});
