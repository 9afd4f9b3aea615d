// A stranger as judge of our console: OpenIPMI's ipmi_sim, on loopback.

import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket as LineSocket, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBmcSession } from './bmc.ts';
import type { IpmiError } from './errors.ts';
import { createIpmiTransport, type IpmiTransport, openIpmiSocket, type SessionOptions } from './transport.ts';

async function freePort(): Promise<number> {
  const probe = createSocket('udp4');
  probe.bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Configuration that works; what is needed for it was learnt from OpenIPMI 2.0.33: a guid for RMCP+, C notation of numbers, -p. */
const lanConf = (port: number, hook: string, serialPort: number) => `name "judge"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 ${port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid 4c4c4544000040008000000000000003
  endlan
  chassis_control "${hook}"
  sol "tcp:127.0.0.1:${serialPort}" 115200
  startnow false
  user 1 false "" "test" user 10 none md2 md5 straight
  user 2 true "admin" "secret" admin 10 none md2 md5 straight
`;

const EMULATOR = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
sel_add 0x20 0x02 0x00 0x00 0x00 0x60 0x20 0x00 0x04 0x01 0x01 0x01 0x57 0x70 0x60
sensor_add 0x20 0 1 0x01 0x01
sensor_set_value 0x20 0 1 0x60 0
sensor_set_threshold 0x20 0 1 settable 111000 0xa0 0x90 0x70 00 00 00
sensor_set_event_support 0x20 0 1 enable scanning per-state 000111111000000 000111111000000 000111111000000 000111111000000
main_sdr_add 0x20 0x00 0x00 0x51 0x01 0x33 0x20 0x00 0x01 0x03 0x01 0x7f 0x68 0x01 0x01 0x80 0x0a 0x80 0x0a 0x3f 0x3f 0x80 0x01 0x00 0x00 0x01 0x00 0x00 0x00 0x00 0x00 0x00 0x60 0xa0 0x00 0xff 0x00 0xa0 0x90 0x70 0x00 0x00 0x00 0x02 0x02 0x00 0x00 0x00 0xc8 0x43 0x50 0x55 0x20 0x54 0x65 0x6d 0x70
mc_enable 0x20
`;

/** The simulator's machine: two files. popen() passes its sockets on; a script that ends at once may keep them. */
const HOOK = `#!/bin/sh
d=$(dirname "$0"); op=$1; shift
echo "$op $*" >> $d/log
if [ $op = get ]; then
  for what in "$@"; do case $what in
    power) echo "power:$(cat $d/power 2>/dev/null || echo 0)";;
    boot) echo "boot:$(cat $d/boot 2>/dev/null || echo default)";;
  esac; done
else
  while [ -n "$1" ]; do case $1 in power) echo $2 > $d/power;; boot) echo $2 > $d/boot;; esac; shift 2; done
fi
`;

let room: string;
let simulator: ChildProcess;
let serial: Server;
const lines: LineSocket[] = [];
let simulatorPort: number;
let socket: Socket;
let transport: IpmiTransport;

async function startSimulator(): Promise<void> {
  const args = ['-n', '-p', '-c', join(room, 'lan.conf'), '-f', join(room, 'bmc.emu'), '-s', join(room, 'state')];
  simulator = spawn('ipmi_sim', args, { stdio: 'ignore' });
  await once(simulator, 'spawn');
}

beforeAll(async () => {
  room = mkdtempSync(join(tmpdir(), 'ipmi-'));
  simulatorPort = await freePort();
  const hook = join(room, 'chassis.sh');
  writeFileSync(hook, HOOK, { mode: 0o755 });
  // The machine's serial port: a TCP server that repeats what it hears in capitals.
  serial = createServer((line) => {
    line.on('data', (bytes) => line.write(bytes.toString().toUpperCase()));
    line.on('error', () => line.destroy());
    lines.push(line);
  });
  serial.listen(0, '127.0.0.1');
  await once(serial, 'listening');
  writeFileSync(join(room, 'lan.conf'), lanConf(simulatorPort, hook, (serial.address() as AddressInfo).port));
  writeFileSync(join(room, 'bmc.emu'), EMULATOR);
  mkdirSync(join(room, 'state'));
  await startSimulator();
  socket = await openIpmiSocket({ address: '127.0.0.1' });
  transport = createIpmiTransport({ socket });
  await transport.ping('127.0.0.1', { port: simulatorPort, deadline: 20_000 });
});

afterAll(async () => {
  await transport.close();
  socket.close();
  simulator.kill();
  for (const line of lines) line.destroy();
  serial.close();
  rmSync(room, { recursive: true, force: true });
});

const session = (more: Partial<SessionOptions> = {}) =>
  transport.session({ host: '127.0.0.1', port: simulatorPort, user: 'admin', password: 'secret', ...more });
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
    const four = through.session({ host: '127.0.0.1', port: simulatorPort, user: 'admin', password: 'secret' });
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
    expect(readFileSync(join(room, 'boot'), 'utf8').trim()).toBe('pxe');
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
    const gone = once(simulator, 'exit');
    simulator.kill('SIGKILL');
    await gone;
    await startSimulator();
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
