import { describe, expect, it } from 'vitest';
import { formatAddress } from './address.ts';
import { captures } from './captured.fixture.ts';
import { text } from './client-class.ts';
import { bench, LAN } from './engine.fixture.ts';
import type { BootFor } from './exchange.ts';
import { describeOption } from './option-values.ts';
import { type DhcpPacket, decodePacket, encodePacket } from './packet.ts';
import type { SubnetConfig } from './subnet.ts';

/**
 * The clients' captured packets are put to our engine, configured as the reference dnsmasq was, and the answers are compared in substance: message,
 * addresses, next server, boot file and the options both send.
 */

const FAR: SubnetConfig = {
  ...LAN,
  id: 'far',
  cidr: '203.0.113.0/24',
  link: 'far',
  serverAddress: '198.51.100.1',
  pools: [{ from: '203.0.113.150', to: '203.0.113.199' }],
  router: '203.0.113.1',
  dns: [],
};

/** dnsmasq.conf's dhcp-boot lines. n3 gets undionly.kpxe from a ROM that is iPXE already (its first exchange), as in the capture. */
function bootLikeTheReference(first: () => boolean): BootFor {
  return async ({ mac, arch, isIpxe, client }) => {
    if (client.isHttpBoot) return { filename: 'http://192.0.2.1:8080/snponly.efi' };
    if (mac === '52:54:00:aa:00:03' && first()) return { filename: 'undionly.kpxe' };
    if (isIpxe) return { filename: 'http://192.0.2.1:8080/boot.ipxe' };
    return arch === 7 ? { filename: 'ipxe.efi', serverName: 'uc' } : 'nothing';
  };
}

const ADDRESSES = {
  '52:54:00:aa:00:01': '192.0.2.185',
  '52:54:00:aa:00:03': '192.0.2.187',
  '52:54:00:aa:00:04': '192.0.2.188',
  '52:54:00:bb:00:01': '203.0.113.170',
};

function parse(bytes: Uint8Array): DhcpPacket {
  const result = decodePacket(bytes);
  if (!result.ok) throw new Error(result.reason);
  return result.packet;
}

/** What must be equal. Host name and FQDN echoes are dnsmasq's own habit, and are left out. */
function substance(packet: DhcpPacket): Record<string, unknown> {
  const option = (code: number): string | undefined => {
    const value = packet.options.get(code);
    return value && describeOption(code, value);
  };
  return {
    xid: packet.xid,
    flags: packet.flags,
    yiaddr: formatAddress(packet.yiaddr),
    siaddr: formatAddress(packet.siaddr),
    giaddr: formatAddress(packet.giaddr),
    bootFile: text(packet.options.get(67)) ?? packet.file,
    options: Object.fromEntries([1, 3, 6, 28, 42, 51, 53, 54, 58, 59, 82, 175].map((code) => [code, option(code)])),
  };
}

describe('answers to captured clients', () => {
  for (const { name, packets } of captures()) {
    it(`${name}: as dnsmasq's, in substance`, async () => {
      const relayed = name.includes('relayed');
      let exchange = 0;
      const boot = bootLikeTheReference(() => exchange < 2);
      const at = await bench([{ ...LAN, pools: [], ntp: ['192.0.2.1'] }, FAR], boot);
      for (const [mac, address] of Object.entries(ADDRESSES)) at.engine.reservations.set({ mac, address });
      const unanswered: DhcpPacket[] = [];
      let compared = 0;
      for (const { bytes, src, sport } of packets) {
        const packet = parse(bytes);
        if (packet.op === 1) {
          const decision = await at.send(packet, {
            link: relayed ? 'far' : 'br0',
            source: { address: src, port: sport },
          });
          if (decision.kind === 'none') throw new Error(decision.record.reason ?? 'silent');
          exchange++;
          unanswered.push(parse(encodePacket(decision.packet, decision.largest).bytes));
          continue;
        }
        const ours = unanswered.shift()!;
        const theirs = substance(packet);
        const mine = substance(ours);
        // The relay's own side of the conversation: dhcrelay has taken option 82 out and put its address in.
        if (name.includes('client-side')) Object.assign(mine, { giaddr: theirs.giaddr });
        // The slow captures were taken without 175.176, which every iPXE gets from us.
        const options = theirs.options as Record<string, unknown>;
        if (options[175] === undefined) (mine.options as Record<string, unknown>)[175] = undefined;
        expect(mine).toEqual(theirs);
        compared++;
      }
      expect(compared).toBe(packets.length / 2);
      expect(unanswered).toEqual([]);
    });
  }

  it('adds what firmware needs and dnsmasq left out', async () => {
    const native = captures().find(({ name }) => name === 'dhcp-tftp-uefi-x64-native-pxe')!;
    const at = await bench(
      [LAN],
      bootLikeTheReference(() => false),
    );
    const decision = await at.send(parse(native.packets[0]!.bytes));
    if (decision.kind === 'none') throw new Error('silent');
    const { packet } = decision;
    expect([packet.file, packet.sname]).toEqual(['ipxe.efi', 'uc']);
    expect(describeOption(60, packet.options.get(60)!)).toBe('"PXEClient"');
    expect(Buffer.from(packet.options.get(43)!).toString('hex')).toBe('060108ff');
    expect(describeOption(97, packet.options.get(97)!)).toBe('4c4c4544-0000-4000-8000-000000000004');
    expect(describeOption(66, packet.options.get(66)!)).toBe('"uc"+NUL');
    expect(at.asked[0]).toMatchObject({
      mac: '52:54:00:aa:00:04',
      arch: 7,
      isIpxe: false,
      uuid: '4c4c4544-0000-4000-8000-000000000004',
      message: 'OFFER',
    });
  });

  it('tells UEFI HTTP boot that it is one', async () => {
    const http = captures().find(({ name }) => name === 'dhcp-uefi-httpclient')!;
    const at = await bench(
      [LAN],
      bootLikeTheReference(() => false),
    );
    const decision = await at.send(parse(http.packets[0]!.bytes));
    if (decision.kind === 'none') throw new Error('silent');
    expect(describeOption(60, decision.packet.options.get(60)!)).toBe('"HTTPClient"');
    expect(decision.packet.options.has(43)).toBe(false);
  });

  it('reads the features of iPXE', async () => {
    const rom = captures().find(({ name }) => name === 'dhcp-uefi-ipxe-rom')!;
    const at = await bench(
      [LAN],
      bootLikeTheReference(() => false),
    );
    await at.send(parse(rom.packets[0]!.bytes));
    expect(at.asked[0]!.isIpxe).toBe(true);
    expect(at.asked[0]!.client.ipxeFeatures[235]).toBe('010000');
    expect(at.asked[0]!.client.userClasses).toEqual(['iPXE']);
  });
});
