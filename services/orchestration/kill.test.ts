/** A process that dies at any transition of a stack leaves no trace of its death in what the stack becomes. */
import { expect, it } from 'vitest';
import { dieEverywhere } from '../../test/setup/stack-lives.ts';

it('ends where an undisturbed run ends, killed at any transition of create, update, roll-back and delete', async () => {
  // In turn before it is written and after; test/long/stack-kills.test.ts does both at each.
  const played = await dieEverywhere((transition) => [transition % 2 === 0 ? 'before' : 'after']);
  for (const [act, deaths] of played) expect(deaths, act).toBeGreaterThan(20);
}, 300_000);
