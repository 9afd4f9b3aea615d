import { expect, it, onTestFinished } from 'vitest';
import { createRack } from '../../test/setup/rack.ts';
import { createWorld } from '../../test/setup/world.ts';
import type { Wait } from '../core/operations/index.ts';
import { bootStage } from './steps/boot-stage.ts';

const foreign: Wait = { on: 'the foreign DHCP server 192.0.2.77 to go', remedy: 'Stop that server.', recheckMs: 50 };

async function stage() {
  const rack = await createRack();
  const world = await createWorld({ keep: true });
  onTestFinished(async () => {
    await rack.close();
    await world.close();
  });
  let hold: Wait | null = null;
  const { baremetal } = await rack.attach(world, { bootHold: () => hold });
  const machine = rack.machine();
  await baremetal.createNode(world.context, {
    uuid: machine.uuid,
    driver: 'fake-hardware',
    interfaces: { deploy: 'direct', inspect: 'agent' },
    resourceClass: 'baremetal',
    ports: [{ address: machine.mac }],
  });
  await world.operations.run();
  const end = async () => {
    const last = await world.operations.last({ type: 'node', id: machine.uuid });
    return world.operations.ended(last?.id ?? '');
  };
  for (const verb of ['manage', 'provide']) {
    await baremetal.setProvisionState(world.context, machine.uuid, verb);
    expect((await end()).error).toBeNull();
  }
  const setHold = (wait: Wait | null) => {
    hold = wait;
  };
  return { rack, world, baremetal, machine, end, setHold };
}

it('waits with a deploy while boot says so, tells what for, and goes on by itself', async () => {
  const { world, rack, baremetal, machine, end, setHold } = await stage();
  setHold(foreign);
  await world.db.transaction((tx) => baremetal.deploy(tx, world.context, machine.uuid, { imageId: 'test-image' }));
  await world.heard('operation.waiting', (event) => event.data.on === foreign.on);
  const { activity } = await baremetal.activity(machine.uuid);
  expect(activity).toMatchObject({ step: 'boot-device', waiting: { on: foreign.on, remedy: foreign.remedy } });
  // Not switched on, and not even told what to boot.
  expect(rack.fakes.machine(machine.uuid).power).toBe('off');
  expect(await baremetal.bootIntent(machine.mac)).toMatchObject({ intent: 'none' });
  setHold(null);
  expect((await end()).error).toBeNull();
  expect(await baremetal.findNode(world.context, machine.uuid)).toMatchObject({ provisionState: 'active' });
});

it('lets the wait for an agent say what boot says of a silence, until the machine is heard of again', async () => {
  const { world, baremetal, machine } = await stage();
  const subject = { type: 'node', id: machine.uuid };
  const node = (await baremetal.findNode(world.context, machine.uuid)) as never;
  const stageNow = () => bootStage({ house: world } as never, node);
  world.recorder.emit('boot.silent', subject, {
    text: 'silent',
    step: 'asks',
    awaits: 'the machine to fetch its boot program',
    cause: 'snponly.efi is not among the boot files',
    remedy: 'Run `undercloud bootstrap` again.',
    model: 'm',
    silentMs: 9_000,
    usualMs: 100,
    boots: 3,
  });
  expect(await stageNow()).toEqual({
    on: 'the machine to fetch its boot program; it is silent, likely because snponly.efi is not among the boot files',
    remedy: 'Run `undercloud bootstrap` again.',
  });
  world.recorder.emit('boot.loop', subject, { text: 'node-1 goes round in a loop', mac: machine.mac });
  expect((await stageNow()).on).toBe('the machine to leave its loop: node-1 goes round in a loop');
  world.recorder.emit('http.fetch', subject, {
    text: '',
    method: 'GET',
    file: 'script.ipxe',
    status: 200,
    bytes: 1,
    size: 1,
  });
  expect((await stageNow()).on).toBe('the machine to fetch the agent’s kernel and ramdisk');
});

it('knows the model and Secure Boot of a node', async () => {
  const { world, baremetal, machine } = await stage();
  expect(await baremetal.bootIntent(machine.mac)).toMatchObject({ model: null, secureBoot: false });
  await baremetal.updateNode(world.context, machine.uuid, {
    properties: { capabilities: 'boot_mode:uefi,secure_boot:true' },
  });
  expect(await baremetal.bootIntent(machine.mac)).toMatchObject({ secureBoot: true });
  // What is being deployed may say otherwise.
  await baremetal.updateNode(world.context, machine.uuid, { instanceInfo: { capabilities: { secure_boot: 'false' } } });
  expect(await baremetal.bootIntent(machine.mac)).toMatchObject({ secureBoot: false });
});
