/** Every operation on nodes, killed and failed at every step, against the real agent on simulated machines. */
import { sql } from 'kysely';
import { expect, onTestFinished } from 'vitest';
import { createRack, diskOf, type Rack, type RackMachine } from '../../../test/setup/rack.ts';
import type { World } from '../../../test/setup/world.ts';
import type { House } from '../../core/house.ts';
import { operationConformance } from '../../core/operations/conformance.ts';
import type { Json, Operation } from '../../core/operations/index.ts';
import { createPower } from '../../power/index.ts';
import { accessOf } from '../driver-info.ts';
import type { Ground } from '../ground.ts';
import type { Baremetal } from '../index.ts';
import { type NodeOperations, nodeOperations } from '../provision.ts';
import { type NodePatch, nodeByUuid, patchNode } from '../store/nodes.ts';

/** The operation under test is built once and lives through several lives of the process: its ground is the present life's. */
function living(): { ground: Ground; enter(world: World, ground: Omit<Ground, 'house'>): void } {
  let house: House | null = null;
  let rest: Omit<Ground, 'house'> | null = null;
  const there = <T>(value: T | null): T => {
    if (value === null) throw new Error('nobody lives yet');
    return value;
  };
  return {
    ground: {
      get house() {
        return there(house);
      },
      get power() {
        return there(rest).power;
      },
      get images() {
        return there(rest).images;
      },
      hostname: 'undercloud',
      speed: 0.05,
      automatedClean: false,
      forgetAddress: async () => {},
    },
    enter(world, ground) {
      house = world;
      rest = ground;
    },
  };
}

const restsAfterFailure = ['enroll', 'manageable', 'inspect failed', 'clean failed', 'deploy failed', 'error'];

interface Case<Name extends keyof NodeOperations> {
  readonly name: Name;
  /** The node as the operation finds it. */
  readonly before: NodePatch;
  start(baremetal: Baremetal, world: World, uuid: string): Promise<void>;
  /** How the node must end. */
  readonly after: Record<string, unknown>;
  readonly writes?: boolean;
  /** What must hold of the machine and of what we keep, however it ended. */
  always?(world: World, rack: Rack, uuid: string): Promise<void>;
}

function conform<Name extends keyof NodeOperations>(test: Case<Name>): void {
  const life = living();
  const operation = nodeOperations(life.ground)[test.name] as unknown as Operation<Json>;
  operationConformance<Json>({
    operation,
    async stage(world, played, outside, number) {
      let rack = outside.get('rack') as Rack | undefined;
      if (!rack) {
        const made = await createRack();
        onTestFinished(() => made.close());
        outside.set('rack', made);
        outside.set('machine', made.machine());
        rack = made;
      }
      const machine = outside.get('machine') as RackMachine;
      const present = rack;
      const { baremetal } = await rack.attach(world);
      life.enter(world, {
        power: createPower(world, { fakes: rack.fakes }),
        images: { deployInfo: async () => present.image.info },
        hostname: 'undercloud',
        speed: 0.05,
        automatedClean: false,
        forgetAddress: async () => {},
      });
      world.operations.register(played);
      if (number === 1) {
        await baremetal.createNode(world.context, {
          uuid: machine.uuid,
          driver: 'fake-hardware',
          interfaces: { deploy: 'direct', inspect: 'agent' },
          ports: [{ address: machine.mac }],
        });
        await world.db.transaction((tx) => patchNode(tx, machine.uuid, test.before));
      }
      return {
        async start() {
          await test.start(baremetal, world, machine.uuid);
          const last = await world.operations.last({ type: 'node', id: machine.uuid });
          return last?.id ?? '';
        },
        async observe() {
          const node = await baremetal.findNode(world.context, machine.uuid);
          const last = await world.operations.last({ type: 'node', id: machine.uuid });
          if (last?.state === 'succeeded') expect(node).toMatchObject(test.after);
          else {
            // Whatever failed: it rests, says why, and gives no agent to a machine that asks.
            expect(restsAfterFailure).toContain(node.provisionState);
            expect(node.lastError).toBe(last?.error?.message);
            expect(node.boot).not.toBe('agent');
          }
          await test.always?.(world, present, machine.uuid);
          const { provisionState, targetProvisionState, powerState, targetPowerState, boot, used, lastError } = node;
          const agents = await sql`select from baremetal.agents`.execute(world.db.kysely);
          const tokens = await sql`select from baremetal.boot_tokens`.execute(world.db.kysely);
          if (test.writes && last?.state === 'succeeded')
            expect(diskOf(machine, present.image.raw.length).equals(present.image.raw)).toBe(true);
          return {
            node: { provisionState, targetProvisionState, powerState, targetPowerState, boot, used, lastError },
            machine: present.fakes.machine(machine.uuid).power,
            left: agents.rows.length + tokens.rows.length,
          };
        },
      };
    },
  });
}

const context = (world: World) => world.context;
const rest = { targetProvisionState: null, lastError: null, targetPowerState: null };

conform({
  name: 'verify',
  before: {},
  async start(baremetal, world, uuid) {
    await baremetal.setProvisionState(context(world), uuid, 'manage');
  },
  after: { ...rest, provisionState: 'manageable', powerState: 'off' },
});

conform({
  name: 'power',
  before: { provisionState: 'manageable' },
  start: (baremetal, world, uuid) => baremetal.setPower(context(world), uuid, 'rebooting'),
  after: { ...rest, provisionState: 'manageable', powerState: 'on' },
});

conform({
  name: 'checkBmc',
  before: { provisionState: 'manageable', powerState: 'off' },
  start: async (baremetal, world, uuid) => void (await baremetal.checkBmc(context(world), uuid)),
  after: { ...rest, provisionState: 'manageable', powerState: 'off' },
  async always(_world, rack, uuid) {
    expect(rack.fakes.machine(uuid)).toMatchObject({ bootDevice: null, power: 'off' });
  },
});

conform({
  name: 'rotatePassword',
  before: { provisionState: 'manageable', powerState: 'off' },
  start: async (baremetal, world, uuid) => void (await baremetal.rotatePassword(context(world), uuid)),
  after: { ...rest, provisionState: 'manageable', powerState: 'off' },
  async always(world, rack, uuid) {
    // Whatever was cut off where: what we keep opens the BMC.
    const node = await nodeByUuid(world.db, uuid);
    const { password } = accessOf(world.secrets, node as NonNullable<typeof node>);
    const held = rack.fakes.machine(uuid).password;
    expect(held === null || held === password).toBe(true);
  },
});

conform({
  name: 'inspect',
  before: { provisionState: 'manageable' },
  start: (baremetal, world, uuid) => baremetal.setProvisionState(context(world), uuid, 'inspect'),
  after: {
    ...rest,
    provisionState: 'manageable',
    powerState: 'off',
    properties: { cpus: 1, memory_mb: 512, cpu_arch: 'x86_64' },
  },
});

conform({
  name: 'deploy',
  before: { provisionState: 'available' },
  async start(baremetal, world, uuid) {
    await world.db.transaction((tx) => baremetal.deploy(tx, context(world), uuid, { imageId: 'test-image' }));
  },
  after: { ...rest, provisionState: 'active', powerState: 'on', boot: 'disk', used: true },
  writes: true,
});

conform({
  name: 'undeployAndErase',
  before: { provisionState: 'active', used: true, automatedClean: true },
  start: (baremetal, world, uuid) => baremetal.setProvisionState(context(world), uuid, 'deleted'),
  after: { ...rest, provisionState: 'available', powerState: 'off', boot: 'none', used: false },
});

conform({
  name: 'undeploy',
  before: { provisionState: 'active', used: true },
  start: (baremetal, world, uuid) => baremetal.setProvisionState(context(world), uuid, 'deleted'),
  after: { ...rest, provisionState: 'available', powerState: 'off', boot: 'none', used: true },
});

conform({
  name: 'deployWithoutAgent',
  before: { provisionState: 'available', interfaces: { deploy: 'fake' } },
  async start(baremetal, world, uuid) {
    await world.db.transaction((tx) => baremetal.deploy(tx, context(world), uuid, { imageId: '' }));
  },
  after: { ...rest, provisionState: 'active', powerState: 'on', boot: 'disk', used: true },
});

conform({
  name: 'clean',
  before: { provisionState: 'manageable', used: true },
  start: (baremetal, world, uuid) =>
    baremetal.setProvisionState(context(world), uuid, 'clean', {
      clean_steps: [{ interface: 'deploy', step: 'erase_devices_metadata' }],
    }),
  after: { ...rest, provisionState: 'manageable', powerState: 'off', used: false },
});
