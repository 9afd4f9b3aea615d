import { describe, expect, it } from 'vitest';
import { addressOf, ask, bench, LAN, line } from './engine.fixture.ts';
import { describeOption } from './option-values.ts';
import { BROADCAST_FLAG } from './packet.ts';
import type { SubnetConfig } from './subnet.ts';

const US = '192.0.2.1';

describe('relays', () => {
  const FAR: SubnetConfig = {
    ...LAN,
    id: 'far',
    cidr: '203.0.113.0/24',
    link: 'far',
    pools: [{ from: '203.0.113.10', to: '203.0.113.19' }],
    router: '203.0.113.1',
  };
  const SECOND: SubnetConfig = {
    ...FAR,
    id: 'far-2',
    cidr: '198.51.100.0/24',
    pools: [{ from: '198.51.100.10', to: '198.51.100.11' }],
    router: '198.51.100.1',
  };
  const relay = { source: { address: '10.9.9.9', port: 1067 } };

  it('choose the subnet, and get the answer with option 82 last and unchanged', async () => {
    const at = await bench([LAN, FAR]);
    const circuit = new Uint8Array(Buffer.from('0103627272', 'hex'));
    const decision = await at.send(ask('discover', { giaddr: '203.0.113.1', options: [[82, circuit]] }), relay);
    expect(line(decision)).toBe('OFFER 203.0.113.10 to 203.0.113.1:67');
    if (decision.kind !== 'reply') throw new Error('silent');
    expect([...decision.packet.options.keys()].at(-1)).toBe(82);
    expect([...decision.packet.options.get(82)!]).toEqual([...circuit]);
    const nak = await at.send(ask('request', { giaddr: '203.0.113.1', requested: '192.0.2.100' }), relay);
    expect(line(nak)).toBe('NAK - to 203.0.113.1:67');
    if (nak.kind !== 'reply') throw new Error('silent');
    expect(nak.packet.flags & BROADCAST_FLAG).toBe(BROADCAST_FLAG);
  });

  it('may select the link, override the server and listen elsewhere (RFC 3527, 5107, 8357)', async () => {
    const at = await bench([LAN, FAR]);
    const options = [
      [82, new Uint8Array(Buffer.from('0504cb007100 0b040a090909 1300'.replaceAll(' ', ''), 'hex'))],
    ] as const;
    const offer = await at.send(ask('discover', { giaddr: '10.9.9.9', options }), relay);
    expect(line(offer)).toBe('OFFER 203.0.113.10 to 10.9.9.9:1067');
    const ack = await at.send(
      ask('request', { giaddr: '10.9.9.9', options, requested: '203.0.113.10', server: '10.9.9.9' }),
      relay,
    );
    expect(line(ack)).toBe('ACK 203.0.113.10 to 10.9.9.9:1067');
    if (ack.kind !== 'reply') throw new Error('silent');
    expect(describeOption(54, ack.packet.options.get(54)!)).toBe('10.9.9.9');
  });

  it('that name networks we do not serve get nothing, whatever the link', async () => {
    const at = await bench([LAN, FAR]);
    expect(line(await at.send(ask('discover', { giaddr: '10.9.9.9' })))).toBe(
      'silent: the relay names a network that is not served here',
    );
    const options = [[82, new Uint8Array(Buffer.from('05040a000001', 'hex'))]] as const;
    expect(line(await at.send(ask('discover', { giaddr: '203.0.113.1', options })))).toContain('is not served here');
    const looped = ask('discover', { giaddr: '203.0.113.1' });
    looped.hops = 17;
    expect(line(await at.send(looped))).toContain('17 hops');
  });

  it('and links share their subnets: the second pool serves when the first is empty', async () => {
    const at = await bench([{ ...FAR, pools: [{ from: '203.0.113.10', to: '203.0.113.10' }] }, SECOND]);
    const offers: string[] = [];
    for (let i = 0; i < 4; i++)
      offers.push(addressOf(await at.send(ask('discover', { mac: `02:00:00:00:00:0${i}`, giaddr: '203.0.113.1' }))));
    expect(offers.slice(0, 3)).toEqual(['203.0.113.10', '198.51.100.10', '198.51.100.11']);
    expect(offers[3]).toContain('no address left in subnet far, far-2');
  });

  it('finds a renewing client behind a router by its own address', async () => {
    const at = await bench([LAN, FAR]);
    await at.send(ask('discover', { giaddr: '203.0.113.1' }));
    await at.send(ask('request', { giaddr: '203.0.113.1', requested: '203.0.113.10', server: US }));
    expect(line(await at.send(ask('request', { ciaddr: '203.0.113.10' })))).toBe('ACK 203.0.113.10 to 203.0.113.10:68');
    const rebinding = await at.send(ask('request', { ciaddr: '203.0.113.10', giaddr: '203.0.113.1' }));
    expect(rebinding.record.state).toBe('rebinding');
  });
});
