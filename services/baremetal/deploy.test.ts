import { truncateSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRack, diskOf, type Rack, type RackMachine } from '../../test/setup/rack.ts';
import { createWorld, type World } from '../../test/setup/world.ts';
import type { Baremetal } from './index.ts';
import { patchNode } from './store/nodes.ts';

async function enrol(world: World, baremetal: Baremetal, machine: RackMachine): Promise<void> {
  await baremetal.createNode(world.context, {
    uuid: machine.uuid,
    driver: 'fake-hardware',
    interfaces: { deploy: 'direct', inspect: 'agent' },
    resourceClass: 'baremetal',
    ports: [{ address: machine.mac }],
  });
  await world.operations.run();
  for (const verb of ['manage', 'provide']) {
    await baremetal.setProvisionState(world.context, machine.uuid, verb);
    const last = await world.operations.last({ type: 'node', id: machine.uuid });
    expect((await world.operations.ended(last?.id ?? '')).error).toBeNull();
  }
}

async function setUp(): Promise<{ world: World; rack: Rack; baremetal: Baremetal; machine: RackMachine; url: string }> {
  const rack = await createRack();
  const world = await createWorld({ keep: true });
  onTestFinished(async () => {
    await rack.close();
    await world.close();
  });
  const { baremetal, url } = await rack.attach(world);
  const machine = rack.machine();
  await enrol(world, baremetal, machine);
  return { world, rack, baremetal, machine, url };
}

const deploy = (world: World, baremetal: Baremetal, uuid: string, more: { kexec?: boolean } = {}) =>
  world.db.transaction((tx) => baremetal.deploy(tx, world.context, uuid, { imageId: 'test-image', ...more }));

describe('deploy', () => {
  it('writes the image through the agent and starts it', async () => {
    const { world, rack, baremetal, machine } = await setUp();
    const begun = await deploy(world, baremetal, machine.uuid);
    // By its name it is read anew when the write begins; an image that is called so must not go meanwhile.
    const node = { uuid: machine.uuid, name: null };
    expect(await baremetal.nodesOfImage('by-its-id', 'test-image')).toEqual([node]);
    const row = await world.operations.ended(begun);
    expect(row.error).toBeNull();
    expect(await baremetal.nodesOfImage('by-its-id', 'test-image')).toEqual([]);
    expect(await baremetal.nodesOfImage('test-image', null)).toEqual([node]);
    expect(diskOf(machine, rack.image.raw.length).equals(rack.image.raw)).toBe(true);
    expect(await baremetal.findNode(world.context, machine.uuid)).toMatchObject({
      provisionState: 'active',
      powerState: 'on',
      boot: 'disk',
      used: true,
      lastError: null,
    });
    expect(machine.ends).toEqual(['power off']);
    expect(rack.fakes.machine(machine.uuid).bootDevice).toMatchObject({ device: 'disk', persistent: true });
    const kinds = (await baremetal.timeline(machine.uuid)).map(({ kind }) => kind);
    for (const kind of [
      'bmc.command',
      'node.boot-intent',
      'node.agent-lookup',
      'node.agent-heartbeat',
      'node.agent-command',
      'node.image-written',
    ])
      expect(kinds).toContain(kind);
    const states = (await baremetal.timeline(machine.uuid)).flatMap(({ kind, data }) =>
      kind === 'node.provision-state' ? [(data as { to: string }).to] : [],
    );
    expect(states.slice(-4)).toEqual(['deploying', 'wait call-back', 'deploying', 'active']);
  });

  it('ends where the agent finds the image not vouched for, or has nothing to preserve: the disk is as it was', async () => {
    const { world, rack, baremetal, machine } = await setUp();
    const { info } = rack.image;
    const before = diskOf(machine, rack.image.raw.length);
    const refused = async (sentence: RegExp) => {
      const row = await world.operations.ended(await deploy(world, baremetal, machine.uuid));
      expect(row.error?.message).toMatch(sentence);
      expect(diskOf(machine, rack.image.raw.length).equals(before)).toBe(true);
      expect(await baremetal.findNode(world.context, machine.uuid)).toMatchObject({ provisionState: 'deploy failed' });
    };
    const { manifest } = info;
    Object.assign(info, { manifest: { ...manifest, text: manifest?.text.replace('test-image', 'best-image') } });
    await refused(/could not “write the image to the disk”.*does not fit its signature/);
    Object.assign(info, { manifest, id: 'the-id-of-another' });
    await refused(/The manifest given for image the-id-of-another is that of image the-id-of-test-image/);
    Object.assign(info, { id: 'the-id-of-test-image' });
    await baremetal.updateNode(world.context, machine.uuid, { instanceInfo: { preserve_partitions: 'data' } });
    await refused(/Nothing was written, because partitions are to be preserved: disk .* has no partition table/);
    await baremetal.updateNode(world.context, machine.uuid, { instanceInfo: { preserve_ephemeral: 'maybe' } });
    await refused(/instance_info\/preserve_ephemeral is "maybe", not true or false/);
  });

  it('hands over by kexec where image and request allow it: the machine is not switched off', async () => {
    const { world, rack, baremetal, machine } = await setUp();
    const starts = rack.fakes.machine(machine.uuid).starts;
    const row = await world.operations.ended(await deploy(world, baremetal, machine.uuid, { kexec: true }));
    expect(row.error).toBeNull();
    expect(machine.ends).toEqual(['kexec']);
    expect(rack.fakes.machine(machine.uuid).starts).toBe(starts + 1);
    expect(await baremetal.findNode(world.context, machine.uuid)).toMatchObject({
      provisionState: 'active',
      powerState: 'on',
    });
  });

  it('hands over as the node says where nobody asks, and never by kexec where the node forbids it', async () => {
    const { world, baremetal, machine } = await setUp();
    const again = async (patch: Record<string, unknown>) => {
      await world.db.transaction((tx) => patchNode(tx, machine.uuid, { provisionState: 'available', ...patch }));
      const row = await world.operations.ended(await deploy(world, baremetal, machine.uuid));
      expect(row.error).toBeNull();
    };
    await again({ properties: { capabilities: 'boot_mode:bios,hand_over:kexec' } });
    await again({ instanceInfo: { hand_over: 'reset' } });
    await again({ instanceInfo: {}, driverInfo: { kexec: false } });
    expect(machine.ends).toEqual(['kexec', 'power off', 'power off']);
    await world.db.transaction((tx) =>
      patchNode(tx, machine.uuid, { provisionState: 'available', instanceInfo: { hand_over: 'jump' } }),
    );
    await expect(deploy(world, baremetal, machine.uuid)).rejects.toThrow(/hand_over is "jump".*kexec or reset/);
  });

  it('says what it waits for while a machine does not boot, and can be taken back meanwhile', async () => {
    const { world, rack, baremetal, machine } = await setUp();
    rack.answering = false;
    const id = await deploy(world, baremetal, machine.uuid);
    await world.heard('operation.waiting', ({ data }) => data.step === 'await-agent');
    const { activity } = await baremetal.activity(machine.uuid);
    expect(activity?.waiting?.on).toBe('the machine to ask for an address by DHCP');
    expect(activity?.waiting?.remedy).toMatch(/console/);
    expect((await baremetal.findNode(world.context, machine.uuid)).provisionState).toBe('wait call-back');
    const heardOf = { text: '', mac: machine.mac, message: 'DISCOVER', client: 'BIOS PXE', outcome: 'offered' };
    const more = { address: '192.0.2.10', bootFile: 'undionly.kpxe', reason: null, count: 1 };
    world.recorder.emit('dhcp.exchange', { type: 'node', id: machine.uuid }, { ...heardOf, ...more });
    await world.heard('operation.waiting', ({ data }) => data.on.startsWith('the machine to fetch its boot program'));
    await expect(baremetal.setProvisionState(world.context, machine.uuid, 'provide')).rejects.toThrow(
      /^Node \S+ is locked by host undercloud, please retry after the current operation is completed\. It is in the operation baremetal\.deploy at the step “wait for the agent”, which waits for the machine to fetch/,
    );
    await baremetal.setProvisionState(world.context, machine.uuid, 'deleted');
    expect((await world.operations.ended(id)).error?.code).toBe('operation-cancelled');
    await world.heard(
      'node.provision-state',
      ({ data }) =>
        data.to === 'available' &&
        data.from === 'cleaning' &&
        data.event === 'done' &&
        rack.fakes.machine(machine.uuid).starts === 1,
    );
    await world.heard('operation.succeeded', ({ data }) => data.kind === 'baremetal.undeploy');
    const node = await baremetal.findNode(world.context, machine.uuid);
    expect(node).toMatchObject({ provisionState: 'available', boot: 'none', powerState: 'off', instanceUuid: null });
  });

  it('ends in “deploy failed” with a reason when the disk is too small, and deploys when tried again', async () => {
    const { world, rack, baremetal } = await setUp();
    const small = rack.machine({ diskBytes: 2 * 1_048_576 });
    await enrol(world, baremetal, small);
    const row = await world.operations.ended(await deploy(world, baremetal, small.uuid));
    expect(row.error?.code).toBe('agent-failed');
    const node = await baremetal.findNode(world.context, small.uuid);
    expect(node).toMatchObject({
      provisionState: 'deploy failed',
      targetProvisionState: 'active',
      powerState: 'off',
      boot: 'none',
    });
    expect(node.lastError).toMatch(
      /could not “write the image to the disk”: .*2097152 bytes.*needs 3145728.*`active`.*`deleted`/,
    );
    truncateSync(small.disk, 8 * 1_048_576);
    expect((await world.operations.ended(await deploy(world, baremetal, small.uuid))).error).toBeNull();
    expect((await baremetal.findNode(world.context, small.uuid)).lastError).toBeNull();
  });

  it('ends with a reason when the image is spoilt, and the node can be taken back', async () => {
    const { world, rack, baremetal, machine } = await setUp();
    rack.image.object[1000] = (rack.image.object[1000] ?? 0) ^ 0xff;
    const row = await world.operations.ended(await deploy(world, baremetal, machine.uuid));
    expect(row.error?.code).toBe('agent-failed');
    expect((await baremetal.findNode(world.context, machine.uuid)).provisionState).toBe('deploy failed');
    await baremetal.setProvisionState(world.context, machine.uuid, 'deleted');
    await world.heard('operation.succeeded', ({ data }) => data.kind === 'baremetal.undeploy');
    expect((await baremetal.findNode(world.context, machine.uuid)).provisionState).toBe('available');
  });

  it('notices an agent that vanishes in the middle of its work', async () => {
    const { world, rack, baremetal } = await setUp();
    const machine = rack.machine({
      replace: {
        // The machine hangs: its agent answers nothing any more.
        disks: () => {
          void machine.agent?.stop();
          return new Promise(() => {});
        },
      },
    });
    await enrol(world, baremetal, machine);
    const row = await world.operations.ended(await deploy(world, baremetal, machine.uuid));
    expect(row.error?.code).toBe('agent-vanished');
    expect(row.error?.message).toMatch(/has not been heard for \d+ s while it should “write the image to the disk”/);
    expect((await baremetal.findNode(world.context, machine.uuid)).provisionState).toBe('deploy failed');
  });

  it('refuses what cannot be deployed before it touches the machine', async () => {
    const { world, rack, baremetal, machine } = await setUp();
    const id = await world.db.transaction((tx) => baremetal.deploy(tx, world.context, machine.uuid, { imageId: '' }));
    expect((await world.operations.ended(id)).error?.message).toMatch(/names no image.*image_source/);
    expect(rack.fakes.machine(machine.uuid).starts).toBe(0);
    await expect(
      world.db.transaction((tx) =>
        baremetal.claim(tx, { projectId: null, serverId: machine.uuid, resourceClass: 'gold' }),
      ),
    ).rejects.toThrow(/No node can take the server .* resource class gold\. Of 1 nodes 1 is of another resource class/);
  });
});
