/** Boot-override truth, learnt from boots: virtual BMCs that read a boot device back and boot another, by IPMI. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import type { EventMap } from '../core/events/index.ts';
import { type BootTruth, serveVirtualBmcs, type VirtualBoot } from '../lab/index.ts';
import { bootsRow, createPower } from '../power/index.ts';
import { nodeSubject } from './ground.ts';
import { createBaremetal } from './index.ts';
import { bootsOf } from './store/boots.ts';

const PXE = 1;

async function setUp(bootTruth: BootTruth) {
  const world = await createWorld({ keep: true });
  const power = createPower(world);
  const baremetal = createBaremetal(world, {
    power,
    images: { deployInfo: () => Promise.reject(new Error('no image is wanted here')) },
    authenticate: 'none',
    fleet: null,
  });
  const boots: VirtualBoot[] = [];
  const address = '52:54:00:00:02:01';
  let uuid = '';
  const heard = (client: string) =>
    world.recorder.emit('dhcp.exchange', nodeSubject(uuid), {
      ...{ text: `${client} asks`, mac: address, message: 'DISCOVER', client, outcome: 'offered', address: null },
      ...{ bootFile: null, reason: null, count: 1 },
    });
  let ownOrder = 'the running system';
  const served = await serveVirtualBmcs({
    count: 1,
    chassis: { onBoot: (boot) => void boots.push(boot) },
  });
  // Firmware takes its time: nobody asks before it is known that the machine was switched on, or reset.
  world.recorder.subscribe(({ kind, data }) => {
    if (kind !== 'node.boot-retry' && !(kind === 'node.power-state' && (data as { to: string }).to === 'on')) return;
    const client = boots.at(-1)?.selector === PXE ? 'BIOS PXE' : ownOrder;
    if (client !== '') setImmediate(() => heard(client));
  });
  const [bmc] = served.bmcs;
  bmc!.machine.chassis.bootTruth = bootTruth;
  onTestFinished(async () => {
    await baremetal.stop();
    await power.close();
    served.close();
    await world.close();
  });
  const node = await baremetal.createNode(world.context, {
    ...{ driver: 'ipmi', name: 'liar', interfaces: { inspect: 'agent' } },
    driverInfo: {
      ...{ ipmi_address: served.addresses[0]!, ipmi_port: served.port },
      ...{ ipmi_username: 'admin', ipmi_password: 'secret' },
    },
    ports: [{ address }],
  });
  uuid = node.uuid;
  await baremetal.start();
  await world.operations.run();
  const verb = (name: string) => baremetal.setProvisionState(world.context, uuid, name);
  const state = async () => (await baremetal.findNode(world.context, uuid)).provisionState;
  /** Until no operation has the node. */
  const settled = async (wanted: string) => {
    const last = await world.operations.last(nodeSubject(uuid));
    await world.operations.ended(last?.id ?? '');
    await expect.poll(state).toBe(wanted);
  };
  await verb('manage');
  await settled('manageable');
  const overrides = async () => {
    await world.recorder.drain();
    const events = await baremetal.timeline(uuid);
    return events.flatMap(({ kind, data }) =>
      kind === 'node.boot-override' ? [data as EventMap['node.boot-override']] : [],
    );
  };
  return {
    ...{ world, baremetal, boots, overrides, heard, bmc: bmc!, uuid },
    ownOrder(client: string) {
      ownOrder = client;
    },
    /** Boots the agent, which never comes, until the network was asked `asked` times or `until` holds; ends as it began. */
    async inspect(until: () => boolean | Promise<boolean>) {
      await verb('inspect');
      await expect.poll(until, { timeout: 20_000, interval: 30 }).toBe(true);
      await expect.poll(state).toBe('inspect wait');
      await verb('abort');
      await settled('inspect failed');
      await verb('manage');
      await settled('manageable');
    },
    quirks: async () => (await baremetal.findNode(world.context, uuid)).driverInternalInfo.bmc_quirks,
    kind: { vendor: 'manufacturer 65534', model: 'product 0x0001', firmware: '1.00' },
  };
}

describe('a boot device that is read back and not obeyed', { timeout: 60_000 }, () => {
  it('is found by the boot, set for every boot instead, in the same operation and from then on', async () => {
    const { boots, inspect, overrides, quirks, world, kind, uuid } = await setUp('ignores-once');
    await inspect(async () => (await bootsOf(world.db, kind)).length === 2);
    expect(boots.map(({ selector, persistent }) => [selector, persistent])).toEqual([
      [0, false],
      [PXE, true],
    ]);
    expect(await overrides()).toEqual([
      {
        ...{ device: 'pxe', way: 'once', verdict: 'ignored' },
        text: 'the BMC had read back “boot from the network”, and the system on the disk was booted',
        remedy: 'It is told another way: for every boot.',
      },
    ]);
    await world.heard('node.boot-retry', ({ subject }) => subject.id === uuid);
    expect(await quirks()).toMatchObject({ bootWay: 'always' });
    expect(bootsRow(await bootsOf(world.db, kind))).toMatchObject({
      ...{ check: 'boots', verdict: 'bad', measured: 'network: 1 of 2 boots went there' },
      wrong: 'it reads the network back as the boot device, and one boot went to the disk',
      answer: expect.stringMatching(/^The network is set for every boot instead of for one;/),
    });
    boots.length = 0;
    await inspect(() => boots.length > 0);
    expect(boots).toMatchObject([{ selector: PXE, persistent: true }]);
    expect(await overrides()).toHaveLength(1);
  });

  it('is set again when the machine is on, where switching on loses it', async () => {
    const { boots, inspect, overrides, quirks } = await setUp('ignores-on');
    const networked = () => boots.at(-1)?.selector === PXE;
    await inspect(networked);
    expect((await overrides()).map(({ way }) => way)).toEqual(['once']);
    boots.length = 0;
    await inspect(networked);
    expect((await overrides()).map(({ way }) => way)).toEqual(['once', 'always']);
    await expect.poll(quirks).toMatchObject({ bootWay: 'again' });
    boots.length = 0;
    // Power comes, the BMC loses it, and the reset after it is obeyed: one power-on and one reset, and nobody had to find out.
    await inspect(networked);
    expect(boots.map(({ selector }) => selector)).toEqual([0, PXE]);
    expect(await overrides()).toHaveLength(2);
  });

  it('is told with the remedy where no way helps, and no more resets are tried', async () => {
    const { boots, inspect, overrides, quirks, world, kind, uuid } = await setUp('ignores');
    await inspect(async () => (await overrides()).length >= 3);
    const found = await overrides();
    expect(found.map(({ way }) => way)).toEqual(['once', 'always', 'again']);
    expect(found.at(-1)!.remedy).toMatch(/^Put the network first in the firmware’s boot order/);
    expect(await quirks()).toMatchObject({ bootWay: 'again', bootIgnored: true });
    expect(bootsRow(await bootsOf(world.db, kind)).answer).toMatch(/^None of the three ways of setting it is obeyed/);
    expect(boots.every(({ selector }) => selector === 0)).toBe(true);
    const waits = (await world.recorder.timeline(nodeSubject(uuid))).filter(({ kind }) => kind === 'operation.waiting');
    expect(JSON.stringify(waits)).toContain('the system on the disk was booted');
  });

  it('is found of the disk too, which our answer mends', async () => {
    const { baremetal, world, bmc, uuid, overrides, ownOrder, kind, heard } = await setUp('ignores');
    ownOrder('UEFI PXE');
    const api = await (await import('../core/http/index.ts')).createApi();
    await api.register(baremetal.routes, { prefix: '/baremetal' });
    const url = `/baremetal/v1/nodes/${uuid}/management/boot_device`;
    const answer = await api.inject({ method: 'PUT', url, payload: { boot_device: 'disk', persistent: true } });
    expect(answer.statusCode).toBe(204);
    await baremetal.setPower(world.context, uuid, 'power on');
    await expect.poll(overrides).toMatchObject([{ device: 'disk', verdict: 'ignored' }]);
    // The system that our answer led it to is not a second boot.
    heard('the running system');
    bmc.machine.chassis.bootTruth = 'honest';
    expect(bootsRow(await bootsOf(world.db, kind))).toMatchObject({
      ...{ verdict: 'warning', measured: 'disk: 0 of 1 boots went there' },
      wrong: 'machines that it was told to boot from disk ask the network first',
    });
    const shown = await api.inject({ url: `/baremetal/v1/nodes/${uuid}/bmc` });
    expect(shown.json()).toMatchObject({ boots: { check: 'boots', verdict: 'warning' }, card: null });
    await api.close();
  });

  it('may be a cable: silence is told of, and counts only as long as nothing else was heard', async () => {
    const { world, inspect, overrides, quirks, ownOrder, uuid, kind } = await setUp('ignores');
    // In front of an empty disk: no request at all, but for the one that we play.
    ownOrder('');
    const silent = () =>
      world.recorder.emit('boot.silent', nodeSubject(uuid), {
        ...{ text: 'silent', step: 'power-on', awaits: 'the machine to ask for an address by DHCP', cause: 'x' },
        ...{ remedy: 'y', model: 'm', silentMs: 600_000, usualMs: 150_000, boots: 0 },
      });
    await inspect(async () => {
      silent();
      return (await overrides()).length > 0;
    });
    expect(await overrides()).toMatchObject([{ device: 'pxe', way: 'once', verdict: 'unheard' }]);
    expect(await quirks()).toMatchObject({ bootWay: 'always' });
    expect(bootsRow(await bootsOf(world.db, kind))).toMatchObject({
      ...{ verdict: 'warning', measured: 'network: 0 of 1 boots went there, 1 never heard' },
      answer: expect.stringMatching(/Look at cable, switch port and VLAN too\.$/),
    });
  });
});
