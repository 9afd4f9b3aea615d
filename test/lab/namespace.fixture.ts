/** Network namespaces of a test, with a random name and gone at its end. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';

export interface Namespace {
  readonly name: string;
  /** For setns and nsenter. */
  readonly file: string;
  /** `ip` inside it, its arguments in one text. */
  ip(command: string): void;
}

export const ip = (command: string): void => {
  execFileSync('ip', command.split(' '), { stdio: 'pipe' });
};

export function namespace(): Namespace {
  const name = `uct-${randomBytes(4).toString('hex')}`;
  ip(`netns add ${name}`);
  onTestFinished(() => ip(`netns del ${name}`));
  const inside = (command: string) => ip(`-n ${name} ${command}`);
  inside('link set lo up');
  return { name, file: `/run/netns/${name}`, ip: inside };
}
