import { createSocket } from 'node:dgram';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { createIpmiTransport, openIpmiSocket } from '../ipmi/index.ts';
import { createVirtualBmc, type ServeOptions, serveVirtualBmcs, type VirtualBmc } from '../lab/index.ts';
import type { BmcAccess } from './bmc.ts';
import { bmcConformance } from './conformance.ts';
import { createPower, type PowerDeps } from './index.ts';
import { ipmiFault } from './ipmi.ts';

async function setUp(access: Partial<BmcAccess> = {}, deps: PowerDeps = {}, its: Partial<ServeOptions> = {}) {
  const world = await createWorld({ keep: true });
  const { bmcs, port, addresses, close } = await serveVirtualBmcs({ ...its, count: 1 });
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

  it.each([
    {
      title: 'a wrong password',
      access: { password: 'wrong-one' },
      code: 'bmc-credentials',
      says: /refuses the user admin: RAKP 1: the BMC holds another password.*Correct the user name and password/,
    },
    {
      title: 'a user that is locked',
      harm: (its: VirtualBmc) => Object.assign(its.machine.users[2]!, { enabled: false }),
      code: 'bmc-user',
      says: /lets no user admin in: RAKP 1: the BMC does not know the user.*not locked after wrong passwords/,
    },
    {
      title: 'a privilege that is too low',
      harm: (its: VirtualBmc) => Object.assign(its.machine.users[2]!, { privilege: 3 }),
      code: 'bmc-privilege',
      says: /does not let the user admin do this: .*requested role.*Make the user administrator/,
    },
    {
      title: 'a cipher suite that is refused',
      access: { options: { cipherSuite: 2 } },
      code: 'bmc-suites',
      says: /agrees to none of the cipher suites that it was offered: .*suite 2.*Update the BMC/,
    },
    {
      title: 'cipher suite 0, which is never spoken',
      access: { options: { cipherSuite: 0 } },
      code: 'bmc-suites',
      says: /cipher suite 0 proves nothing/,
    },
    {
      title: 'no free session',
      harm: (its: VirtualBmc) => Object.assign(its.faults, { sessionsFull: true }),
      code: 'bmc-sessions-full',
      says: /has no free session: .*no resources left.*Close other consoles/,
    },
  ])('refuses $title in its own sentence, without the password', async ({ access = {}, harm, code, says }) => {
    const { bmc, virtual, world, access: whole } = await setUp(access);
    harm?.(virtual);
    const failure = await bmc.power().catch((error) => error);
    expect(failure.code).toBe(code);
    expect(failure.message).toMatch(says);
    expect(failure.message).toMatch(/The BMC .* of node /);
    await world.recorder.drain();
    const told = JSON.stringify([
      failure,
      failure.details,
      await world.recorder.timeline({ type: 'node', id: whole.key }),
    ]);
    expect(told).not.toContain(whole.password);
  });

  it.each([
    { title: 'another', kg: '0x0102030405060708' },
    { title: 'none', kg: '' },
  ])('says that the key K_g is wrong, and the password is not, where we have $title', async ({ kg }) => {
    const { bmc } = await setUp({ options: { kg } }, {}, { kg: 'the key of the house' });
    const failure = await bmc.power().catch((error) => error);
    expect(failure.code).toBe('bmc-key');
    expect(failure.message).toMatch(/takes the password of admin and not the key K_g: .*Set the BMC’s own key/);
    expect(JSON.stringify([failure, failure.details])).not.toMatch(/the key of the house|0102030405060708/);
  });

  it('says whose the console is, and takes it when told', async () => {
    const { bmc, power, access } = await setUp();
    const ends: (string | null)[] = [];
    await bmc.console!.open({ onData() {}, onClose: (reason) => ends.push(reason) });
    const other = power.bmc({ ...access, key: 'other', name: 'n2' });
    const failure = await other.console!.open({ onData() {} }).catch((error) => error);
    expect(failure.code).toBe('bmc-console-in-use');
    expect(failure.message).toMatch(
      /console of node n2 is held by another session at the BMC .*in use.*Close the program/,
    );
    const stream = await other.console!.open({ onData() {}, steal: true });
    await expect.poll(() => ends).toEqual([expect.stringMatching(/the BMC ended the console/)]);
    await stream.close();
    power.forget('other');
  });

  it('says in a sentence of its own that another’s session answers', async () => {
    const { virtual, access } = await setUp();
    // Two machines with one address: the other’s answers carry ids of sessions that we never had.
    virtual.faults.foreign = 1;
    const socket = await openIpmiSocket();
    const ipmi = createIpmiTransport({ socket });
    onTestFinished(() => void ipmi.close({ deadline: 1 }).then(() => socket.close()));
    const { address: host, port, username: user, password } = access;
    const error = await ipmi
      .session({ host, port, user, password })
      .open({ deadline: 700 })
      .catch((e) => e);
    const failure = ipmiFault(access, 'read the power state', error);
    expect(failure.code).toBe('bmc-foreign-session');
    expect(failure.message).toMatch(
      /answers with another’s session: .*not ours.*See that no two BMCs share this address/,
    );
  });

  it('speaks suite 17 where there is a choice, and goes back to one that is left', async () => {
    const { bmc } = await setUp();
    await bmc.power();
    expect((await bmc.probe!.suites()).spoken).toBe('cipher suite 17');
    const old = await setUp({}, {}, { suites: [3] });
    expect((await old.bmc.probe!.suites()).spoken).toBe('cipher suite 3');
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
