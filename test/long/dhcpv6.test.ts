/**
 * What firmware asks of IPv6 on its way to the ramdisk: router solicitations, and never DHCPv6, since our advertisement’s flags M and O are off
 * (RFC 4861 section 4.2) and IPv4 answers first. See docs/decisions/0014-no-dhcpv6.md; a firmware that asks would fail here.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { enterNamespace } from '../../services/core/sockets.ts';
import { macs, netbootScene, type Scene } from '../lab/netboot-scene.fixture.ts';

let scene: Scene;

beforeAll(async () => {
  scene = await netbootScene();
});

afterAll(() => scene.stop());

const ways = [
  { firmware: 'bios', netboot: 'rom' },
  { firmware: 'uefi', netboot: 'native' },
  { firmware: 'uefi', netboot: 'http' },
] as const;

for (const way of ways)
  it(`${way.firmware} by ${way.netboot}: to the ramdisk without DHCPv6`, async () => {
    await scene.intend(macs[0] ?? '', 'agent');
    scene.lines.length = 0;
    const file = join(scene.scratch, `${way.firmware}-${way.netboot}.pcap`);
    const words = ['-i', 'br0', '-U', '-s', '256', '-w', file, 'ip6 or (udp and (port 67 or port 547))'];
    const tcpdump = enterNamespace(scene.file, () => spawn('tcpdump', words, { stdio: ['ignore', 'ignore', 'pipe'] }));
    await once(tcpdump.stderr, 'data');
    const machine = scene.machine(0, way);
    try {
      await scene.says(machine, 'RAMDISK trust');
    } finally {
      await machine.stop();
      const gone = once(tcpdump, 'exit');
      tcpdump.kill('SIGINT');
      await gone;
    }
    const read = (filter: string) =>
      execFileSync('tcpdump', ['-n', '-tt', '-r', file, filter], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    process.stdout.write(`${way.firmware} ${way.netboot}:\n${read('ip6')}`);
    expect(read('udp port 67')).not.toBe('');
    expect(read('udp port 546 or udp port 547')).toBe('');
    // iPXE asks for routers in each of its stages, and is answered.
    expect(read('icmp6 and ip6[40] == 133')).not.toBe('');
    expect(read('icmp6 and ip6[40] == 134')).not.toBe('');
  });
