import { describe, expect, it } from 'vitest';
import { ask, bench, LAN, line } from './engine.fixture.ts';
import { addressValue } from './option-values.ts';
import type { SubnetConfig } from './subnet.ts';

describe('configuration', () => {
  const wrong: readonly (readonly [Partial<SubnetConfig>, string])[] = [
    [{ cidr: 'lan' }, 'subnet lan: "lan" is no IPv4 network'],
    [{ pools: [{ from: '192.0.2.20', to: '192.0.2.10' }] }, 'does not lie within the hosts of 192.0.2.0/24'],
    [{ pools: [{ from: '192.0.2.0', to: '192.0.2.10' }] }, 'does not lie within'],
    [
      {
        pools: [
          { from: '192.0.2.10', to: '192.0.2.20' },
          { from: '192.0.2.20', to: '192.0.2.30' },
        ],
      },
      'two pools overlap',
    ],
    [{ leaseSeconds: 5 }, 'lease time of 5 s'],
    [{ serverAddress: 'me' }, 'subnet lan: server address: "me"'],
    [{ mtu: 100 }, 'MTU of 100'],
    [{ cidr: '10.0.0.0/8', pools: [{ from: '10.0.0.1', to: '10.255.255.254' }] }, 'at most 1048576'],
  ];
  it.each(wrong)('%j is refused', async (change, sentence) => {
    await expect(bench([{ ...LAN, ...change }])).rejects.toThrow(sentence);
  });

  it('has disjoint subnets with ids of their own', async () => {
    await expect(bench([LAN, { ...LAN, cidr: '10.0.0.0/24', pools: [], router: '10.0.0.1' }])).rejects.toThrow(
      'two subnets are called lan',
    );
    await expect(bench([LAN, { ...LAN, id: 'x', cidr: '192.0.2.128/25', pools: [] }])).rejects.toThrow(
      'subnets lan and x overlap',
    );
  });

  it('serves the address option wherever RFC 3011 selects it', async () => {
    const at = await bench([
      LAN,
      { ...LAN, id: 'b', cidr: '10.0.0.0/24', link: 'b', pools: [{ from: '10.0.0.5', to: '10.0.0.6' }] },
    ]);
    expect(line(await at.send(ask('discover', { options: [[118, addressValue(0x0a000000)]] })))).toContain(
      'OFFER 10.0.0.5',
    );
  });
});
