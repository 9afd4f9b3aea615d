import { describe, expect, it } from 'vitest';
import { macOf } from './advertiser.ts';
import { decide, decisionTable } from './decision.ts';
import type { ClientKind, Intent, Platform } from './model.ts';
import { neighbourMac } from './neighbour.ts';
import { agentScript } from './script.ts';

const intents: Intent[] = ['agent', 'disk', 'none'];
const clients: ClientKind[] = ['pxe-rom', 'ipxe', 'http-boot', 'system'];
const platforms: Platform[] = ['bios', 'efi-x64', 'efi-other', 'unknown'];

describe('the decision table', () => {
  it('answers every situation, and uses every row', () => {
    const used = new Set();
    for (const intent of intents)
      for (const client of clients)
        for (const platform of platforms)
          for (const failures of [0, 2]) used.add(decide({ intent, client, platform, failures }));
    expect(used.size).toBe(decisionTable.length);
  });

  it('never gives a loader or a script to a running system, or to a node that has nothing to boot', () => {
    for (const platform of platforms)
      for (const intent of intents) {
        expect(decide({ intent, client: 'system', platform, failures: 0 }).answer.kind).toBe('address');
        for (const client of clients)
          expect(decide({ intent: 'none', client, platform, failures: 0 }).answer.kind).toBe('address');
      }
  });

  it('never gives an iPXE an iPXE: a chain has no loop', () => {
    for (const platform of platforms)
      for (const intent of intents)
        expect(decide({ intent, client: 'ipxe', platform, failures: 9 }).answer.kind).not.toBe('loader');
  });
});

describe('scripts', () => {
  it('let no name of a node become a command, nor a value a second argument', () => {
    const script = agentScript({
      name: `n1\nreboot \${x} && shell`,
      reason: 'a || b',
      kernelUrl: 'http://u/k',
      ramdiskUrl: 'http://u/r',
      trustUrl: 'http://u/t',
      kernelArguments: [
        ['quiet', null],
        ['ipa-note', `two words "quoted" \${net0/ip}\nreboot`],
      ],
    });
    expect(script).toContain('echo Undercloud: n1 reboot x shell starts the deploy ramdisk (a b)\n');
    expect(script).toContain(' quiet ipa-note="two words quoted {net0/ip}reboot" || goto failed\n');
  });
});

describe('neighbours', () => {
  const table = new URL('./neighbour.fixture.txt', import.meta.url).pathname;
  it.each([
    ['192.0.2.2', '52:54:00:aa:00:01'],
    ['192.0.2.3', null],
    ['192.0.2.4', null],
  ])('finds who is at %s', async (ip, mac) => expect(await neighbourMac(ip, table)).toBe(mac));

  it('reads the MAC out of an EUI-64 address', () => {
    expect(macOf('fe80:0:0:0:5054:ff:feaa:1')).toBe('52:54:00:aa:00:01');
    expect(macOf('fe80:0:0:0:1:2:3:4')).toBeNull();
    expect(macOf('::')).toBeNull();
  });
});
