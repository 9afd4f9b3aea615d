/** Runs a program to its end. */
import { spawn } from 'node:child_process';

export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
  input?: string;
  onLine?: (line: string) => void;
}

/** Standard output of the program. Throws a sentence with the last lines of its output when it ends with another code than 0. */
export function command(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { onLine, input, ...rest } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...rest, stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '';
    let all = '';
    const hear = (chunk: Buffer) => {
      all = (all + chunk).slice(-4000);
      for (const line of chunk.toString().split('\n')) if (line.trim()) onLine?.(line.trim());
    };
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk;
      hear(chunk);
    });
    child.stderr.on('data', hear);
    child.on('error', (error) => reject(new Error(`${program}: ${error.message}`, { cause: error })));
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(out);
      const last = all.trim().split('\n').slice(-6).join('\n');
      reject(new Error(`\`${program} ${args.join(' ')}\` ended with ${signal ?? code}:\n${last}`));
    });
    child.stdin.end(input);
  });
}
