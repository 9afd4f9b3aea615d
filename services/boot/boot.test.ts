import { expect, expectTypeOf, it } from 'vitest';
import { bootOn, fourWay, intent, macOf, nodeUuid, requestFor, scene, sent } from '../../test/setup/boot-scene.ts';
import type { Baremetal } from '../baremetal/index.ts';
import type { BootSource } from './index.ts';

const text = (bytes: Uint8Array | undefined) =>
  Buffer.from(bytes ?? [])
    .toString('latin1')
    .replaceAll('\0', '');

it.each([
  ['bios-ipxe-rom', 'http://127.0.0.254:8088/boot/tok/script.ipxe', 'BIOS iPXE'],
  ['uefi-ipxe-rom', 'http://127.0.0.254:8088/boot/tok/script.ipxe', 'UEFI iPXE'],
  ['tftp-uefi-x64-native-pxe', 'snponly.efi', 'UEFI PXE'],
  ['uefi-httpclient', 'http://127.0.0.254:8088/boot/loader/snponly.efi', 'UEFI HTTP boot'],
])('gives the deploy ramdisk’s way to %s', async (capture, file, client) => {
  const { world, dhcp, intents } = await scene();
  const discover = sent(capture, 'DISCOVER');
  const mac = macOf(discover);
  intents.set(mac, intent('agent', 'tok'));
  const ack = await fourWay(dhcp, discover);
  expect(text(ack.options.get(67))).toBe(file);
  expect(ack.file).toBe(file);
  // What UEFI HTTP boot demands back, and what PXE ROMs do.
  const vendorClass = { 'UEFI HTTP boot': 'HTTPClient', 'UEFI PXE': 'PXEClient' }[client];
  if (vendorClass) expect(text(ack.options.get(60))).toBe(vendorClass);
  const decision = await world.heard('boot.decision');
  expect(decision.subject).toEqual({ type: 'node', id: nodeUuid });
  expect(decision.data).toMatchObject({ mac, client, intent: 'agent' });
  const taken = await world.heard('dhcp.exchange', (event) => event.data.outcome === 'acknowledged');
  expect(taken.data.text).toMatch(new RegExp(`^${client} \\(${mac}\\) took 127\\.0\\.0\\.1 and `));
  // The boot token is not for readers of events.
  expect(JSON.stringify(taken.data)).not.toContain('tok/');
  expect(taken.durationMs).not.toBeNull();
});

it('gives undionly.kpxe to a BIOS ROM', async () => {
  const { dhcp, intents } = await scene();
  // The first stage of this capture was iPXE's ROM playing an ordinary one; without its own marks it is one.
  const discover = withoutOptions(sent('tftp-bios-undionly', 'DISCOVER'), [77, 175]);
  intents.set(macOf(discover), intent('agent', 'tok'));
  expect((await fourWay(dhcp, discover)).file).toBe('undionly.kpxe');
});

it('climbs the ladder where a loader comes to nothing, and remembers for the model what worked', async () => {
  const { world, dhcp, intents, base, network, boot, bootDir } = await scene();
  const rom = sent('tftp-uefi-x64-native-pxe', 'DISCOVER');
  const mac = macOf(rom);
  intents.set(mac, { ...intent('agent', 'tok'), model: 'Maker Model' });
  const files: string[] = [];
  for (let round = 0; round < 3; round += 1) files.push((await fourWay(dhcp, rom)).file);
  expect(files).toEqual(['snponly.efi', 'snponly.efi', 'ipxe.efi']);
  expect(await network.addressOf(mac)).toMatchObject({ ip: '127.0.0.1' });
  expect((await fetch(`${base}/boot/tok/script.ipxe`)).status).toBe(200);
  expect((await fourWay(dhcp, rom)).file).toBe('ipxe.efi');
  // Another machine of that model, and another process, begin where this one got to.
  await expect
    .poll(async () => (await world.db.pool.query('select rung, successes from boot.outcomes order by rung')).rows)
    .toEqual([
      { rung: 'ipxe.efi over TFTP', successes: 1 },
      { rung: 'snponly.efi over TFTP', successes: 0 },
    ]);
  await boot.stop();
  const again = await bootOn(world, network, intents, bootDir);
  const other = Buffer.from(rom);
  other[33] = 0x77;
  intents.delete(mac);
  intents.set(macOf(other), { ...intent('agent', 'tok'), model: 'Maker Model' });
  expect((await fourWay(again.dhcp, other)).file).toBe('ipxe.efi');
  intents.set(macOf(other), { ...intent('agent', 'tok'), model: 'Another Model' });
  expect((await fourWay(again.dhcp, other)).file).toBe('snponly.efi');
  await again.boot.stop();
});

it('takes what comes late or twice of a transaction for no new boot', async () => {
  const { world, dhcp, intents } = await scene();
  const rom = sent('tftp-uefi-x64-native-pxe', 'DISCOVER');
  intents.set(macOf(rom), intent('agent', 'tok'));
  const files: string[] = [];
  const say = async (packet: Buffer) => {
    dhcp.put(packet);
    const answer = await dhcp.answer();
    files.push(answer.file);
    return answer;
  };
  const offer = await say(rom);
  // A rack was switched on, and we are slow: firmware asks again and again, and all of it is answered in the end.
  for (let round = 0; round < 5; round += 1) {
    await say(requestFor(rom, offer));
    await say(rom);
  }
  expect(new Set(files)).toEqual(new Set(['snponly.efi']));
  expect((await world.db.pool.query('select rung from boot.outcomes')).rows).toEqual([]);
  // Counted as one attempt: a boot that begins anew makes it one failure, and the second one climbs.
  expect((await fourWay(dhcp, rom)).file).toBe('snponly.efi');
  expect((await fourWay(dhcp, rom)).file).toBe('ipxe.efi');
});

it('goes from both iPXEs to the signed chain, and then lets the firmware go on to HTTP boot', async () => {
  const { dhcp, intents } = await scene();
  const rom = sent('tftp-uefi-x64-native-pxe', 'DISCOVER');
  intents.set(macOf(rom), intent('agent', 'tok'));
  const files: string[] = [];
  for (let round = 0; round < 7; round += 1) files.push((await fourWay(dhcp, rom)).file);
  expect(files.slice(2)).toEqual(['ipxe.efi', 'ipxe.efi', 'shimx64.efi', 'shimx64.efi', '']);
});

it('breaks a loop with a sentence, until the next power cycle', async () => {
  const { world, dhcp, intents } = await scene();
  const rom = withoutOptions(sent('tftp-bios-undionly', 'DISCOVER'), [77, 175]);
  const mac = macOf(rom);
  intents.set(mac, intent('agent', 'tok'));
  const files: string[] = [];
  for (let round = 0; round < 10; round += 1) files.push((await fourWay(dhcp, rom)).file);
  expect(files).toEqual(['undionly.kpxe', 'undionly.kpxe', ...Array(6).fill('ipxe.pxe'), '', '']);
  const loop = await world.heard('boot.loop');
  expect(loop.data.text).toMatch(/^node-1 goes round in a loop: ipxe\.pxe over TFTP .* given nothing until \d\d:\d\d/);
  intents.set(mac, intent('agent', 'another power cycle'));
  expect((await fourWay(dhcp, rom)).file).not.toBe('');
});

it('gives a node that boots with Secure Boot the signed shim, also on the way to its disk', async () => {
  const { dhcp, intents } = await scene();
  const rom = sent('tftp-uefi-x64-native-pxe', 'DISCOVER');
  for (const what of ['agent', 'disk'] as const) {
    intents.set(macOf(rom), { ...intent(what, what === 'agent' ? 'tok' : undefined), secureBoot: true });
    expect((await fourWay(dhcp, rom)).file).toBe('shimx64.efi');
  }
  const http = sent('uefi-httpclient', 'DISCOVER');
  intents.set(macOf(http), { ...intent('agent', 'tok'), secureBoot: true });
  expect((await fourWay(dhcp, http)).file).toBe('');
});

it.each(['busybox-udhcpc-agent', 'busybox-udhcpc-os'])('gives %s an address and no boot file', async (capture) => {
  const { dhcp, intents } = await scene();
  const discover = sent(capture, 'DISCOVER');
  intents.set(macOf(discover), intent('agent', 'tok'));
  const ack = await fourWay(dhcp, discover);
  expect(ack.yiaddr).toBe(0x7f000001);
  expect(ack.file).toBe('');
  expect(ack.options.has(67)).toBe(false);
});

it('sends iPXE to the disk by a script, UEFI by disk.efi and a BIOS ROM by no boot file', async () => {
  const { dhcp, intents, base } = await scene();
  const ipxe = sent('uefi-ipxe-rom', 'DISCOVER');
  intents.set(macOf(ipxe), intent('disk'));
  expect((await fourWay(dhcp, ipxe)).file).toBe('http://127.0.0.254:8088/boot/disk/script.ipxe');
  const script = await (await fetch(`${base}/boot/disk/script.ipxe`)).text();
  expect(script).toContain('sanboot --no-describe --drive 0x80');
  expect(script).toContain('chain http://127.0.0.254:8088/boot/loader/disk.efi ||');
  const uefi = sent('tftp-uefi-x64-native-pxe', 'DISCOVER');
  intents.set(macOf(uefi), intent('disk'));
  expect((await fourWay(dhcp, uefi)).file).toBe('disk.efi');
  const bios = withoutOptions(sent('tftp-bios-undionly', 'DISCOVER'), [77, 175]);
  intents.set(macOf(bios), intent('disk'));
  expect((await fourWay(dhcp, bios)).file).toBe('');
  const none = sent('bios-ipxe-rom', 'DISCOVER');
  intents.set(macOf(none), intent('none'));
  expect((await fourWay(dhcp, none)).file).toBe('');
});

it('keeps one address for a machine whatever it is at the moment', async () => {
  const { dhcp, intents } = await scene();
  const stages = ['bios-ipxe-rom', 'busybox-udhcpc-agent', 'busybox-udhcpc-os'].map((name) => sent(name, 'DISCOVER'));
  const [first] = stages;
  const given = new Set<number>();
  for (const stage of stages) {
    first?.copy(stage, 28, 28, 34);
    intents.set(macOf(stage), intent('agent', 'tok'));
    given.add((await fourWay(dhcp, stage)).yiaddr);
  }
  expect([...given]).toEqual([0x7f000001]);
});

it('says nothing to machines that no node has, and says so once', async () => {
  const { world, dhcp } = await scene();
  const discover = sent('bios-ipxe-rom', 'DISCOVER');
  const seen: string[] = [];
  world.recorder.subscribe((event) => seen.push(event.kind));
  for (let i = 0; i < 5; i += 1) dhcp.put(discover);
  const event = await world.heard('boot.unknown-machine');
  expect(event.data.text).toContain(`${macOf(discover)} (BIOS iPXE) asked for an address on br0`);
  const known = sent('uefi-ipxe-rom', 'DISCOVER');
  dhcp.put(known);
  await world.heard('boot.unknown-machine', (other) => other.data.mac === macOf(known));
  expect(seen.filter((kind) => kind === 'boot.unknown-machine')).toHaveLength(macOf(known) === macOf(discover) ? 1 : 2);
  expect(dhcp.unread).toBe(0);
});

it('gives a bound port’s address from its commit on, and takes a deleted node’s away', async () => {
  const { world, network, dhcp, intents } = await scene();
  const discover = sent('busybox-udhcpc-os', 'DISCOVER');
  const mac = macOf(discover);
  intents.set(mac, intent('disk'));
  expect((await fourWay(dhcp, discover)).yiaddr).toBe(0x7f000001);
  const { network: net } = (await network.provisioning()) ?? {};
  const port = await network.createPort(world.context, {
    networkId: net?.id ?? '',
    fixedIps: [{ ipAddress: '127.0.0.40' }],
  });
  await world.db.transaction((tx) => network.bindPort(tx, port.id, { nodeId: nodeUuid, mac }));
  // A second look at the same MAC goes through the database, so this waits for what the commit set off.
  await expect.poll(async () => (await fourWay(dhcp, discover)).yiaddr).toBe(0x7f000028);
  await network.deletePort(world.context, port.id);
  await expect.poll(async () => (await fourWay(dhcp, discover)).yiaddr).toBe(0x7f000001);
});

it('hands out 121 with the metadata address beside the subnet’s own settings', async () => {
  const { dhcp, intents } = await scene();
  const discover = sent('busybox-udhcpc-os', 'DISCOVER');
  const asks = Buffer.from(discover);
  // 121 into the place of the last thing in its list.
  const list = asks.indexOf(Buffer.from([55]), 240);
  asks[list + 1 + (asks[list + 1] ?? 0)] = 121;
  intents.set(macOf(asks), intent('disk'));
  const ack = await fourWay(dhcp, asks);
  expect([...(ack.options.get(121) ?? [])]).toEqual([32, 169, 254, 169, 254, 127, 0, 0, 254]);
  expect([...(ack.options.get(1) ?? [])]).toEqual([255, 255, 255, 0]);
  expect([...(ack.options.get(6) ?? [])]).toEqual([127, 0, 0, 254]);
});

it('names domain, search list, time servers and, where it answers DNS, itself', async () => {
  const { dhcp, intents } = await scene({ provisioning: { domain: 'lab.example', ntp: ['127.0.0.9'] } });
  const discover = sent('busybox-udhcpc-os', 'DISCOVER');
  const asks = Buffer.from(discover);
  const list = asks.indexOf(Buffer.from([55]), 240);
  for (const [i, code] of [15, 42, 119].entries()) asks[list + 2 + i] = code;
  intents.set(macOf(asks), intent('disk'));
  const ack = await fourWay(dhcp, asks);
  expect(text(ack.options.get(15))).toBe('lab.example');
  expect([...(ack.options.get(42) ?? [])]).toEqual([127, 0, 0, 9]);
  expect(text(ack.options.get(119))).toContain('lab\x07example');
});

function withoutOptions(packet: Buffer, codes: readonly number[]): Buffer {
  const parts = [packet.subarray(0, 240)];
  for (let at = 240; at < packet.length && packet[at] !== 255; ) {
    const length = packet[at] === 0 ? 1 : 2 + (packet[at + 1] ?? 0);
    if (!codes.includes(packet[at] ?? 0)) parts.push(packet.subarray(at, at + length));
    at += length;
  }
  return Buffer.concat([...parts, Buffer.from([255])]);
}

it('goes on where it was after a restart: the binding, the address, and whose events they are', async () => {
  const first = await scene();
  const discover = sent('busybox-udhcpc-os', 'DISCOVER');
  first.intents.set(macOf(discover), intent('disk'));
  const ack = await fourWay(first.dhcp, discover);
  await first.boot.stop();
  first.dhcp.put(discover);
  const { boot, dhcp } = await bootOn(first.world, first.network, first.intents, first.bootDir);
  // The client does not begin anew: it only confirms what it has.
  const renewal = requestFor(discover, ack, 'renewing');
  dhcp.put(renewal);
  const again = await dhcp.answer();
  expect([again.options.get(53)?.[0], again.yiaddr]).toEqual([5, ack.yiaddr]);
  const event = await first.world.heard('dhcp.exchange', (one) => one.data.text.includes('renewed'));
  expect(event.subject).toEqual({ type: 'node', id: nodeUuid });
  expect(boot.macAt('127.0.0.1')).toBe(macOf(discover));
  expect(first.dhcp.unread).toBe(0);
  await boot.stop();
});

it('takes the baremetal service as it is', () => {
  expectTypeOf<Baremetal>().toExtend<BootSource>();
});
