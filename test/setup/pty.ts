/** A command of ours in a real terminal: keys go in, what the screen gets comes out, and at the end whether the terminal is as it was. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface PtyEnd {
  readonly code: number;
  /** False: the command left the terminal raw. */
  readonly restored: boolean;
  readonly screen: string;
}

export interface Pty {
  type(keys: string): void;
  /** Resolves when the screen has that text, counted from the last `says` that resolved. */
  says(text: string | RegExp): Promise<string>;
  /** To the command alone. */
  kill(signal: 'SIGTERM' | 'SIGHUP'): void;
  /** Makes the terminal 132 by 50; it begins as 100 by 40. */
  widen(): void;
  readonly screen: string;
  readonly ended: Promise<PtyEnd>;
}

export function openPty(args: readonly string[], options: { env: Readonly<Record<string, string>>; cwd: string }): Pty {
  const child = spawn('/usr/bin/python3', [join(import.meta.dirname, 'terminal.py'), ...args], {
    cwd: options.cwd,
    env: { ...options.env, TERM: 'xterm' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let screen = '';
  let errors = '';
  let seen = 0;
  let heard: (() => void)[] = [];
  const tell = () => {
    for (const one of [...heard]) one();
  };
  child.stdout.on('data', (part: Buffer) => {
    screen += part.toString('utf8');
    tell();
  });
  child.stderr.on('data', (part: Buffer) => {
    errors += part.toString('utf8');
  });
  const ended = new Promise<PtyEnd>((resolve, reject) => {
    child.once('close', () => {
      const [, code, state] = /code (\d+) (cooked|raw)/.exec(errors) ?? [];
      if (code === undefined) reject(new Error(`the terminal ended without a word: ${errors}`));
      else resolve({ code: Number(code), restored: state === 'cooked', screen });
      tell();
    });
  });
  ended.catch(() => {});
  return {
    type: (keys) => void child.stdin.write(keys),
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const rest = screen.slice(seen);
          const match = typeof text === 'string' ? rest.indexOf(text) : rest.search(text);
          if (match >= 0) {
            const length = typeof text === 'string' ? text.length : (text.exec(rest)?.[0].length ?? 0);
            seen += match + length;
            heard = heard.filter((one) => one !== look);
            resolve(rest.slice(match, match + length));
          } else if (child.exitCode !== null) reject(new Error(`the command ended without saying ${text}: ${screen}`));
        };
        heard.push(look);
        look();
      }),
    kill: (signal) => void child.kill(signal),
    widen: () => void child.kill('SIGUSR1'),
    get screen() {
      return screen;
    },
    ended,
  };
}
