import { describe, expect, it } from 'vitest';
import { ask, bench, LAN, lease, line } from './engine.fixture.ts';
import { describeOption } from './option-values.ts';
import type { SubnetConfig } from './subnet.ts';

const A = '52:54:00:aa:00:01';

describe('boot answers', () => {
  const pxe = { vendorClass: 'PXEClient:Arch:00000:UNDI:002001', options: [[93, Uint8Array.of(0, 0)]] as const };

  it('are asked for boot clients only', async () => {
    const at = await bench();
    await lease(at);
    expect(at.asked).toEqual([]);
    await lease(at, pxe);
    expect(at.asked.map(({ message, address }) => [message, address])).toEqual([
      ['OFFER', '192.0.2.100'],
      ['ACK', '192.0.2.100'],
    ]);
  });

  it('fill header and options, whatever the parameter list, and may override', async () => {
    const at = await bench([LAN], async () => ({
      filename: 'undionly.kpxe',
      nextServer: '192.0.2.9',
      options: { 43: Uint8Array.of(1), 209: Uint8Array.of(65) },
    }));
    const decision = await at.send(ask('discover', { ...pxe, list: [1, 150] }));
    if (decision.kind !== 'reply') throw new Error('silent');
    const { packet } = decision;
    expect([packet.file, packet.sname, packet.siaddr]).toEqual(['undionly.kpxe', '192.0.2.9', 0xc0000209]);
    expect(describeOption(150, packet.options.get(150)!)).toBe('192.0.2.9');
    expect(describeOption(66, packet.options.get(66)!)).toBe('"192.0.2.9"+NUL');
    expect([...packet.options.get(43)!]).toEqual([1]);
    expect([...packet.options.get(209)!]).toEqual([65]);
    expect(decision.record.answered).toMatchObject({ bootFile: 'undionly.kpxe', nextServer: '192.0.2.9' });
  });

  it('of nothing give an address and no file; a failing callback gives silence', async () => {
    const nothing = await bench();
    const decision = await nothing.send(ask('discover', pxe));
    if (decision.kind !== 'reply') throw new Error('silent');
    expect([decision.packet.file, decision.packet.options.has(67), decision.packet.options.has(60)]).toEqual([
      '',
      false,
      false,
    ]);
    const broken = await bench([LAN], async () => {
      throw new Error('database away');
    });
    expect(line(await broken.send(ask('discover', pxe)))).toBe(
      `failed: no boot answer for ${A}: database away; the client will ask again`,
    );
  });

  it('above 127 bytes travel in option 67 alone', async () => {
    const filename = `http://192.0.2.1/${'t'.repeat(300)}`;
    const at = await bench([LAN], async () => ({ filename }));
    const decision = await at.send(ask('discover', pxe));
    if (decision.kind !== 'reply') throw new Error('silent');
    expect(describeOption(67, decision.packet.options.get(67)!)).toBe(`"${filename}"+NUL`);
  });
});

describe('proxy mode', () => {
  const PROXY: SubnetConfig = { ...LAN, mode: 'proxy', pools: [] };
  const pxe = {
    vendorClass: 'PXEClient:Arch:00007:UNDI:003000',
    options: [
      [93, Uint8Array.of(0, 7)],
      [97, new Uint8Array(17)],
    ] as const,
  };

  it("adds a boot file to somebody else's address, and gives no address", async () => {
    const at = await bench([PROXY], async () => ({ filename: 'snponly.efi' }));
    const offer = await at.send(ask('discover', pxe));
    if (offer.kind !== 'reply') throw new Error('silent');
    expect(line(offer)).toBe('OFFER - to 255.255.255.255:68');
    expect([...offer.packet.options.keys()].sort((a, b) => a - b)).toEqual([43, 53, 54, 60, 66, 67, 97]);
    expect(describeOption(60, offer.packet.options.get(60)!)).toBe('"PXEClient"');
    expect((await at.send(ask('discover'))).kind).toBe('none');
    expect(
      (await at.send(ask('request', { ...pxe, requested: '192.0.2.200', server: '192.0.2.66' }))).record.outcome,
    ).toBe('chose-other');
    const boot = await at.send(ask('request', { ...pxe, ciaddr: '192.0.2.200' }), {
      port: 4011,
      source: { address: '192.0.2.200', port: 4011 },
    });
    expect(line(boot)).toBe('ACK - to 192.0.2.200:4011');
  });

  it('says nothing where there is nothing to boot', async () => {
    const at = await bench([PROXY]);
    expect((await at.send(ask('discover', pxe))).record.reason).toContain('nothing to boot');
  });
});
