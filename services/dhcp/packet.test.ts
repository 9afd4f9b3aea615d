import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CAPTURES_FOLDER, captures, seeded } from './captured.fixture.ts';
import { classify } from './client-class.ts';
import { describePacket } from './describe.ts';
import { OPTION } from './option-table.ts';
import { type DhcpPacket, decodePacket, encodePacket } from './packet.ts';

const all = captures();
const packets = all.flatMap((capture) => capture.packets);

function decoded(bytes: Uint8Array): DhcpPacket {
  const result = decodePacket(bytes);
  if (!result.ok) throw new Error(result.reason);
  return result.packet;
}

function fault(bytes: Uint8Array): string {
  const result = decodePacket(bytes);
  return result.ok ? 'accepted' : result.reason;
}

function withOptions(...options: number[]): Uint8Array {
  const bytes = new Uint8Array(240 + options.length);
  bytes.set(packets[0]!.bytes.subarray(0, 240));
  bytes.set(options, 240);
  return bytes;
}

describe('captured packets', () => {
  it.each(all)('$name reads as its golden says', ({ name, packets }) => {
    const text = `${packets.map(({ src, sport, dst, dport, bytes }) => [`${src}:${sport} > ${dst}:${dport}`, ...describePacket(decoded(bytes))].join('\n  ')).join('\n')}\n`;
    const golden = new URL(`${name}.golden.txt`, CAPTURES_FOLDER);
    if (process.env.UPDATE_GOLDEN) writeFileSync(golden, text);
    expect(text).toBe(readFileSync(golden, 'utf8'));
  });

  it('agree with the light decode that was stored beside them', () => {
    expect(packets.length).toBeGreaterThan(50);
    for (const { bytes, light } of packets) {
      const packet = decoded(bytes);
      expect(describePacket(packet).find((line) => line.startsWith('53 '))).toBe(`53 message-type: ${light.type}`);
      expect(describePacket(packet)).toContain(`chaddr ${light.chaddr}`);
    }
  });

  it('come out of the encoder as they went in', () => {
    for (const { bytes } of packets) {
      const packet = decoded(bytes);
      const { bytes: again, dropped } = encodePacket(packet);
      expect(dropped).toEqual([]);
      expect(describePacket(decoded(again))).toEqual(describePacket(packet));
      const end = bytes.lastIndexOf(OPTION.end) + 1;
      expect(Buffer.from(again.subarray(0, end)).equals(Buffer.from(bytes.subarray(0, end)))).toBe(true);
    }
  });

  it('may be cut at every byte', () => {
    for (const { bytes } of packets) {
      const whole = describePacket(decoded(bytes)).length;
      for (let length = 0; length < bytes.length; length++) {
        const result = decodePacket(bytes.subarray(0, length));
        if (length < 240) expect(result.ok).toBe(false);
        // Cut between two options it is a packet without END; never does it say more than the whole.
        if (result.ok) expect(describePacket(result.packet).length).toBeLessThanOrEqual(whole);
        else expect(result.reason.length).toBeGreaterThan(10);
      }
    }
  });

  it('may be mutated 10,000 times', () => {
    const random = seeded(20_261_121);
    let accepted = 0;
    for (let round = 0; round < 10_000; round++) {
      const bytes = packets[Math.floor(random() * packets.length)]!.bytes.slice();
      const changes = 1 + Math.floor(random() * 8);
      for (let i = 0; i < changes; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      const result = decodePacket(random() < 0.2 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes);
      if (!result.ok) continue;
      accepted++;
      describePacket(result.packet);
      classify(result.packet);
      encodePacket(result.packet, 548);
    }
    expect(accepted).toBeGreaterThan(1000);
    expect(accepted).toBeLessThan(10_000);
  });
});

describe('hostile options', () => {
  it('refuses what is no DHCP, and says why', () => {
    expect(fault(new Uint8Array(10))).toBe('10 bytes; a DHCP packet has at least 240');
    expect(fault(new Uint8Array(10_000))).toContain('more than 9216');
    expect(fault(new Uint8Array(300))).toContain('op 0');
    const long = withOptions(255);
    long[2] = 17;
    expect(fault(long)).toBe('hardware address of 17 bytes; the field has 16');
    const bootp = withOptions(255);
    bootp[236] = 0;
    expect(fault(bootp)).toContain('magic cookie');
  });

  it('refuses values beyond the end and options without length', () => {
    expect(fault(withOptions(53, 1, 1, 60, 200, 65))).toBe(
      'option 60 at byte 3 of the options field claims 200 bytes, 1 are left',
    );
    expect(fault(withOptions(53, 1, 1, 60))).toContain('has no length');
  });

  it('skips PAD anywhere and does without END', () => {
    const packet = decoded(withOptions(0, 0, 53, 1, 1, 0, 0, 0, 12, 2, 104, 105, 0));
    expect([...packet.options.keys()]).toEqual([53, 12]);
  });

  it('takes the first of a repeated option of fixed length, and joins the others (RFC 3396)', () => {
    const packet = decoded(withOptions(53, 1, 1, 53, 1, 3, 12, 2, 97, 98, 12, 1, 99, 255));
    expect([...packet.options.get(53)!]).toEqual([1]);
    expect(Buffer.from(packet.options.get(12)!).toString()).toBe('abc');
  });

  it('reads every option of length zero, and of 255', () => {
    for (let code = 1; code < 255; code++) {
      // 52 says where options lie; its values have their own test.
      if (code === OPTION.overload) continue;
      for (const length of [0, 1, 2, 3, 255]) {
        const packet = decoded(withOptions(code, length, ...new Array<number>(length).fill(code), 255));
        expect(describePacket(packet).length).toBeGreaterThan(2);
        classify(packet);
      }
    }
  });

  it('reads options from file and sname (option 52), and not the names then', () => {
    const bytes = withOptions(53, 1, 1, 52, 1, 3, 255);
    bytes.set([12, 2, 104, 105, 255], 108);
    bytes.set([12, 1, 33, 255], 44);
    const packet = decoded(bytes);
    expect(Buffer.from(packet.options.get(12)!).toString()).toBe('hi!');
    expect([packet.file, packet.sname]).toEqual(['', '']);
    bytes.set([12, 250], 108);
    expect(fault(bytes)).toContain('of the file field claims 250 bytes');
    expect(fault(withOptions(52, 1, 9, 255))).toContain('option 52 (overload) is 9');
  });
});

describe('encoding', () => {
  const base = (): DhcpPacket => ({ ...decoded(withOptions(53, 1, 2, 255)), op: 2 });

  it('pads to 300 bytes', () => {
    expect(encodePacket(base()).bytes.length).toBe(300);
  });

  it('cuts values above 255 bytes and joins them again', () => {
    const packet = base();
    const url = Buffer.from(`http://192.0.2.1/${'x'.repeat(600)}`);
    packet.options.set(67, url);
    const again = decoded(encodePacket(packet).bytes);
    expect(Buffer.from(again.options.get(67)!).toString()).toBe(url.toString());
  });

  it('overloads file and sname when a small client leaves no room, and names what fits nowhere', () => {
    const packet = base();
    packet.options.set(67, Buffer.alloc(240, 'a'));
    packet.options.set(43, Buffer.alloc(110, 'b'));
    packet.options.set(15, Buffer.alloc(61, 'c'));
    packet.options.set(12, Buffer.alloc(200, 'd'));
    packet.options.set(82, Buffer.alloc(10, 'e'));
    const { bytes, dropped } = encodePacket(packet, 548);
    expect(bytes.length).toBeLessThanOrEqual(548);
    expect(dropped).toEqual([12]);
    const again = decoded(bytes);
    for (const code of [67, 43, 15, 82])
      expect(Buffer.from(again.options.get(code)!).equals(Buffer.from(packet.options.get(code)!))).toBe(true);
    expect([...again.options.get(OPTION.overload)!]).toEqual([3]);
  });

  it('does not overload a field that carries a name, and leaves out a name that is too long for its field', () => {
    const packet = { ...base(), file: 'undionly.kpxe', sname: 'x'.repeat(64) };
    packet.options.set(43, Buffer.alloc(255, 'b'));
    packet.options.set(15, Buffer.alloc(120, 'c'));
    const { bytes, dropped } = encodePacket(packet, 548);
    expect(dropped).toEqual([15]);
    expect(decoded(bytes).file).toBe('undionly.kpxe');
    expect(decoded(bytes).sname).toBe('');
  });
});
