import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findKcs, KcsRefusal, type KcsRegisters, kcsAsk, kcsLan } from './kcs.ts';

type Answer = (request: number[]) => number[];

const status = { idle: 0x00, reading: 0x40, writing: 0x80, failed: 0xc0 } as const;

/** The BMC's side of the registers, by the states of IPMI 2.0 section 9.7. Answers are those of a message: netfn, command, code, data. */
function bmcSide(answer: Answer): KcsRegisters {
  let state: keyof typeof status = 'idle';
  let output: number[] = [];
  let isFull = false;
  let isLast = false;
  let request: number[] = [];
  const fill = () => {
    state = output.length > 0 ? 'reading' : 'idle';
    isFull = true;
  };
  return {
    read(register) {
      if (register === 1) return status[state] | (isFull ? 0x01 : 0);
      isFull = false;
      return state === 'reading' ? (output.shift() ?? 0) : 0;
    },
    write(register, byte) {
      if (register === 1) {
        if (byte === 0x61) [state, request, isLast] = ['writing', [], false];
        else if (byte === 0x62 && state === 'writing') isLast = true;
        else state = 'failed';
        isFull = true;
      } else if (state === 'writing') {
        request.push(byte);
        isFull = true;
        if (!isLast) return;
        output = answer(request);
        fill();
      } else if (state === 'reading' && byte === 0x68) fill();
      else state = 'failed';
    },
  };
}

const good =
  (...data: number[]): Answer =>
  ([netfn = 0, cmd = 0]) => [netfn | 0x04, cmd, 0, ...data];

describe('KCS', () => {
  it('asks, and takes the answer without its head', async () => {
    const asked: number[][] = [];
    const registers = bmcSide((request) => {
      asked.push(request);
      return good(0x20, 0x81)(request);
    });
    expect(await kcsAsk(registers, 0x06, 0x01, [])).toEqual(Buffer.of(0x20, 0x81));
    // And again on the same interface: it is left as it was found.
    expect(await kcsAsk(registers, 0x0c, 0x02, [1, 3, 0, 0])).toEqual(Buffer.of(0x20, 0x81));
    expect(asked).toEqual([
      [0x18, 0x01],
      [0x30, 0x02, 1, 3, 0, 0],
    ]);
  });

  it('says what a BMC refuses, and gives up one that hangs, errs or never ends', async () => {
    await expect(
      kcsAsk(
        bmcSide(() => [0x1c, 0x42, 0xcc]),
        0x06,
        0x42,
        [],
      ),
    ).rejects.toThrow('completion code 0xcc');
    await expect(
      kcsAsk(
        bmcSide(() => [0x1c, 0x01, 0]),
        0x06,
        0x42,
        [],
      ),
    ).rejects.toThrow('answered 0x1c0100');
    await expect(
      kcsAsk(
        bmcSide(() => []),
        0x06,
        0x42,
        [],
      ),
    ).rejects.toThrow('answered 0x to');
    await expect(kcsAsk(bmcSide(good(...new Uint8Array(300))), 0x06, 0x42, [])).rejects.toThrow('more than 256 bytes');
    const hung: KcsRegisters = { read: () => 0x02, write: () => {} };
    await expect(kcsAsk(hung, 0x06, 0x42, [], 20)).rejects.toThrow('stays at status 0x2');
    // What PCI reads where nothing is: all ones.
    const none: KcsRegisters = { read: () => 0xff, write: () => {} };
    await expect(kcsAsk(none, 0x06, 0x42, [], 20)).rejects.toThrow('stays at status 0xff');
    const failed: KcsRegisters = { read: () => status.failed, write: () => {} };
    await expect(kcsAsk(failed, 0x06, 0x42, [], 20)).rejects.toThrow('left its write state for state 3');
  });

  it('finds the LAN channel, its address and its MAC', async () => {
    const lan = (address: number[]) => async (netfn: number, cmd: number, data: readonly number[]) => {
      if (netfn === 0x06 && cmd === 0x42 && data[0] === 2) return Buffer.of(2, 4, 1, 0x80, 0, 0, 0, 0, 0);
      if (netfn === 0x0c && cmd === 0x02 && data[0] === 2 && data[1] === 3) return Buffer.of(0x11, ...address);
      if (netfn === 0x0c && cmd === 0x02 && data[0] === 2 && data[1] === 5) return Buffer.of(0x11, 2, 0, 0, 0, 0, 9);
      throw new KcsRefusal('completion code 0xcc');
    };
    expect(await kcsLan(lan([198, 51, 100, 17]))).toEqual({ address: '198.51.100.17', mac: '02:00:00:00:00:09' });
    expect(await kcsLan(lan([0, 0, 0, 0]))).toEqual({ address: null, mac: '02:00:00:00:00:09' });
    expect(await kcsLan(lan([1]))).toEqual({ address: null, mac: '02:00:00:00:00:09' });
    expect(await kcsLan(() => Promise.reject(new KcsRefusal('no channels')))).toEqual({ address: null, mac: null });
    let asked = 0;
    const hangs = () => Promise.reject(new Error(`no answer to question ${++asked}`));
    await expect(kcsLan(hangs)).rejects.toThrow('no answer to question 1');
  });

  it('is looked for among PCI devices that no driver has', async () => {
    const root = mkdtempSync(join(tmpdir(), 'uc-kcs-'));
    onTestFinished(() => rmSync(root, { recursive: true }));
    const devices = join(root, 'sys/bus/pci/devices');
    const device = (name: string, type: string) => {
      mkdirSync(join(devices, name), { recursive: true });
      writeFileSync(join(devices, name, 'class'), `${type}\n`);
    };
    expect(await findKcs(root)).toBeNull();
    device('0000:00:02.0', '0x020000');
    device('0000:00:05.0', '0x0c0701');
    symlinkSync('/sys/bus/pci/drivers/ipmi_si', join(devices, '0000:00:05.0/driver'));
    expect(await findKcs(root)).toBeNull();
    device('0000:00:06.0', '0x0c0701');
    expect(await findKcs(root)).toBe(join(devices, '0000:00:06.0'));
  });
});
