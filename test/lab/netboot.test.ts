/**
 * Real firmware boots from the boot service: BIOS and UEFI, iPXE in ROM, the firmware's own PXE and HTTP boot, to the
 * deploy ramdisk and to the disk. The service runs as it does in the appliance: unprivileged, inside the namespace.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { enterNamespace } from '../../services/core/sockets.ts';
import { ip, namespace } from './namespace.fixture.ts';
import {
  type MachineOptions,
  speakingBiosDisk,
  speakingEfiDisk,
  speakingSignedDisk,
} from './netboot-machine.fixture.ts';
import { type Line, macs, netbootScene, nodes, type Scene, stranger } from './netboot-scene.fixture.ts';
import { hear, splitOf, splitText } from './netboot-split.fixture.ts';

let scene: Scene;
let lines: Line[];

beforeAll(async () => {
  scene = await netbootScene();
  lines = scene.lines;
});

afterAll(() => scene.stop());

async function boots(
  intent: 'agent' | 'disk' | 'none',
  options: Omit<MachineOptions, 'netns' | 'scratch' | 'tap' | 'mac'>,
  words: string,
  node = 0,
) {
  const mac = macs[node] ?? stranger;
  await scene.intend(mac, intent);
  lines.length = 0;
  const heard = await hear(scene.file, `tap${node}`, join(scene.scratch, 'boot.pcap'));
  const machine = scene.machine(node, options);
  let split = '';
  try {
    await scene.says(machine, words);
  } finally {
    await machine.stop();
    split = splitText(splitOf(await heard(mac), machine.startedAt));
  }
  const after = (line: Line | undefined) => (line ? (Date.parse(line.at) - machine.startedAt) / 1000 : null);
  const said = (kind: string) => lines.filter((line) => line.kind === kind).map((line) => String(line.data.text));
  process.stdout.write(
    `${options.firmware} ${options.netboot} ${intent}: ${split}\n${lines.map((line) => `  ${after(line)?.toFixed(1)} s ${line.data.text ?? ''}`).join('\n')}\n`,
  );
  if (mac !== stranger)
    expect(lines.every((line) => line.kind === 'http.progress' || line.subject.id !== 'br0')).toBe(true);
  return { console: machine.console(), said, after };
}

const fetchedByHttp = [
  /^fetched script\.ipxe by HTTP/,
  /^fetched kernel by HTTP: \d/,
  /^fetched trust\.cpio by HTTP/,
  /^fetched ramdisk by HTTP/,
];

function isRamdisk({ console, said }: { console: string; said(kind: string): string[] }): void {
  expect(console).toContain('RAMDISK trust: -----BEGIN CERTIFICATE-----');
  expect(console).toMatch(
    /RAMDISK arguments: .*ipa-api-url=https:\/\/192\.0\.2\.1:6385 .*uc-time=\d+ BOOTIF=01-52-54-00-aa-00-0/,
  );
  const fetched = said('http.fetch').filter((text) => text.startsWith('fetched'));
  for (const pattern of fetchedByHttp) expect(fetched.some((text) => pattern.test(text))).toBe(true);
}

it('BIOS with iPXE in ROM: straight to the script, kernel, CA and ramdisk', async () => {
  const boot = await boots('agent', { firmware: 'bios', netboot: 'rom' }, 'RAMDISK trust');
  isRamdisk(boot);
  expect(boot.said('boot.decision')).toEqual([
    expect.stringMatching(/^BIOS iPXE is given the script that starts the deploy ramdisk/),
  ]);
  // Without our router advertisement it would be 16 s later.
  const script = lines.find((line) => line.kind === 'http.fetch' && line.data.file === 'script.ipxe');
  const taken = lines.find((line) => line.kind === 'dhcp.exchange' && line.data.outcome === 'acknowledged');
  expect((boot.after(script) ?? 0) - (boot.after(taken) ?? 0)).toBeLessThan(10);
  expect(boot.said('ra.answered').length).toBeGreaterThan(0);
});

it('UEFI’s own PXE: snponly.efi by TFTP, then as iPXE', async () => {
  const boot = await boots('agent', { firmware: 'uefi', netboot: 'native' }, 'RAMDISK trust', 1);
  isRamdisk(boot);
  expect(boot.said('boot.decision')).toEqual([
    expect.stringMatching(/^UEFI PXE is given snponly\.efi over TFTP/),
    expect.stringMatching(/^UEFI iPXE is given the script/),
  ]);
  expect(boot.said('tftp.transfer')).toEqual([
    expect.stringMatching(/^asked by TFTP how large snponly\.efi is/),
    expect.stringMatching(/^fetched snponly\.efi by TFTP: \d+ kB/),
  ]);
});

it('UEFI HTTP boot: snponly.efi by HTTP, then as iPXE', async () => {
  const boot = await boots('agent', { firmware: 'uefi', netboot: 'http' }, 'RAMDISK trust', 1);
  isRamdisk(boot);
  expect(boot.said('boot.decision')[0]).toMatch(/^UEFI HTTP boot is given snponly\.efi over HTTP/);
});

it('BIOS iPXE hands over to the disk', async () => {
  const disk = join(scene.scratch, 'bios.img');
  speakingBiosDisk(disk);
  const boot = await boots('disk', { firmware: 'bios', netboot: 'rom', disk }, 'DISK BOOTS');
  expect(boot.said('boot.decision')).toEqual([
    expect.stringMatching(/^BIOS iPXE is given the script that boots the disk/),
  ]);
});

it.each([
  ['rom', [/^UEFI iPXE is given the script that boots the disk/]],
  ['native', [/^UEFI PXE is given disk\.efi over TFTP/]],
  ['http', [/^UEFI HTTP boot is given disk\.efi over HTTP/]],
] as const)('UEFI with %s boot is led to the disk', async (netboot, decisions) => {
  const disk = join(scene.scratch, 'uefi.img');
  speakingEfiDisk(disk, scene.scratch);
  const boot = await boots('disk', { firmware: 'uefi', netboot, disk }, 'DISK BOOTS', 1);
  expect(boot.said('boot.decision')).toEqual(decisions.map((pattern) => expect.stringMatching(pattern)));
});

it('UEFI with Secure Boot: signed shim, GRUB and kernel, all by TFTP', async () => {
  const boot = await boots('agent', { firmware: 'uefi-secure', netboot: 'native' }, 'RAMDISK trust', 2);
  expect(boot.console).toContain('EFI stub: UEFI Secure Boot is enabled.');
  expect(boot.console).toContain('Kernel is locked down from EFI Secure Boot');
  expect(boot.console).toContain('RAMDISK trust: -----BEGIN CERTIFICATE-----');
  expect(boot.console).toMatch(/RAMDISK arguments: .*ipa-api-url=https:\/\/192\.0\.2\.1:6385 .*ipa-debug=1/);
  expect(boot.said('boot.decision')).toEqual([expect.stringMatching(/^UEFI PXE is given shimx64\.efi over TFTP/)]);
  const fetched = boot.said('tftp.transfer').filter((text) => text.startsWith('fetched'));
  for (const file of ['shimx64.efi', 'grubx64.efi', 'grub.cfg', 'kernel', 'trust.cpio', 'ramdisk'])
    expect(fetched.some((text) => text.includes(file))).toBe(true);
  // Tokens are for the machine alone.
  expect(JSON.stringify(lines)).not.toContain('token-525400aa0003');
});

it('UEFI with Secure Boot is led to its signed disk by the signed chain', async () => {
  const disk = join(scene.scratch, 'signed.img');
  speakingSignedDisk(disk, scene.scratch);
  const boot = await boots('disk', { firmware: 'uefi-secure', netboot: 'native', disk }, 'DISK BOOTS', 2);
  expect(boot.said('boot.decision')).toEqual([
    expect.stringMatching(/^UEFI PXE is given shimx64\.efi over TFTP: .*disk/),
  ]);
});

it('an unknown machine boots the ramdisk for discovery', async () => {
  const boot = await boots('none', { firmware: 'bios', netboot: 'rom' }, 'RAMDISK trust', 3);
  expect(boot.said('boot.decision')).toEqual([
    expect.stringMatching(
      /^BIOS iPXE is given the script that starts the ramdisk for discovery: .*no node has this MAC/,
    ),
  ]);
  expect(boot.console).toMatch(
    /ipa-inspection-callback-url=https:\/\/192\.0\.2\.1:6385\/boot\/v1\/discovered uc-lldp-seconds=3 uc-boot-token=/,
  );
  expect(boot.console).not.toContain('ipa-api-url');
});

it('a loader that is missing: the machine goes silent, and it is said where, why, and what to do', async () => {
  const loader = join(scene.scratch, 'boot/snponly.efi');
  renameSync(loader, `${loader}.away`);
  try {
    lines.length = 0;
    await scene.intend(macs[1] ?? '', 'agent');
    const machine = scene.machine(1, { firmware: 'uefi', netboot: 'native' });
    try {
      const silent = await scene.until('it is told that it is silent', 120, () =>
        // Of this machine: one that an earlier test has switched off is silent too, and that is told in its own time.
        lines.find(({ kind, subject }) => kind === 'boot.silent' && subject.id === nodes['52:54:00:aa:00:02']),
      );
      process.stdout.write(`${String(silent.data.text)}\n`);
      expect(silent.data.text).toMatch(
        /^silent for .* since its firmware was given an address and a boot file; .* Likely: snponly\.efi is not among the boot files\. Run `undercloud bootstrap` again/,
      );
    } finally {
      await machine.stop();
    }
  } finally {
    renameSync(`${loader}.away`, loader);
  }
});

it('a foreign DHCP server is named by MAC and address, and missed when it is gone', async () => {
  const theirs = namespace();
  ip(`-n ${scene.netns} link add up9 type veth peer name up9 netns ${theirs.name}`);
  ip(`-n ${scene.netns} link set up9 master br0`);
  ip(`-n ${scene.netns} link set up9 up`);
  theirs.ip('link set up9 address 52:54:00:99:00:09');
  theirs.ip('address add 192.0.2.9/24 dev up9');
  theirs.ip('link set up9 up');
  lines.length = 0;
  const program = join(import.meta.dirname, 'foreign-server.fixture.ts');
  const server = enterNamespace(theirs.file, () => spawn(process.execPath, [program, 'up9'], { stdio: 'ignore' }));
  try {
    const found = await scene.until('it is found', 30, () => lines.find(({ kind }) => kind === 'boot.foreign-server'));
    expect(found.data).toMatchObject({ mac: '52:54:00:99:00:09', address: '192.0.2.9', kind: 'DHCP' });
    process.stdout.write(`${String(found.data.text)}\n`);
    // What the deploy then waits for, before it switches a machine on: services/baremetal/boot-hold.test.ts.
    expect(await scene.hold()).toMatch(/^the foreign DHCP server 192\.0\.2\.9 \(52:54:00:99:00:09\) on br0 to go/);
  } finally {
    server.kill();
  }
  await scene.until('it is missed', 30, () => lines.find(({ kind }) => kind === 'boot.foreign-server-gone'));
  expect(await scene.hold()).toBeNull();
});

it('a capture of a boot is read by tcpdump', async () => {
  const pcap = join(scene.scratch, 'node.pcap');
  const url = `http://192.0.2.1:8088/uc/v1/captures/${nodes['52:54:00:aa:00:01']}?seconds=60`;
  const curl = enterNamespace(scene.file, () =>
    spawn('curl', ['-sS', '-N', '-H', 'x-auth-token: any', '-o', pcap, url], { stdio: 'inherit' }),
  );
  await scene.until('the capture begins', 10, () => existsSync(pcap) && statSync(pcap).size >= 24);
  await boots('agent', { firmware: 'bios', netboot: 'rom' }, 'RAMDISK trust');
  curl.kill();
  await new Promise((resolve) => curl.once('exit', resolve));
  const text = execFileSync('tcpdump', ['-nn', '-e', '-r', pcap], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const packets = text.trim().split('\n');
  expect(packets.every((one) => one.includes('52:54:00:aa:00:01') || one.includes('.68: BOOTP/DHCP, Reply'))).toBe(
    true,
  );
  expect(packets.filter((one) => one.includes('BOOTP/DHCP, Request')).length).toBeGreaterThanOrEqual(2);
  expect(packets.filter((one) => one.includes('BOOTP/DHCP, Reply')).length).toBeGreaterThanOrEqual(2);
  expect(packets.some((one) => one.includes('192.0.2.1.8088'))).toBe(true);
  expect(
    execFileSync('tcpdump', ['-nn', '-A', '-r', pcap], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
  ).toContain('GET /boot/');
});
