import { describe, expect, it, onTestFinished } from 'vitest';
import { handClock } from '../../test/setup/hand-clock.ts';
import { createWorld } from '../../test/setup/world.ts';
import { defineOperation, done, minutes } from '../core/operations/index.ts';
import { createPower } from '../power/index.ts';
import { nodeSubject } from './ground.ts';
import { createBaremetal } from './index.ts';

const never = async () => {
  throw new Error('no image is wanted here');
};

async function setUp(nodes: number, databaseUrl?: string) {
  const { clock, pass } = handClock();
  const world = await createWorld({ clock, keep: true, ...(databaseUrl && { databaseUrl }) });
  const power = createPower(world, { clock });
  const baremetal = createBaremetal(world, {
    power,
    images: { deployInfo: never },
    authenticate: 'none',
    fleet: { everyMs: 9_000, silenceMs: 120_000 },
  });
  onTestFinished(async () => {
    await baremetal.stop();
    await power.close();
    await world.close();
  });
  const uuids: string[] = [];
  for (let n = 0; n < nodes; n++) {
    const columns = { provisionState: 'available', powerState: 'off' } as const;
    uuids.push((await baremetal.createNode(world.context, { driver: 'fake-hardware', name: `n${n}`, columns })).uuid);
  }
  await baremetal.start();
  const show = (uuid: string) => baremetal.findNode(world.context, uuid);
  /** Passes time, a second at a time, and lets the database settle in between. */
  const wait = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      await pass(Math.min(left, 1_000));
      await world.db.pool.query('select 1');
    }
  };
  /** The database is slower on some machines than the hand's clock: a second more, until it is so. */
  const until = async (holds: () => boolean | Promise<boolean>) => {
    for (let more = 0; more < 300 && !(await holds()); more++) {
      await wait(1_000);
      // Its connections may still be coming up, while this one answers a hundred times.
      await world.db.pool.query('select pg_sleep(0.01)');
    }
    expect(await holds()).toBe(true);
  };
  return {
    world,
    until,
    power,
    baremetal,
    uuids,
    show,
    pass,
    wait,
    machine: (uuid: string) => power.fakes.machine(uuid),
  };
}

describe('the fleet loop over nodes', () => {
  it('makes a pressed button an event within ten seconds, with one transaction for a whole rack', async () => {
    const { world, uuids, wait, machine, show } = await setUp(50);
    await wait(10_000);
    let visits = 0;
    world.db.pool.on('acquire', () => {
      visits += 1;
    });
    await wait(9_000);
    // Only this test's own: nodes at rest cost nothing.
    expect(visits).toBe(9);
    for (const uuid of uuids) machine(uuid).power = 'on';
    await wait(10_000);
    for (const uuid of uuids) {
      const event = await world.heard('node.power-state', ({ subject }) => subject.id === uuid);
      expect(event).toMatchObject({ data: { from: 'off', to: 'on' }, cause: 'the BMC said so' });
      expect((await show(uuid)).powerState).toBe('on');
    }
  });

  it('takes a node aside whose BMC is silent, says why, and puts it back when it answers', async () => {
    const { world, uuids, wait, until, machine, show } = await setUp(2);
    const [sick = '', healthy = ''] = uuids;
    machine(sick).failing = 'it is unplugged';
    await wait(110_000);
    expect((await show(sick)).maintenance).toBe(false);
    await until(async () => (await show(sick)).maintenance);
    await world.heard('node.maintenance', ({ subject, data }) => subject.id === sick && data.on);
    expect(await show(sick)).toMatchObject({ maintenance: true, fault: 'power failure' });
    expect((await show(sick)).maintenanceReason).toMatch(
      /^No answer from its BMC for 2 minutes\. The BMC .* of node n0 does not answer: it is unplugged\. Check its address/,
    );
    expect((await show(healthy)).maintenance).toBe(false);
    machine(sick).failing = null;
    await until(async () => !(await show(sick)).maintenance);
    await world.heard('node.maintenance', ({ subject, data }) => subject.id === sick && !data.on);
    expect(await show(sick)).toMatchObject({ maintenance: false, maintenanceReason: null, fault: null });
  });

  it('leaves to the operator what the operator took aside', async () => {
    const { world, baremetal, uuids, wait, until, machine, show } = await setUp(1);
    const [uuid = ''] = uuids;
    machine(uuid).failing = 'it is unplugged';
    await until(async () => (await show(uuid)).maintenance);
    const columns = { maintenance: true, maintenanceReason: 'new mainboard', fault: null };
    await baremetal.updateNode(world.context, uuid, { columns });
    machine(uuid).failing = null;
    await wait(200_000);
    await until(() => baremetal.bmcView(uuid) === null);
    expect(await show(uuid)).toMatchObject({ maintenance: true, maintenanceReason: 'new mainboard' });
  });

  it('remembers over a restart that a node was taken aside for silence', async () => {
    const { world, baremetal, uuids, until, show } = await setUp(1);
    const [uuid = ''] = uuids;
    const columns = { maintenance: true, maintenanceReason: 'silent', fault: 'power failure' };
    await baremetal.stop();
    await baremetal.updateNode(world.context, uuid, { columns });
    await baremetal.start();
    await until(async () => !(await show(uuid)).maintenance);
  });

  it('leaves a node to the operation that has it, and tells the state afterwards', async () => {
    const { world, baremetal, uuids, wait, until, machine, show } = await setUp(1);
    const [uuid = ''] = uuids;
    let finish = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const step = {
      ...{ name: 'hold', title: 'hold', deadlineMs: () => minutes(60), undo: { none: 'nothing was done' } },
      async do() {
        await held;
        return done(null);
      },
    };
    const operation = defineOperation<null>({ kind: 'test.hold', definition: 1, title: 'hold', steps: [step] });
    world.operations.register(operation);
    await world.operations.run();
    await world.db.transaction((tx) =>
      world.operations.start(tx, operation, { subject: nodeSubject(uuid), params: null, context: world.context }),
    );
    machine(uuid).power = 'on';
    await wait(20_000);
    expect((await show(uuid)).powerState).toBe('off');
    finish();
    await world.heard('operation.succeeded');
    await until(async () => (await show(uuid)).powerState === 'on');
    expect(baremetal.fleetCounts().watched).toBe(1);
  });

  it('looks again at once when somebody has corrected a password', async () => {
    const { world, baremetal, wait, until, machine } = await setUp(0);
    const columns = { provisionState: 'available', powerState: 'off' } as const;
    const driverInfo = { fake_password: 'wrong' };
    const { uuid } = await baremetal.createNode(world.context, { driver: 'fake-hardware', columns, driverInfo });
    Object.assign(machine(uuid), { password: 'right', power: 'on' });
    await until(() => baremetal.bmcView(uuid)?.breaker === 'open');
    expect(baremetal.bmcView(uuid)?.reason?.sentence).toMatch(/refuses the user/);
    await wait(300_000);
    await baremetal.updateNode(world.context, uuid, { driverInfo: { fake_password: 'right' } });
    let waited = 0;
    for (; baremetal.bmcView(uuid)?.power !== 'on' && waited < 20; waited++) {
      await wait(1_000);
      await world.db.pool.query('select pg_sleep(0.05)');
    }
    // The breaker's own pause would be minutes by now.
    expect(waited).toBeLessThan(20);
  });

  it('is left to one of several processes, and taken over when that one stops, or dies', async () => {
    const first = await setUp(1);
    const second = await setUp(0, first.world.databaseUrl);
    const [uuid = ''] = first.uuids;
    expect([first.baremetal.fleetCounts().watched, second.baremetal.fleetCounts().watched]).toEqual([1, 0]);
    await second.wait(60_000);
    expect(second.baremetal.bmcView(uuid)).toBeNull();

    await first.baremetal.stop();
    second.machine(uuid).power = 'on';
    await second.until(async () => (await second.show(uuid)).powerState === 'on');
    await first.baremetal.start();
    expect(first.baremetal.fleetCounts().watched).toBe(0);

    // It dies: its lease runs out by the database's clock, and is not renewed.
    await second.world.db.pool.query(
      `update baremetal.fleet_holder set until = clock_timestamp() - interval '1 second'`,
    );
    await first.until(() => first.baremetal.fleetCounts().watched === 1);
    // Dead it was not: it finds out, and looks no more.
    await second.until(() => second.baremetal.fleetCounts().watched === 0);
    const { rows } = await first.world.db.pool.query('select owner from baremetal.fleet_holder');
    expect(rows).toEqual([{ owner: `${first.world.operations.owner}, process ${process.pid}` }]);
  });

  it('follows nodes that come, change their access, and go, and those of other processes within a minute', async () => {
    const { world, baremetal, uuids, until, machine } = await setUp(1);
    const [first = ''] = uuids;
    const columns = { provisionState: 'available' } as const;
    const { uuid } = await baremetal.createNode(world.context, { driver: 'fake-hardware', columns });
    machine(uuid).power = 'on';
    await until(() => baremetal.bmcView(uuid)?.power === 'on');
    await world.heard('node.power-state', ({ subject }) => subject.id === uuid);
    await baremetal.deleteNode(world.context, first);
    await until(() => baremetal.bmcView(first) === null);
    // Another process says nothing here.
    await world.db.pool.query('delete from baremetal.nodes');
    await world.db.pool.query(
      `insert into baremetal.nodes (uuid, driver, provision_state) values (gen_random_uuid(), 'fake-hardware', 'available')`,
    );
    await until(() => baremetal.bmcView(uuid) === null && baremetal.fleetCounts().watched === 1);
  });
});
