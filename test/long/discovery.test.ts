/**
 * A machine that nobody has enrolled boots the real deploy ramdisk, of either profile, and becomes a candidate with its inventory, its
 * BMC's address and the switch port that it hangs on.
 */
import { execFileSync } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { packetSocket, sendFrame } from '../../services/core/packet-socket.ts';
import { enterNamespace } from '../../services/core/sockets.ts';
import { serveInBand } from '../../services/lab/in-band.ts';
import { lldpFrame } from '../../services/lab/lldp.ts';
import { createVirtualBmc } from '../../services/lab/virtual-bmc.ts';
import { virtualCommand } from '../../services/lab/virtual-bmc-commands.ts';
import { netbootScene, type Scene, stranger } from '../lab/netboot-scene.fixture.ts';

const bmcAddress = '198.51.100.17';

/** A BMC behind the machine's KCS interface, as the machine sees it. Returns the path that QEMU connects to. */
async function inBandBmc(scene: Scene): Promise<string> {
  const bmc = createVirtualBmc({ address: bmcAddress });
  const path = join(scene.scratch, 'kcs.sock');
  const server = await serveInBand(path, (netfn, cmd, data) =>
    virtualCommand(bmc.machine, netfn, cmd, data, { id: 0, user: '', peer: 'system', privilege: 4, suite: 0 }),
  );
  onTestFinished(() => {
    server.close();
    bmc.stop();
  });
  return path;
}

/** The switch at the other end of the machine's cable. */
function switchSpeaks(scene: Scene, tap: string): void {
  const fd = enterNamespace(scene.file, () => packetSocket(tap));
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 9);
  const frame = lldpFrame({ mac, port: 'Ethernet1/7', description: 'rack 1, place 7', system: 'leaf-1' });
  const timer = setInterval(() => sendFrame(fd, frame), 500);
  onTestFinished(() => {
    clearInterval(timer);
    closeSync(fd);
  });
}

interface Candidate {
  id: string;
  state: string;
  mac: string;
  vendor: string | null;
  product: string | null;
  serial: string | null;
  boot_mode: string | null;
  bmc_address: string | null;
  neighbours: Record<string, unknown>;
  inventory?: { cpu: { count: number }; memory: { physical_mb: number }; disks: unknown[]; interfaces: unknown[] };
}

it.each([
  // Asked by registers on PCI, since its kernel has no IPMI driver.
  ['lab', 'pci-ipmi-kcs'],
  // Asked by ipmitool and the kernel's driver, at the place where most servers have it.
  ['hardware', 'isa-ipmi-kcs'],
] as const)('the ramdisk %s tells what it runs on, its BMC behind %s', async (ramdisk, kcsDevice) => {
  const scene = await netbootScene({ ramdisk });
  onTestFinished(() => scene.stop());
  const kcs = await inBandBmc(scene);
  switchSpeaks(scene, 'tap3');
  const ask = (path: string): unknown =>
    JSON.parse(
      execFileSync(
        'ip',
        ['netns', 'exec', scene.netns, 'curl', '-sS', '-H', 'x-auth-token: any', `http://192.0.2.1:8088/uc/v1/${path}`],
        { encoding: 'utf8' },
      ),
    );
  const machine = scene.machine(3, {
    firmware: 'bios',
    netboot: 'rom',
    more: [
      ...['-smbios', 'type=1,manufacturer=Maker,product=Model 7,serial=S-007'],
      ...['-chardev', `socket,id=ipmi0,path=${kcs},reconnect=2`, '-device', 'ipmi-bmc-extern,id=bmc0,chardev=ipmi0'],
      ...['-device', `${kcsDevice},bmc=bmc0`],
    ],
  });
  onTestFinished(() => machine.stop());
  const told = await scene
    .until('the machine is discovered', 240, () => scene.lines.find(({ kind }) => kind === 'boot.machine-discovered'))
    .catch((error: Error) => {
      throw new Error(`${error.message}\n${machine.console().slice(-3000)}`);
    });
  process.stdout.write(`${told.data.text}\n`);
  const { candidates } = ask('candidates') as { candidates: Candidate[] };
  expect(candidates).toMatchObject([
    {
      mac: stranger,
      vendor: 'Maker',
      product: 'Model 7',
      serial: 'S-007',
      boot_mode: 'bios',
      bmc_address: bmcAddress,
      neighbours: {
        eth0: {
          chassis: '02:00:00:00:00:09',
          port: 'Ethernet1/7',
          portDescription: 'rack 1, place 7',
          system: 'leaf-1',
        },
      },
    },
  ]);
  const one = ask(`candidates/${candidates[0]?.id}`) as Candidate;
  expect(one.inventory).toMatchObject({ cpu: { count: 1 }, interfaces: [{ name: 'eth0', mac_address: stranger }] });
  // It does as it is told, which is to switch itself off.
  await scene.until('it goes off', 60, () => machine.process.exitCode !== null);
});
