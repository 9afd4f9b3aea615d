import { describe, expect, it } from 'vitest';
import { orderEnvironment, orderHooks } from './order.ts';

describe('the order of hooks', () => {
  it('is that of LC_ALL=C sort -n: number, then the bytes of the name; no number counts as 0', () => {
    const names = ['99-last', '10-b', '10-a', '100-beyond', '0-zero', 'plain', 'Upper', '05-five', '010-ten', '10-B'];
    // Checked against: printf '%s\n' ... | LC_ALL=C sort -n
    expect(orderHooks(names)).toEqual([
      '0-zero',
      'Upper',
      'plain',
      '05-five',
      '010-ten',
      '10-B',
      '10-a',
      '10-b',
      '99-last',
      '100-beyond',
    ]);
  });

  it('skips names that run-parts skips', () => {
    expect(
      orderHooks(['10-ok', '10-note.txt', '20-backup~', '30 space', '.hidden', '40_fine', '50-new.dpkg-dist']),
    ).toEqual(['10-ok', '40_fine']);
  });

  it('lets environment files have dots', () => {
    expect(orderEnvironment(['20-later.bash', '10-first.bash', '10-first', 'x~'])).toEqual([
      '10-first',
      '10-first.bash',
      '20-later.bash',
    ]);
  });
});
