import { describe, expect, it, onTestFinished } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { startIpmiSim } from '../ipmi/ipmi-sim.fixture.ts';
import { type ServeOptions, serveVirtualBmcs, type VirtualBmc } from '../lab/index.ts';
import type { BmcAccess } from './bmc.ts';
import { createFakeMachines, createPower } from './index.ts';
import { type CardCheck, examine } from './report-card.ts';

async function setUp(its: Partial<ServeOptions> = {}, options: BmcAccess['options'] = {}) {
  const world = await createWorld({ keep: true });
  const { bmcs, port, addresses, close } = await serveVirtualBmcs({ ...its, count: 1 });
  const power = createPower(world);
  onTestFinished(async () => {
    await power.close();
    close();
    await world.close();
  });
  const access: BmcAccess = {
    ...{ key: 'n1', driver: 'ipmi', address: addresses[0]!, port, username: 'admin', password: 'secret', options },
  };
  const virtual = bmcs[0] as VirtualBmc;
  const card = async () => {
    const found = await examine(power.bmc(access), { now: Date.now });
    return { ...found, of: (check: CardCheck) => found.rows.find((row) => row.check === check)! };
  };
  return { power, access, virtual, card };
}

describe('the report card', () => {
  it('has nothing to say against a good BMC, and leaves it as it was', async () => {
    const { card, virtual, power, access } = await setUp();
    const { rows, quirks, info } = await card();
    expect(rows.map(({ check, verdict }) => [check, verdict])).toEqual([
      ...['latency', 'suites', 'sessions', 'boot-override', 'console', 'clock', 'firmware', 'capabilities'].map(
        (check) => [check, 'ok'],
      ),
    ]);
    expect(quirks).toEqual({ suite: 17 });
    expect(info.model).toBe('product 0x0001');
    expect(await power.bmc(access).bootDevice()).toBeNull();
    expect([virtual.machine.chassis.on, virtual.sessions]).toEqual([false, 1]);
  });

  it('finds out what lies, and what the driver does about it', async () => {
    const { card, virtual, power, access } = await setUp({ suites: [3], maxSessions: 2 });
    virtual.machine.chassis.bootTruth = 'forgets';
    virtual.machine.skew = 7_200;
    virtual.machine.console.enabled = false;
    const { of, quirks } = await card();
    expect(of('suites')).toMatchObject({ verdict: 'warning', wrong: 'it has no SHA-256 (suite 17)' });
    expect(of('sessions').measured).toMatch(
      /^1 more sessions were opened beside ours, then it was full, it says that it has 2/,
    );
    expect(of('boot-override')).toMatchObject({ verdict: 'bad', wrong: 'it takes boot devices and forgets them' });
    expect(of('clock').measured).toMatch(/^7(199|200) s ahead$/);
    expect(of('console')).toMatchObject({
      verdict: 'bad',
      wrong: expect.stringMatching(/serial over LAN is disabled/),
    });
    expect(quirks).toEqual({ suite: 3, bootNotKept: true });

    // What was learnt is used: the device is set, and not insisted upon; suite 3 is the first that is tried.
    const wanted = { device: 'pxe', persistent: false, efi: false } as const;
    await expect(power.bmc(access).setBootDevice(wanted)).rejects.toThrow(/was told to boot from pxe/);
    const wise = power.bmc({ ...access, options: { ...quirks } });
    await wise.setBootDevice(wanted);
  });

  it('measures a BMC that stalls now and then, and one whose slots are all taken', async () => {
    const { card, virtual } = await setUp({ seed: 5, faults: { stall: 0.04, stallMs: 700 } });
    expect((await card()).of('latency')).toMatchObject({ verdict: 'warning', wrong: 'it is slow to answer' });
    Object.assign(virtual.faults, { stall: 0, sessionsFull: true });
    const { of } = await card();
    expect(of('sessions')).toMatchObject({ verdict: 'warning', wrong: 'it has no session beside ours' });
    expect(of('console').wrong).toMatch(/has no free session/);
  });

  it('finds in OpenIPMI’s simulator what is known of it', async () => {
    const sim = await startIpmiSim();
    onTestFinished(() => sim.close());
    const { power, access } = await setUp();
    const { rows, quirks } = await examine(power.bmc({ ...access, key: 'sim', address: '127.0.0.1', port: sim.port }), {
      now: Date.now,
    });
    const of = (check: CardCheck) => rows.find((row) => row.check === check);
    expect(quirks).toEqual({ suite: 3 });
    expect(of('suites')?.measured).toBe('speaks cipher suite 3, accepts 3, 2, 1, does not say which it has');
    // It keeps the device alone, and drops what goes with it.
    expect(of('boot-override')).toMatchObject({ verdict: 'warning', wrong: 'it drops part of what is set' });
    expect(of('console')).toMatchObject({ verdict: 'ok' });
    expect(of('capabilities')?.wrong).toBe('it has no inventory');
    power.forget('sim');
  }, 60_000);

  it('is a card of any driver', async () => {
    const fakes = createFakeMachines();
    const access: BmcAccess = {
      ...{ key: 'n1', driver: 'fake', address: '', port: 623, username: '', password: '', options: {} },
    };
    const { rows } = await examine(fakes.bmc(access), { now: Date.now });
    expect(rows.map(({ verdict }) => verdict)).not.toContain('bad');
    fakes.machine('n1').failing = 'it is unplugged';
    await expect(examine(fakes.bmc(access), { now: Date.now })).rejects.toThrow(/does not answer: it is unplugged/);
  });
});
