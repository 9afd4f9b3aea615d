import { describe, expect, it } from 'vitest';
import { macOf } from './advertiser.ts';
import { decide, decisionTable, ladderOf } from './decision.ts';
import type { ClientKind, Intent, Platform } from './model.ts';
import { neighbourMac } from './neighbour.ts';
import { agentScript } from './script.ts';

const intents: Intent[] = ['agent', 'discover', 'disk', 'none'];
const clients: ClientKind[] = ['pxe-rom', 'ipxe', 'http-boot', 'system'];
const platforms: Platform[] = ['bios', 'efi-x64', 'efi-other', 'unknown'];

describe('the decision table', () => {
  it('answers every situation, and uses every row', () => {
    const used = new Set();
    for (const intent of intents)
      for (const client of clients)
        for (const platform of platforms)
          for (const secureBoot of [false, true])
            for (const rung of [0, 1, 2, 3]) used.add(decide({ intent, client, platform, secureBoot, rung }));
    expect(used.size).toBe(decisionTable.length);
  });

  it('leads UEFI up from the firmware’s driver to full iPXE, the signed chain and HTTP boot', () => {
    const asks = { intent: 'agent', client: 'pxe-rom', platform: 'efi-x64', secureBoot: false } as const;
    expect(ladderOf(asks)).toEqual(['snponly.efi over TFTP', 'ipxe.efi over TFTP', 'shimx64.efi over TFTP']);
    expect(decide({ ...asks, rung: 3 }).answer.kind).toBe('address');
    expect(ladderOf({ ...asks, client: 'http-boot' })).toEqual(['snponly.efi over HTTP', 'ipxe.efi over HTTP']);
    expect(ladderOf({ ...asks, platform: 'bios' })).toEqual(['undionly.kpxe over TFTP', 'ipxe.pxe over TFTP']);
  });

  it('gives nothing unsigned to a node that boots with Secure Boot', () => {
    for (const intent of intents)
      for (const client of ['pxe-rom', 'http-boot'] as const)
        for (const rung of [0, 1, 2, 3]) {
          const { answer } = decide({ intent, client, platform: 'efi-x64', secureBoot: true, rung });
          if (answer.kind !== 'address') expect(answer).toMatchObject({ file: 'shimx64.efi', over: 'tftp' });
        }
  });

  it('never gives a loader or a script to a running system, or to a node that has nothing to boot', () => {
    for (const platform of platforms)
      for (const intent of intents) {
        expect(decide({ intent, client: 'system', platform, secureBoot: false, rung: 0 }).answer.kind).toBe('address');
        for (const client of clients)
          expect(decide({ intent: 'none', client, platform, secureBoot: false, rung: 0 }).answer.kind).toBe('address');
      }
  });

  it('never gives an iPXE an iPXE: a chain has no loop', () => {
    for (const platform of platforms)
      for (const intent of intents)
        expect(decide({ intent, client: 'ipxe', platform, secureBoot: false, rung: 9 }).answer.kind).not.toBe('loader');
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
