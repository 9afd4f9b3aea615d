// Strangers as judges of our BMC: ipmitool and FreeIPMI's ipmipower, on loopback.

import { execFile } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BmcReply, createBmcSession } from './bmc.ts';

describe('our BMC judged by ipmitool and FreeIPMI', () => {
  let bmcSocket: Socket;
  let port: number;
  let kg: string | undefined;
  const machine = { on: false, flags: Buffer.alloc(5), commands: 0 };

  const handle = (netfn: number, cmd: number, data: Buffer, privilege: number): BmcReply => {
    machine.commands++;
    const reply = (...bytes: number[]) => ({ completionCode: 0, data: Uint8Array.from(bytes) });
    if (netfn === 0 && cmd === 1) return reply(machine.on ? 1 : 0, 0, 0);
    if (netfn === 0 && privilege < 3) return { completionCode: 0xd4 };
    if (netfn === 0 && cmd === 2) {
      machine.on = data[0] !== 0;
      return reply();
    }
    if (netfn === 0 && cmd === 8) {
      if ((data[0]! & 0x7f) === 5) machine.flags = Buffer.from(data.subarray(1));
      return reply();
    }
    if (netfn === 0 && cmd === 9) return reply(1, data[0]!, ...machine.flags);
    if (netfn === 6 && cmd === 1) return reply(0x20, 1, 2, 0x10, 2, 0x80, 0x91, 0x12, 0, 2, 0xf, 0, 0, 0, 0);
    return { completionCode: 0xc1 };
  };

  beforeAll(async () => {
    const bmcWith = (key: string | undefined) =>
      createBmcSession({
        ...(key && { kg: key }),
        guid: Buffer.from('4c4c4544000040008000000000000003', 'hex'),
        users: () => [
          { name: 'admin', password: 'secret', privilege: 'administrator' },
          { name: 'long', password: 'a secret of 20 bytes', privilege: 'administrator' },
          { name: 'watcher', password: 'look', privilege: 'user' },
        ],
        handle,
      });
    const [open, keyed] = [bmcWith(undefined), bmcWith('house key')];
    bmcSocket = createSocket('udp4');
    bmcSocket.on('message', (datagram, from) =>
      (kg ? keyed : open).receive(datagram, `${from.address} ${from.port}`, (reply) =>
        bmcSocket.send(reply, from.port, from.address),
      ),
    );
    bmcSocket.bind(0, '127.0.0.1');
    await once(bmcSocket, 'listening');
    port = bmcSocket.address().port;
  });

  afterAll(() => {
    bmcSocket.close();
  });

  const run = (program: string, args: string[]) =>
    new Promise<{ code: number; out: string }>((resolve) => {
      execFile(program, args, { timeout: 40_000 }, (error, stdout, stderr) => {
        resolve({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, out: stdout + stderr });
      });
    });
  const ipmitool = (suite: number, user: string, password: string, ...words: string[]) =>
    run('ipmitool', [
      '-I',
      'lanplus',
      '-C',
      String(suite),
      '-H',
      '127.0.0.1',
      '-p',
      String(port),
      '-U',
      user,
      '-P',
      password,
      ...words,
    ]);

  it.each([3, 17])('ipmitool -C %i', async (suite) => {
    expect(await ipmitool(suite, 'admin', 'secret', 'power', 'on')).toEqual({
      code: 0,
      out: 'Chassis Power Control: Up/On\n',
    });
    expect(await ipmitool(suite, 'admin', 'secret', 'power', 'status')).toEqual({
      code: 0,
      out: 'Chassis Power is on\n',
    });
    expect(
      (await ipmitool(suite, 'admin', 'secret', 'chassis', 'bootdev', 'pxe', 'options=efiboot,persistent')).code,
    ).toBe(0);
    expect(machine.flags.toString('hex')).toBe('e004000000');
    const flags = await ipmitool(suite, 'admin', 'secret', 'chassis', 'bootparam', 'get', '5');
    expect(flags.out).toMatch(/Boot Flag Valid[\s\S]*all future boots[\s\S]*EFI[\s\S]*Force PXE/i);
    expect((await ipmitool(suite, 'long', 'a secret of 20 bytes', 'mc', 'info')).out).toContain('Firmware Revision');
    expect((await ipmitool(suite, 'admin', 'secret', 'channel', 'getciphers', 'ipmi')).out).toMatch(/^3 [\s\S]*^17 /m);
  });

  it.each([3, 17])('ipmitool -C %i is refused with a wrong password, name or level', async (suite) => {
    const before = machine.commands;
    expect((await ipmitool(suite, 'admin', 'wrong', 'power', 'status')).code).not.toBe(0);
    expect((await ipmitool(suite, 'nobody', 'secret', 'power', 'status')).code).not.toBe(0);
    expect((await ipmitool(suite, 'watcher', 'look', 'power', 'status')).code).not.toBe(0);
    expect(machine.commands).toBe(before);
    expect((await ipmitool(suite, 'watcher', 'look', '-L', 'USER', 'power', 'status')).out).toContain(
      'Chassis Power is',
    );
    expect((await ipmitool(suite, 'watcher', 'look', '-L', 'USER', 'power', 'off')).out).toContain(
      'Insufficient privilege level',
    );
  });

  it.each([3, 17])('ipmitool -C %i with the BMC key, without it, and with another', async (suite) => {
    kg = 'house key';
    const words = ['power', 'status'];
    expect((await ipmitool(suite, 'admin', 'secret', '-k', 'house key', ...words)).out).toContain('Chassis Power is');
    expect((await ipmitool(suite, 'admin', 'secret', ...words)).code).not.toBe(0);
    expect((await ipmitool(suite, 'admin', 'secret', '-k', 'other key', ...words)).code).not.toBe(0);
    kg = undefined;
  });

  it('ipmitool without -C chooses 17 from what is advertised', async () => {
    const { out } = await run('ipmitool', [
      ...[
        '-vv',
        '-I',
        'lanplus',
        '-H',
        '127.0.0.1',
        '-p',
        String(port),
        '-U',
        'admin',
        '-P',
        'secret',
        'power',
        'status',
      ],
    ]);
    expect(out).toContain('Chassis Power is');
    expect(out).toMatch(/Using best available cipher suite 17/);
  });

  it.each([3, 17])('FreeIPMI ipmipower -I %i, without workarounds', async (suite) => {
    const args = [
      '-D',
      'LAN_2_0',
      '-I',
      String(suite),
      '-h',
      `127.0.0.1:${port}`,
      '-u',
      'admin',
      '-p',
      'secret',
      '-l',
      'ADMIN',
    ];
    machine.on = true;
    expect((await run('ipmipower', [...args, '--stat'])).out).toMatch(/: on$/m);
    expect((await run('ipmipower', [...args, '--off', '--wait-until-off'])).out).toMatch(/: ok$/m);
    expect(machine.on).toBe(false);
    const wrong = await run('ipmipower', [
      '-D',
      'LAN_2_0',
      '-I',
      String(suite),
      '-h',
      `127.0.0.1:${port}`,
      '-u',
      'admin',
      '-p',
      'bad',
      '--stat',
    ]);
    expect(wrong.out).toMatch(/password invalid/);
  });
});
