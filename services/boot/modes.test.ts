/** How the provisioning network is served: as the one DHCP server, beside another one, or for known machines alone. */
import { expect, it, onTestFinished } from 'vitest';
import { bootOn, fourWay, intent, macOf, nodeUuid, requestFor, scene, sent } from '../../test/setup/boot-scene.ts';
import { describeOption, formatAddress, OPTION } from '../dhcp/index.ts';

const firmware = sent('tftp-uefi-x64-native-pxe', 'DISCOVER');
const system = sent('busybox-udhcpc-os', 'DISCOVER');

it('as a server: a node gets its port’s address, anybody else one of the range', async () => {
  const { dhcp, intents } = await scene({
    provisioning: { dhcp: 'server', dhcpRanges: ['127.0.0.100-127.0.0.109', '127.0.0.120-127.0.0.129'] },
  });
  intents.set(macOf(firmware), intent('agent', 'token'));
  const node = await fourWay(dhcp, firmware);
  expect(formatAddress(node.yiaddr)).toMatch(/^127\.0\.0\.[1-6]?\d$/);
  expect(node.file).toBe('snponly.efi');
  const stranger = await fourWay(dhcp, system);
  expect(formatAddress(stranger.yiaddr)).toBe('127.0.0.100');
  expect(stranger.file).toBe('');
});

it('refuses a range that lies in the nodes’ addresses, and says which', async () => {
  await expect(scene({ provisioning: { dhcp: 'server', dhcpRanges: ['127.0.0.60-127.0.0.70'] } })).rejects.toThrow(
    'DHCP range 127.0.0.60-127.0.0.70 overlaps the addresses for nodes, 127.0.0.1 to 127.0.0.62: choose another --dhcp-range',
  );
});

it('as a proxy: a node’s firmware gets its boot file and no address, and nobody else hears anything', async () => {
  const { dhcp, intents, world } = await scene({ provisioning: { dhcp: 'proxy' } });
  intents.set(macOf(firmware), intent('agent', 'token'));
  dhcp.put(system);
  await world.heard('boot.unknown-machine');
  dhcp.put(firmware);
  const offer = await dhcp.answer();
  expect([offer.yiaddr, offer.options.get(OPTION.leaseTime)]).toEqual([0, undefined]);
  expect(offer.file).toBe('snponly.efi');
  expect(Buffer.from(offer.options.get(OPTION.vendorClass) ?? []).toString()).toBe('PXEClient');
  expect(dhcp.unread).toBe(0);
});

it('as a proxy: who takes the other server’s address has begun a boot, which is told, counted, and climbs the ladder', async () => {
  const { dhcp, intents, world } = await scene({ provisioning: { dhcp: 'proxy' } });
  intents.set(macOf(firmware), { ...intent('agent', 'token'), model: 'Maker Model' });
  const files: string[] = [];
  const decisions: unknown[] = [];
  world.recorder.subscribe(({ kind, subject }) => kind === 'boot.decision' && decisions.push(subject));
  for (let round = 0; round < 3; round += 1) {
    const asks = Buffer.from(firmware);
    asks.writeUInt32BE(round + 1, 4);
    dhcp.put(asks);
    const offer = await dhcp.answer();
    files.push(offer.file);
    const theirs = { ...offer, yiaddr: 0x7f0000c8, options: new Map([[OPTION.serverId, Uint8Array.of(127, 0, 0, 9)]]) };
    // Lost and repeated, it is one boot all the same.
    for (let i = 0; i < 2; i += 1) dhcp.put(requestFor(asks, theirs));
    await expect.poll(() => decisions).toEqual(Array(round + 1).fill({ type: 'node', id: nodeUuid }));
  }
  expect(files).toEqual(['snponly.efi', 'snponly.efi', 'ipxe.efi']);
  await world.recorder.drain();
  const texts = (await world.recorder.timeline({ type: 'node', id: nodeUuid }, { limit: 20 }))
    .filter(({ kind }) => kind === 'dhcp.exchange')
    .map(({ data }) => (data as { text: string }).text);
  expect(texts[0]).toMatch(/^UEFI PXE \(\S+\) was offered snponly\.efi beside another server’s address \[DISCOVER/);
  expect(texts[1]).toMatch(/ takes its address from the DHCP server 127\.0\.0\.9, beside which we give boot files$/);
});

it('behind a relay: a node gets an address of the subnet that the relay stands in, with that subnet’s gateway', async () => {
  const { network, world, intents, bootDir, boot } = await scene();
  const made = await network.provisioning();
  if (!made) throw new Error('no provisioning network');
  await network.createSubnet(world.context, {
    networkId: made.network.id,
    name: 'leaf1',
    cidr: '198.51.100.0/24',
    gatewayIp: '198.51.100.1',
    allocationPools: [{ start: '198.51.100.10', end: '198.51.100.20' }],
  });
  await boot.stop();
  // Subnets are read when it starts.
  const again = await bootOn(world, network, intents, bootDir);
  onTestFinished(() => again.boot.stop());
  intents.set(macOf(firmware), intent('agent', 'token'));
  const relayed = Buffer.from(firmware);
  relayed.set([198, 51, 100, 1], 24);
  const ack = await fourWay(again.dhcp, relayed);
  expect(formatAddress(ack.yiaddr)).toBe('198.51.100.10');
  expect([formatAddress(ack.giaddr), ack.file]).toEqual(['198.51.100.1', 'snponly.efi']);
  expect(describeOption(3, ack.options.get(3) ?? new Uint8Array())).toBe('198.51.100.1');
});
