import { type StdioOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fault } from '../core/errors/index.ts';
import { labNetns } from './layout.ts';
import { toolEnvironment } from './tools.ts';

/** The command line that runs `argv` inside the lab's network namespace (and nowhere else: files and processes are the host's). */
export function labCommand(stateDir: string, argv: readonly string[]): [string, ...string[]] {
  return ['nsenter', `--net=${labNetns(stateDir).file}`, '--', ...argv];
}

/**
 * Runs a command inside the lab's namespace with the caller's terminal. Resolves to its exit code, 128 + signal when one ended it, 127 when
 * there is no such command. Throws when there is no lab.
 */
export async function labExec(
  stateDir: string,
  argv: readonly string[],
  stdio: StdioOptions = 'inherit',
): Promise<number> {
  const { name, file } = labNetns(stateDir);
  if (argv.length === 0) throw fault('lab-command-empty');
  if (!existsSync(file)) throw fault('lab-no-network', { directory: stateDir, netns: name });
  const [program, ...rest] = labCommand(stateDir, argv);
  const child = spawn(program, rest, { stdio, env: toolEnvironment });
  return new Promise((resolve, reject) => {
    child.once('error', (thrown) =>
      reject(fault('lab-tools-missing', { missing: program, packages: 'util-linux' }, thrown)),
    );
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}
