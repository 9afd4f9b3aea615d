import { createSocket } from 'node:dgram';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { createVirtualBmc, serveVirtualBmcs } from '../lab/index.ts';
import type { BmcAccess } from './bmc.ts';
import { bmcConformance } from './conformance.ts';
import { createPower, type PowerDeps } from './index.ts';

async function setUp(access: Partial<BmcAccess> = {}, deps: PowerDeps = {}) {
  const world = await createWorld({ keep: true });
  const { bmcs, port, addresses, close } = await serveVirtualBmcs({ count: 1 });
  const virtual = bmcs[0]!;
  const power = createPower(world, deps);
  onTestFinished(async () => {
    // In this order: the sessions close while the BMC still answers.
    virtual.faults.deaf = false;
    await power.close();
    close();
    await world.close();
  });
  const whole: BmcAccess = {
    key: '11111111-1111-4111-8111-111111111111',
    driver: 'ipmi',
    address: addresses[0]!,
    port,
    username: 'admin',
    password: 'secret',
    options: {},
    ...access,
  };
  return { world, power, virtual, access: whole, bmc: power.bmc(whole) };
}

describe('IPMI', () => {
  bmcConformance('ipmi', async () => {
    const { bmc, virtual } = await setUp();
    return {
      bmc,
      password: 'secret',
      break() {
        virtual.faults.deaf = true;
      },
      forgetBootDevice() {
        virtual.machine.chassis.bootTruth = 'forgets';
      },
      say: (text) => virtual.machine.console.feed(text),
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
      data: { attempts: 1, error: null, bmc: `${access.address}:${access.port}` },
    });
    expect(JSON.stringify(events)).not.toContain(access.password);
  });

  it('reaches a BMC by IPv6 over the same socket', async () => {
    const virtual = createVirtualBmc();
    const socket = createSocket('udp6');
    await new Promise<void>((resolve) => socket.bind(0, '::1', resolve));
    onTestFinished(() => void socket.close());
    socket.on('message', (datagram, from) =>
      virtual.receive(datagram, `${from.address} ${from.port}`, (answer) =>
        socket.send(answer, from.port, from.address),
      ),
    );
    const { power, bmc, access } = await setUp();
    const six = power.bmc({ ...access, key: 'six', address: '::1', port: socket.address().port });
    expect([await bmc.power(), await six.power()]).toEqual(['off', 'off']);
    power.forget('six');
  });

  it('refuses a driver that is not there, naming those that are', async () => {
    const { power, access } = await setUp();
    expect(() => power.bmc({ ...access, driver: 'telepathy' as 'ipmi' })).toThrow(
      /telepathy .* is not known. Use one of ipmi, fake, redfish/,
    );
  });
});
