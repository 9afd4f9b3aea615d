/** Runs the ramdisk's programs. Nothing here is polled: each is one act of a step. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { AgentFailure } from './failure.ts';

const SEARCHED = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The path of a program, or undefined where this ramdisk has none of that name. */
export async function findTool(name: string): Promise<string | undefined> {
  for (const folder of SEARCHED) {
    const candidate = path.join(folder, name);
    const found = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return candidate;
  }
  return undefined;
}

/** Standard output. Throws AgentFailure with the program's own words. Bounded by `timeoutMs` (default a minute). */
export async function runTool(name: string, args: string[], timeoutMs = 60_000): Promise<string> {
  const file = await findTool(name);
  if (!file)
    throw new AgentFailure(
      'CommandExecutionError',
      `This ramdisk has no ${name}, which is needed for: ${name} ${args.join(' ')}.`,
    );
  return new Promise((resolve, reject) => {
    execFile(file, args, { timeout: timeoutMs, maxBuffer: 16 * 1_048_576 }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const words = stderr.trim() || error.message;
      reject(new AgentFailure('CommandExecutionError', `${name} ${args.join(' ')} failed: ${words}`, { cause: error }));
    });
  });
}
