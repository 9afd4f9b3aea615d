import { expect, it, onTestFinished } from 'vitest';
import { createRack } from '../../test/setup/rack.ts';
import { createWorld } from '../../test/setup/world.ts';

it('resets a machine whose boot went silent, from the network, and no more often than it should', async () => {
  const rack = await createRack();
  const world = await createWorld({ keep: true });
  onTestFinished(async () => {
    await rack.close();
    await world.close();
  });
  const { baremetal } = await rack.attach(world);
  const machine = rack.machine();
  await baremetal.createNode(world.context, {
    uuid: machine.uuid,
    driver: 'fake-hardware',
    interfaces: { deploy: 'direct', inspect: 'agent' },
    resourceClass: 'baremetal',
    ports: [{ address: machine.mac }],
  });
  await world.operations.run();
  const subject = { type: 'node', id: machine.uuid };
  for (const verb of ['manage', 'provide']) {
    await baremetal.setProvisionState(world.context, machine.uuid, verb);
    const last = await world.operations.last(subject);
    expect((await world.operations.ended(last?.id ?? '')).error).toBeNull();
  }
  // Its firmware asks and nothing comes of it: as a loader that does not start.
  rack.answering = false;
  const id = await world.db.transaction((tx) =>
    baremetal.deploy(tx, world.context, machine.uuid, { imageId: 'test-image' }),
  );
  await world.heard('operation.waiting', (event) => event.data.on.includes('to ask for an address'));
  const booted: (string | undefined)[] = [];
  rack.fakes.onChange(({ bootDevice }) => void booted.push(bootDevice?.device));
  const first = rack.fakes.machine(machine.uuid).starts;
  const goSilent = (step: string) =>
    world.recorder.emit('boot.silent', subject, {
      text: 'silent',
      step,
      awaits: 'the boot program to ask for an address',
      cause: 'snponly.efi does not start',
      remedy: 'Power-cycle the node.',
      model: 'm',
      silentMs: 9_000,
      usualMs: 100,
      boots: 3,
    });
  // In the ramdisk a reset would take the reason with it.
  goSilent('ramdisk');
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    goSilent('loader');
    const retry = await world.heard('node.boot-retry', (event) => event.data.attempt === attempt);
    expect(retry.data).toEqual({ attempt, of: 5, because: 'snponly.efi does not start' });
    await expect.poll(() => rack.fakes.machine(machine.uuid).starts).toBe(first + attempt);
    expect(booted.at(-1)).toBe('pxe');
  }
  goSilent('loader');
  await world.heard('operation.waiting', (event) => event.data.on.includes('snponly.efi does not start'));
  expect(rack.fakes.machine(machine.uuid).starts).toBe(first + 5);
  // Somebody mends it: the deploy goes on where it was.
  rack.answering = true;
  const bmc = await baremetal.bmcOf(machine.uuid);
  await bmc.setBootDevice({ device: 'pxe', persistent: false, efi: false });
  await bmc.setPower('reboot');
  expect((await world.operations.ended(id)).error).toBeNull();
});
