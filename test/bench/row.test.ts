import { expect, it } from 'vitest';
import { rowLine } from './row.ts';

it('says how many times better ours is, whichever way the figure runs', () => {
  expect(rowLine({ name: 'poll_cpu_ms', ours: 0.05, peer: 0.4, better: 'lower' })).toBe(
    'poll_cpu_ms 0.05000 0.4000 8.000',
  );
  expect(rowLine({ name: 'rate_per_s', ours: 1400, peer: 70, better: 'higher' })).toBe('rate_per_s 1400 70.00 20.00');
});

it('refuses a name that its reader would split', () => {
  expect(() => rowLine({ name: 'poll cpu', ours: 1, peer: 1, better: 'lower' })).toThrow('has a blank');
});
