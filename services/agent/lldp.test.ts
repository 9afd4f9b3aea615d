import { describe, expect, it } from 'vitest';
import { readLldp } from './lldp.ts';

/** Chassis by MAC, port by name, TTL, system name, end: as a switch sends it. */
const tlv = (type: number, value: Buffer) => {
  const head = Buffer.alloc(2);
  head.writeUInt16BE((type << 9) | value.length);
  return Buffer.concat([head, value]);
};
const frame = Buffer.concat([
  Buffer.from('0180c200000e525400000099' + '88cc', 'hex'),
  tlv(1, Buffer.from('04525400000099', 'hex')),
  tlv(2, Buffer.from('\x05swp7')),
  tlv(3, Buffer.from([0, 120])),
  tlv(5, Buffer.from('leaf-1')),
  tlv(0, Buffer.alloc(0)),
]);
const expected = [
  [1, '04525400000099'],
  [2, '0573777037'],
  [3, '0078'],
  [5, Buffer.from('leaf-1').toString('hex')],
];

describe('LLDP', () => {
  it('reads what a switch says of itself', () => expect(readLldp(frame)).toEqual(expected));

  it('reads tagged frames, and refuses others', () => {
    const tagged = Buffer.concat([frame.subarray(0, 12), Buffer.from('81000001', 'hex'), frame.subarray(12)]);
    expect(readLldp(tagged)).toEqual(expected);
    expect(readLldp(Buffer.from('ffffffffffff5254000000990800', 'hex'))).toBeNull();
    expect(readLldp(Buffer.alloc(60))).toBeNull();
  });

  it('gives of a frame that is cut off anywhere what is whole', () => {
    for (let length = 0; length < frame.length; length += 1) {
      const some = readLldp(frame.subarray(0, length)) ?? [];
      expect(expected.slice(0, some.length)).toEqual(some);
    }
  });
});
