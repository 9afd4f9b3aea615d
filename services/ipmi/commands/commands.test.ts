// The command files against answers made by hand from the specification's tables, and against scripted BMCs that misbehave.

import { describe, expect, it } from 'vitest';
import { IpmiError } from '../errors.ts';
import { quirksOf } from '../quirks.ts';
import type { Ask } from './ask.ts';
import { encodeBootFlags, parseBootFlags, setBootOptions } from './boot.ts';
import { parseChassisStatus } from './chassis.ts';
import { parseDeviceId, parseGuid } from './device.ts';
import { parseFru, readFru } from './fru.ts';
import { lanParams } from './lan.ts';
import { bcdPlus, parseSensorRecord, readSdrs, sixBit } from './sdr.ts';
import { clearSel, parseSelEntry, readSel } from './sel.ts';
import { parseReading, parseThresholds } from './sensor.ts';
import { setUserPassword, testUserPassword } from './users.ts';
import { setWatchdog } from './watchdog.ts';

/** A BMC as a function; like the real one it gives the completion code only to those who accept codes. */
function scripted(answer: (netfn: number, cmd: number, data: Buffer) => number[] | Buffer): {
  ask: Ask;
  asked: string[];
} {
  const asked: string[] = [];
  const ask: Ask = async (netfn, cmd, data = [], options) => {
    const bytes = Buffer.from(data);
    asked.push(`${netfn.toString(16)}:${cmd.toString(16)}:${bytes.toString('hex')}`);
    const [cc = 0xff, ...rest] = answer(netfn, cmd, bytes);
    if (options?.accept) {
      if (cc === 0 || options.accept.includes(cc)) return Buffer.from([cc, ...rest]);
    } else if (cc === 0) return Buffer.from(rest);
    throw new IpmiError('completion-code', `code ${cc}`, { completionCode: cc });
  };
  return { ask, asked };
}

/** The lab's full sensor record: CPU Temp, degrees C, M=1, two's complement. */
const CPU_TEMP = Buffer.from(
  '20000103017f680101800a800a3f3f800100000100000000000060' + 'a000ff00a090700000000202000000c84350552054656d70',
  'hex',
);

describe('chassis', () => {
  it('reads status bits', () => {
    expect(parseChassisStatus(Buffer.from([0x61 | 0x08, 0x10, 0x40 | 0x10 | 0x01]))).toMatchObject({
      power: 'on',
      policy: 'unknown',
      powerFault: true,
      lastEvents: ['command'],
      intrusion: true,
      identify: 'timed',
    });
    expect(() => parseChassisStatus(Buffer.from([1]))).toThrow(IpmiError);
  });
});

describe('boot options', () => {
  it.each([
    [{ device: 'pxe' as const }, '8004000000'],
    [{ device: 'disk' as const, persistent: true, efi: true }, 'e008000000'],
    [{ device: 'cdrom' as const, efi: true }, 'a014000000'],
    [{ device: 'bios' as const }, '8018000000'],
    [{ device: 'safe' as const }, '800c000000'],
    [{ device: 'diag' as const }, '8010000000'],
    [{ device: 'none' as const }, '8000000000'],
  ])('%o is %s', (options, hex) => {
    expect(encodeBootFlags(options).toString('hex')).toBe(hex);
    const read = parseBootFlags(Buffer.concat([Buffer.from([1, 5]), encodeBootFlags(options)]));
    expect(read).toMatchObject({ valid: true, persistent: false, efi: false, ...options });
  });

  it('knows the UEFI disk selector of Supermicro', () => {
    const quirks = quirksOf(10876, 1);
    expect(encodeBootFlags({ device: 'disk', efi: true, persistent: true }, quirks).toString('hex')).toBe('e024000000');
    expect(parseBootFlags(Buffer.from('0105e024000000', 'hex'), quirks)).toMatchObject({ device: 'disk', efi: true });
    expect(encodeBootFlags({ device: 'disk' }, quirks).toString('hex')).toBe('8008000000');
  });

  it('sends the timeout override to Dell, whose flags expire without it', async () => {
    const { ask, asked } = keeping((flags) => flags);
    await setBootOptions(ask, { device: 'pxe' }, quirksOf(674, 1));
    expect(asked[0]).toBe('0:8:0308');
  });

  const keeping = (change: (flags: Buffer) => Buffer) => {
    let flags: Buffer = Buffer.alloc(5);
    return scripted((_netfn, cmd, data) => {
      if (cmd === 8 && data[0] === 3) return [0x80];
      if (cmd === 8) {
        flags = change(Buffer.from(data.subarray(1)));
        return [0];
      }
      return [0, 1, 5, ...flags];
    });
  };

  it('sends parameter 3, then 5, then reads back, though parameter 3 is refused', async () => {
    const { ask, asked } = keeping((flags) => flags);
    await expect(setBootOptions(ask, { device: 'pxe', efi: true }, {})).resolves.toMatchObject({
      device: 'pxe',
      differs: [],
    });
    expect(asked).toEqual(['0:8:0308', '0:8:05a004000000', '0:9:050000']);
  });

  it('reports lesser lies and refuses the great one', async () => {
    const dropping = keeping((flags) => Buffer.from([0, flags[1]!, 0, 0, 0]));
    const outcome = await setBootOptions(dropping.ask, { device: 'disk', persistent: true, efi: true }, {});
    expect(outcome.differs).toEqual(['persistent', 'efi', 'valid']);
    const lying = keeping(() => Buffer.from([0x80, 0x08, 0, 0, 0]));
    await expect(setBootOptions(lying.ask, { device: 'pxe' }, {})).rejects.toMatchObject({ code: 'boot-not-kept' });
  });
});

describe('identity', () => {
  it('reads a device id and a GUID in all its readings', () => {
    expect(parseDeviceId(Buffer.from('00030908029f911200020f00000000', 'hex'))).toMatchObject({
      firmware: '9.08',
      ipmi: '2.0',
      manufacturer: 0x1291,
      product: 0x0f02,
      auxiliary: '00000000',
    });
    expect(parseGuid(Buffer.from('4c4c4544000040008000000000000003', 'hex'))).toMatchObject({
      rfc4122: '4c4c4544-0000-4000-8000-000000000003',
      smbios: '44454c4c-0000-0040-8000-000000000003',
    });
  });
});

describe('sensors', () => {
  const sensor = parseSensorRecord({ id: 1, type: 1, body: CPU_TEMP })!;

  it('reads a full sensor record', () => {
    expect(sensor).toMatchObject({
      name: 'CPU Temp',
      number: 1,
      entity: 3,
      sensorType: 1,
      eventType: 1,
      unit: 'degrees C',
    });
    expect([sensor.convert!(96), sensor.convert!(0x90)]).toEqual([96, -112]);
    expect(parseSensorRecord({ id: 1, type: 1, body: CPU_TEMP.subarray(0, 30) })).toBeUndefined();
    expect(parseSensorRecord({ id: 1, type: 0xc0, body: CPU_TEMP })).toBeUndefined();
  });

  it('converts with factors and exponents', () => {
    const body = Buffer.from(CPU_TEMP);
    body.set([0x00, 0x04, 0x00], 15);
    // Linear, M = 59, B = 0, result exponent -3: 203 counts are 11.977 V.
    body.set([0x00, 59, 0x00, 0x00, 0x00, 0x00, 0xd0], 18);
    const volts = parseSensorRecord({ id: 2, type: 1, body })!;
    expect(volts.unit).toBe('V');
    expect(volts.convert!(203)).toBe(11.977);
  });

  it('judges a reading', () => {
    const linear = { ...sensor, convert: (raw: number) => raw };
    expect(parseReading(Buffer.from([96, 0xc0, 0xc0]), linear)).toEqual({ value: 96, states: 0, health: 'ok' });
    expect(parseReading(Buffer.from([96, 0xc0, 0xd8]), linear)).toMatchObject({ health: 'critical' });
    expect(parseReading(Buffer.from([96, 0xe0, 0xc0]), linear)).toMatchObject({ value: undefined, health: 'unknown' });
    expect(parseThresholds(Buffer.from([0x38, 0, 0, 0, 0x70, 0x90, 0xa0]), linear)).toEqual({
      upperNonCritical: 0x70,
      upperCritical: 0x90,
      upperNonRecoverable: 0xa0,
    });
  });

  it('unpacks 6-bit ASCII and BCD plus', () => {
    expect(sixBit(Buffer.from([0x29, 0xdc, 0xa6]))).toBe('IPMI');
    expect(bcdPlus(Buffer.from([0x12, 0x3b]))).toBe('123-');
  });
});

describe('SDR repository', () => {
  const record = (id: number, body: Buffer) =>
    Buffer.concat([Buffer.from([id & 0xff, id >> 8, 0x51, 1, body.length]), body]);
  const repository = (most: number, loseOnce = false) => {
    const records = [record(1, CPU_TEMP), record(2, CPU_TEMP)];
    let lost = loseOnce;
    return scripted((_netfn, cmd, data) => {
      if (cmd === 0x22) return [0, 0x34, 0x12];
      const id = data.readUInt16LE(2);
      const at = id === 0 ? 0 : id - 1;
      const [offset, count] = [data[4]!, data[5]!];
      if (count > most) return [0xca];
      if (lost && offset > 5) {
        lost = false;
        return [0xc5];
      }
      const next = at + 1 < records.length ? at + 2 : 0xffff;
      return [0, next & 0xff, next >> 8, ...records[at]!.subarray(offset, offset + count)];
    });
  };

  it('reads whole records, in smaller pieces where the BMC wants that, and after a lost reservation', async () => {
    for (const bmc of [repository(255), repository(16), repository(8), repository(16, true)]) {
      const records = await readSdrs(bmc.ask);
      expect(records.map(({ id, type }) => [id, type])).toEqual([
        [1, 1],
        [2, 1],
      ]);
      expect(records[1]!.body.equals(CPU_TEMP)).toBe(true);
    }
  });

  it('ends on a chain that bites its tail, and on an empty repository', async () => {
    const loop = scripted((_netfn, cmd) => (cmd === 0x22 ? [0, 1, 0] : [0, 1, 0, 1, 0, 0x51, 1, 0]));
    await expect(readSdrs(loop.ask)).rejects.toMatchObject({ code: 'bad-response' });
    const empty = scripted((_netfn, cmd) => (cmd === 0x22 ? [0, 1, 0] : [0xcb]));
    await expect(readSdrs(empty.ask)).resolves.toEqual([]);
  });
});

describe('event log', () => {
  const entry = Buffer.from(
    '0100' + '02' + '00000060' + '2000' + '04' + '01' + '30' + '81' + '57' + '70' + '60',
    'hex',
  );

  it('reads an entry', () => {
    expect(parseSelEntry(entry)).toMatchObject({
      id: 1,
      type: 2,
      time: new Date(0x60000000 * 1000),
      sensorType: 1,
      sensorNumber: 0x30,
      eventType: 1,
      deasserted: true,
      data: [0x57, 0x70, 0x60],
    });
  });

  it('follows the chain, and sees a circle', async () => {
    const log = scripted((_netfn, _cmd, data) =>
      data.readUInt16LE(2) === 0 ? [0, 2, 0, ...entry] : [0, 0xff, 0xff, ...entry],
    );
    await expect(readSel(log.ask)).resolves.toHaveLength(2);
    const circle = scripted(() => [0, 2, 0, ...entry]);
    await expect(readSel(circle.ask)).rejects.toMatchObject({ code: 'bad-response' });
    await expect(readSel(scripted(() => [0xcb]).ask)).resolves.toEqual([]);
  });

  it('waits for the erasure', async () => {
    let polls = 0;
    const log = scripted((_netfn, cmd, data) =>
      cmd === 0x42 ? [0, 7, 0] : [0, data[5] === 0xaa || ++polls < 3 ? 0 : 1],
    );
    await clearSel(log.ask);
    expect(log.asked).toEqual([
      'a:42:',
      'a:47:0700434c52aa',
      'a:47:0700434c5200',
      'a:47:0700434c5200',
      'a:47:0700434c5200',
    ]);
  });
});

describe('inventory', () => {
  const area = (fields: (string | number)[], head: number[]) => {
    const body = [...head];
    for (const field of fields) {
      if (typeof field === 'number') body.push(field);
      else body.push(0xc0 | field.length, ...Buffer.from(field));
    }
    body.push(0xc1);
    while ((body.length + 1) % 8) body.push(0);
    body[1] = (body.length + 1) / 8;
    return Buffer.from([...body, -body.reduce((a, b) => a + b, 0) & 0xff]);
  };
  const board = area(['ACME', 'Board One', 'SN1', 'PN1', ''], [1, 0, 25, 0x60, 0x5d, 0xbe]);
  const product = area(['ACME', 'Server', 'PART', 'v1', 'SERIAL', 'asset 9', '', 'extra'], [1, 0, 25]);
  const header = [1, 0, 0, 1, 1 + board.length / 8, 0, 0];
  const fru = Buffer.concat([Buffer.from([...header, -header.reduce((a, b) => a + b, 0) & 0xff]), board, product]);

  it('reads board and product areas', () => {
    expect(parseFru(fru)).toEqual({
      faults: [],
      board: {
        manufacturer: 'ACME',
        product: 'Board One',
        serial: 'SN1',
        part: 'PN1',
        made: expect.stringMatching(/^20/),
      },
      product: {
        manufacturer: 'ACME',
        product: 'Server',
        part: 'PART',
        version: 'v1',
        serial: 'SERIAL',
        asset: 'asset 9',
        extra: ['extra'],
      },
    });
  });

  it('says what is broken and still gives the rest', () => {
    expect(parseFru(fru.subarray(0, 20)).faults).toEqual(['the board area is cut off', 'the product area is cut off']);
    expect(parseFru(Buffer.alloc(3)).faults).toEqual(['the common header is missing']);
    const flipped = Buffer.from(fru);
    flipped[20]! ^= 1;
    expect(parseFru(flipped).faults).toEqual(['the board area has a wrong checksum']);
  });

  it('reads in the pieces that the BMC grants, by bytes or by words', async () => {
    for (const words of [0, 1]) {
      const device = scripted((_netfn, cmd, data) => {
        if (cmd === 0x10) return [0, fru.length & 0xff, fru.length >> 8, words];
        const unit = words ? 2 : 1;
        const [at, count] = [data.readUInt16LE(1) * unit, data[3]! * unit];
        return count > 16 ? [0xca] : [0, data[3]!, ...fru.subarray(at, at + count)];
      });
      expect((await readFru(device.ask)).equals(fru)).toBe(true);
    }
  });
});

describe('LAN, users, watchdog', () => {
  it('reads LAN parameters, absent ones included', async () => {
    const known: Record<number, number[]> = {
      3: [192, 0, 2, 9],
      4: [2],
      5: [0x52, 0x54, 0, 0xaa, 0, 1],
      6: [255, 255, 255, 0],
      20: [5, 0x80],
      22: [2],
      23: [0, 3, 17],
    };
    const bmc = scripted((_netfn, _cmd, data) => (known[data[1]!] ? [0, 0x11, ...known[data[1]!]!] : [0x80]));
    await expect(lanParams(bmc.ask)).resolves.toEqual({
      address: '192.0.2.9',
      source: 'dhcp',
      mac: '52:54:00:aa:00:01',
      netmask: '255.255.255.0',
      gateway: undefined,
      gatewayMac: undefined,
      vlan: 5,
      suites: [3, 17],
    });
  });

  it('sets and tests passwords in both sizes', async () => {
    const { ask, asked } = scripted((_netfn, _cmd, data) => [data[1] === 3 ? 0x80 : 0]);
    await setUserPassword(ask, 2, 'new', 16);
    await setUserPassword(ask, 2, 'new');
    expect(asked).toEqual([`6:47:0202${'6e6577'.padEnd(32, '0')}`, `6:47:8202${'6e6577'.padEnd(40, '0')}`]);
    await expect(testUserPassword(ask, 2, 'new')).resolves.toBe(false);
    await expect(setUserPassword(ask, 2, 'seventeen letters', 16)).rejects.toMatchObject({ code: 'bad-argument' });
    await expect(setUserPassword(ask, 99, 'x')).rejects.toMatchObject({ code: 'bad-argument' });
  });

  it('sets the watchdog', async () => {
    const { ask, asked } = scripted(() => [0]);
    await setWatchdog(ask, { use: 'os', action: 'reset', seconds: 60 });
    expect(asked).toEqual(['6:24:040100105802']);
  });
});
