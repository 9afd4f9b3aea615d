import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { CommandFailed, cpuSeconds, runCommand } from './command.ts';

/** Of a process: `S`, `Z` …. One that was killed stays a zombie where nobody reaps it: process 1 of many containers does not. */
function stateOf(pid: string): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  } catch {
    return 'gone';
  }
}

describe('commands', () => {
  it('give their output as data or as lines', async () => {
    expect(await runCommand('printf', ['a\\0b'], { capture: true })).toBe('a\0b');
    const lines: string[] = [];
    await runCommand('sh', ['-c', 'echo one; echo two >&2; printf three'], { onLine: (line) => lines.push(line) });
    expect(lines.sort()).toEqual(['one', 'three', 'two']);
    expect(await runCommand('cat', [], { capture: true, input: 'fed' })).toBe('fed');
  });

  it('fail with their last lines, with the signal that ended them, and when they do not exist', async () => {
    const failed = await runCommand('sh', ['-c', 'seq 100; exit 3']).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CommandFailed);
    expect((failed as CommandFailed).tail).toEqual(Array.from({ length: 40 }, (_, i) => String(i + 61)));
    expect((failed as CommandFailed).message).toContain('sh ended with exit code 3: 93');
    await expect(runCommand('sh', ['-c', 'kill -9 $$'])).rejects.toThrow('sh was killed by SIGKILL');
    await expect(runCommand('no-such-program', [])).rejects.toThrow('no-such-program is not installed on this machine');
  });

  it('do not wait for a daemon that they left behind', async () => {
    const pid = (await runCommand('sh', ['-c', 'sleep 1000 & echo $!'], { capture: true })).trim();
    expect(pid).toMatch(/^\d+$/);
    process.kill(Number(pid), 'SIGKILL');
  });

  it('end with everything they started when the build is interrupted', async () => {
    const abort = new AbortController();
    const pids: string[] = [];
    const running = runCommand('sh', ['-c', 'sleep 1000 & echo $!; wait'], {
      signal: abort.signal,
      onLine: (line) => {
        pids.push(line);
        abort.abort();
      },
    });
    await expect(running).rejects.toThrow('the build was interrupted');
    await vi.waitFor(() => expect(['gone', 'Z']).toContain(stateOf(pids[0]!)));
    await expect(runCommand('true', [], { signal: abort.signal })).rejects.toThrow('was not started');
  });

  it('count towards the CPU time of a stage', async () => {
    const before = cpuSeconds();
    await runCommand('sh', ['-c', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done']);
    expect(cpuSeconds() - before).toBeGreaterThan(0.02);
  });
});
