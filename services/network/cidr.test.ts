import { describe, expect, it } from 'vitest';
import { defaultPools, formatBlock, formatIp, holds, hostsOf, overlap, parseBlock, parseIp } from './cidr.ts';

const block = (text: string) => {
  const parsed = parseBlock(text);
  if (!parsed) throw new Error(text);
  return parsed;
};

describe('addresses', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['::', '::'],
    ['fe80::1', 'fe80::1'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['1:0:3:4:5:6:7:8', '1:0:3:4:5:6:7:8'],
  ])('reads and writes %s', (text, canonical) => {
    const address = parseIp(text);
    expect(address && formatIp(address)).toBe(canonical);
  });

  it.each(['', '192.0.2', '192.0.2.256', '01.2.3.4', 'fe80::1%eth0', '::1::', '192.0.2.1/24', 'node'])(
    'refuses %s',
    (text) => expect(parseIp(text)).toBeNull(),
  );
});

describe('blocks', () => {
  it('cuts host bits and tells the hosts', () => {
    expect(formatBlock(block('192.0.2.77/26'))).toBe('192.0.2.64/26');
    expect(hostsOf(block('192.0.2.0/24'))).toEqual({ first: 0xc0000201n, last: 0xc00002fen });
    expect(hostsOf(block('192.0.2.0/31'))).toEqual({ first: 0xc0000200n, last: 0xc0000201n });
  });

  it.each(['192.0.2.0', '192.0.2.0/33', 'x/24', '2001:db8::/129', '192.0.2.0/-1'])('refuses %s', (text) =>
    expect(parseBlock(text)).toBeNull(),
  );

  it('sees overlaps and membership', () => {
    expect(overlap(block('192.0.2.0/24'), block('192.0.2.64/26'))).toBe(true);
    expect(overlap(block('192.0.2.0/26'), block('192.0.2.64/26'))).toBe(false);
    expect(holds(block('192.0.2.0/26'), { version: 4, value: 0xc0000240n })).toBe(false);
    expect(holds(block('2001:db8::/64'), { version: 4, value: 1n })).toBe(false);
  });

  it('leaves the gateway out of the default pools', () => {
    expect(defaultPools(block('192.0.2.0/24'), 0xc0000201n)).toEqual([{ start: '192.0.2.2', end: '192.0.2.254' }]);
    expect(defaultPools(block('192.0.2.0/29'), 0xc0000203n)).toEqual([
      { start: '192.0.2.1', end: '192.0.2.2' },
      { start: '192.0.2.4', end: '192.0.2.6' },
    ]);
    expect(defaultPools(block('2001:db8::/64'), null)).toEqual([
      { start: '2001:db8::1', end: '2001:db8::ffff:ffff:ffff:ffff' },
    ]);
  });
});
