/** Every moment at which a process can die between two transitions of a stack; the whole run takes each transition once. */
import { expect, it } from 'vitest';
import { dieEverywhere } from '../setup/stack-lives.ts';

it('ends where an undisturbed run ends, killed before and after each transition', async () => {
  const played = await dieEverywhere(() => ['before', 'after']);
  for (const [act, deaths] of played) expect(deaths, act).toBeGreaterThan(40);
});
