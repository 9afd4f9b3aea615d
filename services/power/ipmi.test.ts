import { createSocket, type Socket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { createBmcSession } from '../ipmi/index.ts';
import type { BmcAccess } from './bmc.ts';
import { bmcConformance } from './conformance.ts';
import { createPower, type PowerDeps } from './index.ts';

/** A BMC of our own behind a real socket on loopback: chassis, boot options and device id, enough for the adapter. */
async function startBmc() {
  const machine = { on: false, silent: false, forgets: false, boot: Buffer.alloc(5) };
  const bmc = createBmcSession({
    guid: Buffer.alloc(16, 9),
    users: () => [{ name: 'admin', password: 'secret', privilege: 'administrator' }],
    handle(netfn, cmd, data) {
      const is = (n: number, c: number) => netfn === n && cmd === c;
      if (is(0, 0x01)) return { completionCode: 0, data: Uint8Array.of(machine.on ? 1 : 0, 0, 0) };
      if (is(0, 0x02)) {
        const action = (data[0] ?? 0) & 0x0f;
        if (action === 3 && !machine.on) return { completionCode: 0xd5 };
        machine.on = action === 1 || action === 3;
        return { completionCode: 0 };
      }
      if (is(0, 0x08)) {
        if (data[0] === 5 && !machine.forgets) machine.boot = Buffer.from(data.subarray(1, 6));
        return { completionCode: 0 };
      }
      if (is(0, 0x09)) return { completionCode: 0, data: Buffer.concat([Uint8Array.of(1, 5), machine.boot]) };
      if (is(6, 0x01))
        return { completionCode: 0, data: Uint8Array.of(0x20, 1, 2, 0x10, 2, 0xbf, 0x57, 1, 0, 0x51, 0) };
      return { completionCode: 0xc1 };
    },
  });
  const socket: Socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  socket.on('message', (datagram, from) => {
    if (machine.silent) return;
    bmc.receive(datagram, `${from.address}:${from.port}`, (answer) => socket.send(answer, from.port, from.address));
  });
  return { machine, port: (socket.address() as AddressInfo).port, close: () => socket.close() };
}

async function setUp(access: Partial<BmcAccess> = {}, deps: PowerDeps = {}) {
  const world = await createWorld({ keep: true });
  const bmc = await startBmc();
  const power = createPower(world, deps);
  onTestFinished(async () => {
    // In this order: the sessions close while the BMC still answers.
    bmc.machine.silent = false;
    await power.close();
    bmc.close();
    await world.close();
  });
  const whole: BmcAccess = {
    key: '11111111-1111-4111-8111-111111111111',
    driver: 'ipmi',
    address: '127.0.0.1',
    port: bmc.port,
    username: 'admin',
    password: 'secret',
    options: {},
    ...access,
  };
  return { world, power, machine: bmc.machine, access: whole, bmc: power.bmc(whole) };
}

describe('IPMI', () => {
  bmcConformance(async () => {
    const { bmc, machine } = await setUp();
    return {
      bmc,
      break() {
        machine.silent = true;
      },
      forgetBootDevice() {
        machine.forgets = true;
      },
    };
  });

  it('refuses a wrong password in a sentence without the password', async () => {
    const { bmc } = await setUp({ password: 'wrong-one' });
    const failure = await bmc.power().catch((error) => error);
    expect(failure.code).toBe('bmc-credentials');
    expect(failure.message).toMatch(/refuses the user admin.*Correct the user name and password/);
    expect(failure.message).not.toContain('wrong-one');
  });

  it('records every exchange under its node, and keeps the session', async () => {
    const { bmc, world, access, power } = await setUp();
    await bmc.power();
    await bmc.power();
    expect(power.bmc({ ...access })).toBe(bmc);
    await world.recorder.drain();
    const events = await world.recorder.timeline({ type: 'node', id: access.key });
    const polls = events.filter((e) => (e.data as { command: string }).command === 'Get Chassis Status');
    expect(polls.length).toBe(2);
    expect(polls[1]).toMatchObject({
      kind: 'bmc.command',
      data: { attempts: 1, error: null, bmc: `127.0.0.1:${access.port}` },
    });
    expect(JSON.stringify(events)).not.toContain('secret');
  });

  it('refuses a driver that is not there, naming those that are', async () => {
    const { power, access } = await setUp();
    expect(() => power.bmc({ ...access, driver: 'redfish' })).toThrow(
      /redfish .* is not in this release. Use one of ipmi, fake/,
    );
  });
});
