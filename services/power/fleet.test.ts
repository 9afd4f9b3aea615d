import { describe, expect, it, onTestFinished } from 'vitest';
import { handClock } from '../../test/setup/hand-clock.ts';
import { createWorld } from '../../test/setup/world.ts';
import { type ErrorCode, fault } from '../core/errors/index.ts';
import { serveVirtualBmcs } from '../lab/index.ts';
import type { PowerState } from './bmc.ts';
import { createFleet, type FleetHooks, type FleetSettings } from './fleet.ts';
import { createPower } from './index.ts';

type Told = ['state', string, PowerState, PowerState | null] | ['silent', string, string] | ['return', string];

function scene(count: number, settings: Partial<FleetSettings> = {}, hooks: Partial<FleetHooks> = {}) {
  const { clock, pass } = handClock();
  const states = new Map<string, PowerState>();
  const sick = new Map<string, ErrorCode | 'stalls'>();
  const asked: { key: string; at: number }[] = [];
  const stalled: (() => void)[] = [];
  const told: Told[] = [];
  const fleet = createFleet(
    {
      clock,
      power(key) {
        asked.push({ key, at: clock.now() });
        const state = states.get(key);
        if (!state) return null;
        const ill = sick.get(key);
        if (ill === 'stalls') return new Promise((_, reject) => stalled.push(() => reject(new Error('too late'))));
        if (ill) return Promise.reject(fault(ill, { bmc: 'b', node: key, user: 'admin', text: 'it is ill' }));
        return Promise.resolve(state);
      },
    },
    {
      onState: (key, to, from) => void told.push(['state', key, to, from]),
      onSilent: (key, { reason }) => void told.push(['silent', key, reason.code]),
      onReturn: (key) => void told.push(['return', key]),
      ...hooks,
    },
    settings,
  );
  for (let n = 0; n < count; n++) {
    states.set(`n${n}`, 'off');
    fleet.watch(`n${n}`, 'off');
  }
  fleet.start();
  const looksAt = (key: string) => asked.filter((one) => one.key === key).map(({ at }) => at);
  return { fleet, pass, clock, states, sick, asked, told, stalled, looksAt };
}

describe('the fleet loop', () => {
  it('sees every change within ten seconds, and tells it once', async () => {
    const { pass, states, told } = scene(200);
    await pass(30_000);
    expect(told).toEqual([]);
    for (const key of states.keys()) states.set(key, 'on');
    await pass(10_000);
    expect(told.length).toBe(200);
    await pass(30_000);
    expect(told.length).toBe(200);
  });

  it('spreads its looks: no burst, at the beginning or later', async () => {
    const { pass, asked } = scene(900);
    await pass(60_000);
    const perSecond = new Map<number, number>();
    for (const { at } of asked) perSecond.set(Math.floor(at / 1000), (perSecond.get(Math.floor(at / 1000)) ?? 0) + 1);
    expect(Math.max(...perSecond.values())).toBeLessThan(200);
  });

  it('is not delayed by a BMC that never answers', async () => {
    const { pass, sick, states, told, fleet } = scene(20);
    for (const key of ['n0', 'n1', 'n2', 'n3']) sick.set(key, 'stalls');
    await pass(9_000);
    for (const key of states.keys()) states.set(key, 'on');
    await pass(10_000);
    expect(told.length).toBe(16);
    expect(fleet.counts().looking).toBe(4);
  });

  it('asks a sick BMC less and less often, and is back at once when it answers', async () => {
    const { pass, sick, looksAt, told, fleet } = scene(1);
    sick.set('n0', 'bmc-unreachable');
    await pass(600_000);
    const gaps = looksAt('n0').map((at, place, all) => at - (all[place - 1] ?? at));
    expect(gaps.length).toBeLessThan(15);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(120_400);
    expect(fleet.view('n0')).toMatchObject({ breaker: 'open', reason: { code: 'bmc-unreachable' } });
    expect(told).toEqual([['silent', 'n0', 'bmc-unreachable']]);
    sick.clear();
    await pass(121_000);
    expect(told.slice(1)).toEqual([['return', 'n0']]);
    const before = looksAt('n0').length;
    await pass(30_000);
    expect(looksAt('n0').length - before).toBeGreaterThanOrEqual(3);
  });

  it('does not try a refused password at the pace of the period, but does so when told', async () => {
    const { pass, sick, looksAt, fleet } = scene(1);
    sick.set('n0', 'bmc-credentials');
    await pass(50_000);
    expect(looksAt('n0').length).toBe(1);
    sick.clear();
    fleet.hurry('n0');
    await pass(400);
    expect(fleet.view('n0')).toMatchObject({ breaker: 'closed', failures: 0, power: 'off' });
  });

  it('tells of silence at the time that is set, not a pause later', async () => {
    const { pass, sick, told } = scene(1, { silenceMs: 40_000 });
    await pass(9_200);
    sick.set('n0', 'bmc-unreachable');
    await pass(41_000);
    expect(told).toEqual([['silent', 'n0', 'bmc-unreachable']]);
  });

  it('tells again what its listener could not take', async () => {
    const heard: PowerState[] = [];
    let failing = true;
    const { pass, states, fleet } = scene(
      1,
      {},
      {
        onState(_key, to) {
          if (failing) throw new Error('the database is away');
          heard.push(to);
        },
      },
    );
    states.set('n0', 'on');
    await pass(10_000);
    expect(fleet.view('n0')).toMatchObject({ power: 'off', failures: 0 });
    failing = false;
    await pass(10_000);
    expect(heard).toEqual(['on']);
  });

  it('takes no news for what was done by us, forgets who is gone, and rests when stopped', async () => {
    const { pass, states, told, fleet, asked } = scene(3);
    states.set('n0', 'on');
    fleet.know('n0', 'on');
    states.delete('n1');
    fleet.unwatch('n2');
    await pass(30_000);
    expect(told).toEqual([]);
    expect(fleet.counts().watched).toBe(1);
    fleet.stop();
    const before = asked.length;
    await pass(30_000);
    expect(asked.length).toBe(before);
  });

  it('catches up after the clock leapt', async () => {
    const { pass, states, told, clock } = scene(50);
    await pass(9_200);
    for (const key of states.keys()) states.set(key, 'on');
    const real = clock.now;
    clock.now = () => real() + 86_400_000;
    await pass(10_000);
    expect(told.length).toBe(50);
  });
});

describe('the fleet over IPMI', () => {
  it('sees machines change over kept sessions, with one BMC deaf, and writes no rows for healthy looks', async () => {
    const world = await createWorld({ keep: true });
    const lab = await serveVirtualBmcs({ count: 20 });
    const power = createPower(world);
    onTestFinished(async () => {
      lab.bmcs[0]!.faults.deaf = false;
      await power.close();
      lab.close();
      await world.close();
    });
    const news = new Map<string, PowerState>();
    let wake = () => {};
    const fleet = power.fleet(
      {
        onState(key, to) {
          news.set(key, to);
          wake();
        },
      },
      { everyMs: 300 },
    );
    const until = async (done: () => boolean) => {
      while (!done())
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    };
    const keys = lab.addresses.map((_, n) => `11111111-1111-4111-8111-${String(n).padStart(12, '0')}`);
    for (const [n, address] of lab.addresses.entries())
      fleet.watch({
        ...{ key: keys[n]!, driver: 'ipmi', address, port: lab.port, username: 'admin', password: 'secret' },
        options: {},
      });
    fleet.start();
    await until(() => news.size === 20);
    lab.bmcs[0]!.faults.deaf = true;
    for (const { machine } of lab.bmcs) machine.chassis.press(true);
    await until(() => [...news.values()].filter((state) => state === 'on').length === 19);
    expect(news.get(keys[0]!)).toBe('off');
    expect(lab.bmcs.every(({ sessions }) => sessions === 1)).toBe(true);
    await world.recorder.drain();
    const rows = await world.recorder.timeline({ type: 'node', id: keys[5]! });
    // A look that opens the session takes several datagrams and is a row; those that need one datagram are none.
    expect(rows.filter(({ data }) => (data as { attempts?: number }).attempts === 1)).toEqual([]);
    expect(lab.bmcs[5]!.commands).toBeGreaterThanOrEqual(2);
  });
});
