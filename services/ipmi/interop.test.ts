// A stranger as judge of our console: OpenIPMI's ipmi_sim, on loopback.

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBmcSession } from './bmc.ts';
import type { IpmiError } from './errors.ts';
import { type IpmiSim, startIpmiSim } from './ipmi-sim.fixture.ts';
import { createIpmiTransport, type IpmiTransport, openIpmiSocket, type SessionOptions } from './transport.ts';

let sim: IpmiSim;
let socket: Socket;
let transport: IpmiTransport;

beforeAll(async () => {
  sim = await startIpmiSim();
  socket = await openIpmiSocket({ address: '127.0.0.1' });
  transport = createIpmiTransport({ socket });
  await transport.ping('127.0.0.1', { port: sim.port, deadline: 20_000 });
});

afterAll(async () => {
  await transport.close();
  socket.close();
  sim.close();
});

const session = (more: Partial<SessionOptions> = {}) =>
  transport.session({ host: '127.0.0.1', port: sim.port, user: 'admin', password: 'secret', ...more });
const failure = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable(),
    (error: IpmiError) => error,
  );

describe('a route that is missing', () => {
  it('is told by the kernel’s own code', async () => {
    // A socket on loopback cannot reach any other network.
    const it = transport.session({ host: '198.51.100.1', user: 'admin', password: 'secret' });
    const error = await failure(it.open({ deadline: 1_500 }));
    expect(error.code).toBe('network');
    expect(error.message).toMatch(/refused with E[A-Z]+; check routes/);
  });
});

describe('our halves on a real IPv6 loopback', () => {
  it('meet on ::1 through one socket that reaches IPv4 too', async () => {
    const bmc = createBmcSession({
      guid: Buffer.alloc(16, 6),
      users: () => [{ name: 'admin', password: 'secret', privilege: 'administrator' }],
      handle: () => ({ completionCode: 0, data: Uint8Array.of(1, 0, 0) }),
    });
    const server = createSocket('udp6');
    server.on('message', (datagram, from) =>
      bmc.receive(datagram, `${from.address} ${from.port}`, (reply) => server.send(reply, from.port, from.address)),
    );
    server.bind(0, '::1');
    await once(server, 'listening');
    const both = await openIpmiSocket({ family: 6 });
    const through = createIpmiTransport({ socket: both });
    const six = through.session({ host: '::1', port: server.address().port, user: 'admin', password: 'secret' });
    await expect(six.chassisStatus()).resolves.toMatchObject({ power: 'on' });
    const four = through.session({ host: '127.0.0.1', port: sim.port, user: 'admin', password: 'secret' });
    await expect(four.open()).resolves.toMatchObject({ suite: 3 });
    await through.close();
    both.close();
    server.close();
    expect(bmc.sessions).toEqual([]);
  });
});

describe('our console and ipmi_sim', () => {
  it.each([1, 2, 3])('cipher suite %i: login, status, power', async (suite) => {
    const it = session({ suites: [suite] });
    await expect(it.open()).resolves.toMatchObject({
      protocol: '2.0',
      suite,
      guid: { rfc4122: '4c4c4544-0000-4000-8000-000000000003' },
    });
    await it.power('on');
    expect((await it.chassisStatus()).power).toBe('on');
    await it.power('off');
    expect((await it.chassisStatus()).power).toBe('off');
    await it.close();
  });

  it('17 is refused by this simulator: 3 is found and remembered', async () => {
    const it = session();
    await expect(it.open()).resolves.toMatchObject({ suite: 3 });
    expect(it.remembered).toEqual({ protocol: '2.0', suite: 3 });
    await it.close();
  });

  it('IPMI 1.5 with MD5', async () => {
    const it = session({ remembered: { protocol: '1.5' } });
    await expect(it.open()).resolves.toMatchObject({ protocol: '1.5', suite: undefined });
    await it.power('on');
    expect((await it.chassisStatus()).power).toBe('on');
    await it.close();
    const wrong = session({ remembered: { protocol: '1.5' }, password: 'nonsense' });
    const error = await failure(wrong.open({ deadline: 30_000 }));
    expect(error.code).toBe('bad-password');
  });

  it('boot device: set, read back, and the bits this simulator drops', async () => {
    const it = session();
    const outcome = await it.setBootOptions({ device: 'pxe', persistent: true, efi: true });
    expect(outcome).toMatchObject({ device: 'pxe', differs: ['persistent', 'efi', 'valid'] });
    expect(readFileSync(join(sim.room, 'boot'), 'utf8').trim()).toBe('pxe');
    await it.close();
  });

  it('identity, users, sensors, log and clock', async () => {
    const it = session();
    expect(await it.deviceId()).toMatchObject({ manufacturer: 0x1291, product: 0xf02, firmware: '9.08' });
    expect(await it.users()).toEqual(
      expect.arrayContaining([expect.objectContaining({ id: 2, name: 'admin', privilege: 4 })]),
    );
    const sensors = await it.listSensors();
    expect(await it.readSensors(sensors)).toMatchObject([
      { name: 'CPU Temp', value: 96, unit: 'degrees C', thresholds: { upperNonCritical: 112 } },
    ]);
    expect(await it.sel()).toMatchObject([{ type: 2, sensorNumber: 1, data: [0x57, 0x70, 0x60] }]);
    await it.clearSel();
    expect(await it.selInfo()).toMatchObject({ entries: 0 });
    await it.setSelTime(new Date('2030-01-01T00:00:00Z'));
    expect((await it.selTime())!.getUTCFullYear()).toBe(2030);
    expect(await it.lanParams()).toMatchObject({ suites: expect.arrayContaining([3]) });
    await it.close();
  });

  it('serial over LAN: what is typed comes back, long lines too', async () => {
    const it = session();
    const typed = `${'a line that is longer than one packet can carry '.repeat(20)}end\n`;
    let heard = '';
    let done: () => void = () => undefined;
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    const stream = await it.sol({
      onData: (data) => {
        heard += data.toString('latin1');
        if (heard.endsWith('END\n')) done();
      },
    });
    expect(stream.write(typed)).toBe(true);
    await all;
    expect(heard).toBe(typed.toUpperCase());
    await stream.close();
    await it.close();
  });

  it('a BMC that restarts: the session reopens by itself', async () => {
    const it = session();
    await it.open();
    await sim.kill();
    await sim.start();
    expect((await it.chassisStatus({ deadline: 30_000 })).power).toMatch(/on|off/);
    await it.close();
  });

  it('refusals', async () => {
    expect(await failure(session({ password: 'wrong' }).open())).toMatchObject({ code: 'bad-password' });
    expect(await failure(session({ user: 'nobody' }).open())).toMatchObject({ code: 'unknown-user', status: 0x0d });
    expect(await failure(session({ suites: [17], allow15: false }).open())).toMatchObject({ code: 'suite-refused' });
    // This simulator never answers Get Channel Cipher Suites before a session: bounded, and undefined.
    await expect(session().cipherSuites()).resolves.toBeUndefined();
  });
});
