/**
 * Beside somebody else's DHCP server: a real dnsmasq gives the addresses, ours adds the boot file (mode `proxy`), and real firmware
 * boots from the two together to the deploy ramdisk.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { enterNamespace } from '../../services/core/sockets.ts';
import { type Peer, peerRoot } from '../setup/peers/root.ts';
import { ip } from './namespace.fixture.ts';
import { macs, netbootScene, type Scene } from './netboot-scene.fixture.ts';

const dnsmasqPeer: Peer = {
  name: 'dnsmasq',
  packages: ['dnsmasq-base'],
  users: ['nobody:x:65534:65534::/:/bin/sh'],
  groups: ['nogroup:x:65534:'],
  directories: [],
};
let scene: Scene;
const undo: (() => unknown)[] = [];

beforeAll(async () => {
  scene = await netbootScene({ dhcp: 'proxy' });
  undo.push(() => scene.stop());
  undo.push(await dnsmasq());
});

afterAll(async () => {
  for (const step of undo.reverse()) await step();
});

/** On a host of its own, 192.0.2.9, on the same bridge. It knows nothing of booting. */
async function dnsmasq(): Promise<() => Promise<void>> {
  const name = `${scene.netns}-dhcp`;
  ip(`netns add ${name}`);
  ip(`-n ${scene.netns} link add up9 type veth peer name up9 netns ${name}`);
  ip(`-n ${scene.netns} link set up9 master br0 up`);
  ip(`-n ${name} link set lo up`);
  ip(`-n ${name} address add 192.0.2.9/24 dev up9`);
  ip(`-n ${name} link set up9 up`);
  const words = [
    ...[
      peerRoot(dnsmasqPeer, process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache'),
      'dnsmasq',
      '-d',
      '-C',
      '/dev/null',
      '--port=0',
      '--interface=up9',
      '--bind-interfaces',
    ],
    ...[
      '--dhcp-range=192.0.2.200,192.0.2.220',
      '--dhcp-leasefile=/dev/null',
      '--leasefile-ro',
      '--no-ping',
      '--pid-file=',
    ],
  ];
  const server = enterNamespace(`/run/netns/${name}`, () =>
    spawn('chroot', words, { stdio: ['ignore', 'ignore', 'pipe'] }),
  );
  let said = '';
  for await (const part of server.stderr) {
    said += String(part);
    if (said.includes('sockets bound exclusively')) break;
  }
  if (!said.includes('sockets bound')) throw new Error(`dnsmasq does not start: ${said}`);
  return async () => {
    const ended = once(server, 'exit');
    server.kill();
    await ended;
    ip(`netns del ${name}`);
  };
}

it.each([
  ['bios', 'rom', [/^BIOS iPXE is given the script/]],
  ['uefi', 'native', [/^UEFI PXE is given snponly\.efi over TFTP/, /^UEFI iPXE is given the script/]],
] as const)(
  '%s firmware with %s boot goes from dnsmasq’s address to our ramdisk',
  async (firmware, netboot, decisions) => {
    const node = firmware === 'bios' ? 0 : 1;
    await scene.intend(macs[node] ?? '', 'agent');
    scene.lines.length = 0;
    const machine = scene.machine(node, { firmware, netboot });
    try {
      await scene.says(machine, 'RAMDISK trust', 90);
    } finally {
      await machine.stop();
    }
    process.stdout.write(`${firmware} ${netboot}:\n${scene.story()}\n`);
    expect(machine.console()).toContain('RAMDISK trust: -----BEGIN CERTIFICATE-----');
    const fetched = scene.lines.filter(({ kind }) => kind === 'http.fetch');
    for (const file of ['script.ipxe', 'kernel', 'trust.cpio', 'ramdisk'])
      expect(fetched.some(({ data }) => data.file === file && data.status === 200)).toBe(true);
    // Counted by what it took from the other server.
    expect(scene.lines.filter(({ kind }) => kind === 'boot.decision').map(({ data }) => data.text)).toEqual(
      decisions.map((pattern) => expect.stringMatching(pattern)),
    );
    // The machine is its node's by its MAC, though we know nothing of its address.
    expect(fetched.every(({ subject }) => subject.id !== 'br0')).toBe(true);
  },
);
