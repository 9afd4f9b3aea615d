/**
 * A million captured packets of real firmware, each changed at random, from several senders; and among them a hundred good clients,
 * which must be answered all the same.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Wire } from '../network/wire.ts';

export interface Mutated {
  readonly sent: number;
  /** Of a hundred good DISCOVERs. */
  readonly answered: number;
  /** How much larger the server's memory was at the end, after it had seen the first hundredth. */
  readonly grewMb: number;
}

const residentMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1000;

/** `pid` is that of taskset and then, by exec, the server's own. */
export async function mutated(wire: Wire, pid: number, count = 1_000_000): Promise<Mutated> {
  const sender = join(import.meta.dirname, 'mutants-sender.fixture.ts');
  const child = wire.attack(1, [process.execPath, sender, wire.device, String(count)]);
  let before = residentMb(pid);
  let answered = 0;
  let sent = 0;
  for await (const line of createInterface({ input: child.stdout ?? process.stdin })) {
    const [word, number] = line.split(' ');
    if (word === 'warm') before = residentMb(pid);
    if (word === 'answered') answered = Number(number);
    if (word === 'sent') sent = Number(number);
  }
  return { sent, answered, grewMb: Math.round(residentMb(pid) - before) };
}
