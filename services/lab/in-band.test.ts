import { describe, expect, it } from 'vitest';
import { answerInBand, encodeMessage, messageReader } from './in-band.ts';

/** As QEMU builds one: sequence, netfn and LUN, command, data, checksum. */
const deviceId = encodeMessage([0x07, 0x06 << 2, 0x01]);

describe('the machine’s own way to its BMC', () => {
  it('reads what it writes, special bytes and all, however the stream is cut', () => {
    const bytes = [0x05, 0x18, 0x09, 0xa0, 0xa1, 0xaa, 0x00, 0xff];
    const wire = Buffer.concat([Buffer.of(0xff, 0x01, 0xa1), encodeMessage(bytes)]);
    for (let cut = 0; cut <= wire.length; cut++) {
      const read = messageReader();
      const found = [...read(wire.subarray(0, cut)), ...read(wire.subarray(cut))];
      expect(found.map((message) => [...message])).toEqual([bytes]);
    }
  });

  it('answers under the same sequence, with the code alone when it refuses', () => {
    const [message] = messageReader()(deviceId);
    const well = answerInBand(message!, (netfn, cmd) => {
      expect([netfn, cmd]).toEqual([6, 1]);
      return { completionCode: 0, data: Uint8Array.of(0x20, 0x81) };
    });
    expect([...messageReader()(well)[0]!]).toEqual([0x07, 0x1c, 0x01, 0x00, 0x20, 0x81]);
    const badly = answerInBand(message!, () => ({ completionCode: 0xc1, data: Uint8Array.of(1) }));
    expect([...messageReader()(badly)[0]!]).toEqual([0x07, 0x1c, 0x01, 0xc1]);
  });

  it('drops what is no message', () => {
    const read = messageReader();
    const wrong = Buffer.from(deviceId);
    wrong[1]! ^= 1;
    expect(read(wrong)).toEqual([]);
    expect(read(Buffer.of(0xa0, 0xa0, 1, 0xa0, 0xaa, 0xa0))).toEqual([]);
    expect(read(Buffer.alloc(100_000, 0x41))).toEqual([]);
    expect(read(Buffer.of(0xa0))).toEqual([]);
    expect(read(deviceId)).toHaveLength(1);
  });
});
