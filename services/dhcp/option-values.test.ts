import { describe, expect, it } from 'vitest';
import { normaliseMac, parseAddress, parseCidr, requireCidr } from './address.ts';
import { readGuid, readUserClasses, writeGuid } from './client-class.ts';
import { readDomainSearch, writeDomainSearch } from './domain-search.ts';
import { readEncapsulated, writeEncapsulated } from './encapsulated.ts';
import { describeOption } from './option-values.ts';
import { readRelayAgent } from './relay-agent.ts';
import { formatRoute, readRoutes, route, writeRoutes } from './routes.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

describe('addresses', () => {
  it('reads dotted quads and nothing else', () => {
    expect(parseAddress('192.0.2.10')).toBe(0xc000020a);
    for (const wrong of [
      '',
      '1.2.3',
      '1.2.3.4.5',
      '256.0.0.1',
      '01.2.3.4',
      ' 1.2.3.4',
      '1.2.3.4\n',
      'a.b.c.d',
      '0x1.2.3.4',
    ]) {
      expect(parseAddress(wrong)).toBe(undefined);
    }
  });

  it('reads networks, cutting host bits', () => {
    expect(parseCidr('192.0.2.77/26')).toEqual({ network: 0xc0000240, mask: 0xffffffc0, prefix: 26 });
    expect(parseCidr('0.0.0.0/0')).toEqual({ network: 0, mask: 0, prefix: 0 });
    expect(parseCidr('192.0.2.0/33')).toBe(undefined);
    expect(() => requireCidr('lan', 'subnet x')).toThrow('subnet x: "lan" is no IPv4 network');
  });

  it('knows a MAC however it is written', () => {
    expect(normaliseMac(' 52-54-00-AA-00-01 ')).toBe('52:54:00:aa:00:01');
    expect(normaliseMac('525400aa0001')).toBe(undefined);
  });
});

describe('classless routes (RFC 3442)', () => {
  it('writes the examples of the RFC', () => {
    const table = [
      ['0.0.0.0/0', '00'],
      ['10.0.0.0/8', '08 0a'],
      ['10.17.0.0/16', '10 0a11'],
      ['10.27.129.0/24', '18 0a1b81'],
      ['10.229.0.128/25', '19 0ae50080'],
      ['10.198.122.47/32', '20 0ac67a2f'],
    ] as const;
    for (const [destination, wire] of table) {
      const value = writeRoutes([route(destination, '192.0.2.1')]);
      expect(Buffer.from(value).toString('hex')).toBe(`${wire.replaceAll(' ', '')}c0000201`);
      expect(readRoutes(value)!.map(formatRoute)).toEqual([`${destination} via 192.0.2.1`]);
    }
  });

  it('refuses prefixes above 32 and cut entries', () => {
    expect(readRoutes(bytes('21 0a000001 c0000201'))).toBe(undefined);
    expect(readRoutes(bytes('18 0a1b81 c00002'))).toBe(undefined);
  });
});

describe('domain search (RFC 3397)', () => {
  it('compresses as the RFC shows and reads it back', () => {
    const value = writeDomainSearch(['eng.apple.com', 'marketing.apple.com']);
    expect(Buffer.from(value).toString('hex')).toBe('03656e67056170706c6503636f6d00096d61726b6574696e67c004');
    expect(readDomainSearch(value)).toEqual(['eng.apple.com', 'marketing.apple.com']);
  });

  it('ends on pointer loops, forward pointers and cut labels', () => {
    for (const wrong of ['c000', '0161c000', '016100c005', 'c0', '0561', '40'])
      expect(readDomainSearch(bytes(wrong))).toBe(undefined);
    expect(() => writeDomainSearch(['a..b'])).toThrow('search domain "a..b": label "" has 0 bytes');
  });
});

describe('client fields', () => {
  it('reads the mixed-endian GUID of option 97', () => {
    const value = bytes('0044454c4c000000408000000000000004');
    expect(readGuid(value)).toBe('4c4c4544-0000-4000-8000-000000000004');
    expect(writeGuid('4c4c4544-0000-4000-8000-000000000004')).toEqual(value);
    expect(readGuid(value.subarray(0, 16))).toBe(null);
    expect(writeGuid('nonsense')).toBe(undefined);
  });

  it('reads user classes with and without length bytes', () => {
    expect(readUserClasses(bytes('69505845'))).toEqual(['iPXE']);
    expect(readUserClasses(bytes('04 69505845 02 6162'))).toEqual(['iPXE', 'ab']);
    expect(readUserClasses(bytes(''))).toEqual([]);
  });
});

describe('relay agent information (RFC 3046)', () => {
  it('reads its sub-options', () => {
    const relay = readRelayAgent(bytes('01 03 627272  02 02 aabb  05 04 cb007100  0b 04 c6336401  13 00'))!;
    expect(Buffer.from(relay.circuitId!).toString()).toBe('brr');
    expect(relay.linkSelection).toBe(0xcb007100);
    expect(relay.serverOverride).toBe(0xc6336401);
    expect(relay.answersSourcePort).toBe(true);
  });

  it('refuses what does not add up', () => {
    for (const wrong of ['01', '01 05 61', '05 03 cb0071', '0b 00'])
      expect(readRelayAgent(bytes(wrong))).toBe(undefined);
  });
});

describe('encapsulated options', () => {
  it('writes and reads with PAD, with and without END', () => {
    expect(Buffer.from(writeEncapsulated([[176, Uint8Array.of(1)]])).toString('hex')).toBe('b00101ff');
    expect([...readEncapsulated(bytes('00 b0 01 01'))!.keys()]).toEqual([176]);
    expect(readEncapsulated(bytes('b0 05 01'))).toBe(undefined);
  });
});

describe('values for people', () => {
  it('fall back to hex where the bytes are not of their kind', () => {
    expect(describeOption(54, bytes('c00002'))).toBe('0xc00002');
    expect(describeOption(12, bytes('00ff41'))).toBe('0x00ff41');
    expect(describeOption(67, bytes('6100'))).toBe('"a"+NUL');
    expect(describeOption(200, bytes('0102'))).toBe('0x0102');
    expect(describeOption(81, bytes('01000072656c61'))).toBe('flags 0x01 "rela"');
  });
});
