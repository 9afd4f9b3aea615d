/**
 * A machine that nobody has enrolled boots the real deploy ramdisk, of either profile, and becomes a candidate with its inventory, its
 * BMC's address and the switch port that it hangs on.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { packetSocket, sendFrame } from '../../services/core/packet-socket.ts';
import { enterNamespace } from '../../services/core/sockets.ts';
import { serveInBand } from '../../services/lab/in-band.ts';
import { labCommand, labDown, labUp } from '../../services/lab/index.ts';
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

const asked = (scene: Scene, path: string): unknown =>
  JSON.parse(
    execFileSync(
      'ip',
      ['netns', 'exec', scene.netns, 'curl', '-sS', '-H', 'x-auth-token: any', `http://192.0.2.1:8088/uc/v1/${path}`],
      { encoding: 'utf8' },
    ),
  );
const candidatesOf = (scene: Scene) => asked(scene, 'candidates') as { candidates: Candidate[] };

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
  const { candidates } = candidatesOf(scene);
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
  const one = asked(scene, `candidates/${candidates[0]?.id}`) as Candidate;
  expect(one.inventory).toMatchObject({ cpu: { count: 1 }, interfaces: [{ name: 'eth0', mac_address: stranger }] });
  // It does as it is told, which is to switch itself off.
  await scene.until('it goes off', 60, () => machine.process.exitCode !== null);
});

it('a lab is discovered as it is made', async () => {
  const stateDir = mkdtempSync('/var/tmp/uct-discovered-');
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
  const lab = await labUp({ stateDir, nodes: 1 });
  onTestFinished(async () => void (await labDown({ stateDir })));
  const scene = await netbootScene({ ramdisk: 'lab', on: lab.netns });
  onTestFinished(() => scene.stop());
  const [node] = lab.nodes;
  if (!node) throw new Error('the lab has no node');
  const { user, password, address } = node.bmc;
  const bmc = ['-I', 'lanplus', '-C', '3', '-H', address, '-U', user, '-P', password];
  const [program, ...words] = labCommand(stateDir, ['ipmitool', ...bmc, 'chassis', 'power', 'on']);
  execFileSync(program, words);
  await scene.until('the machine is discovered', 240, () =>
    scene.lines.find(({ kind }) => kind === 'boot.machine-discovered'),
  );
  const { candidates } = candidatesOf(scene);
  expect(candidates).toMatchObject([
    { mac: node.mac, serial: node.name, neighbours: { eth0: { port: 'tap1', system: 'lab' } } },
  ]);
  // Its simulator tells no address of itself (IPMI 2.0 table 23-4: 0.0.0.0), or it is the one that it listens on.
  expect([null, address]).toContain(candidates[0]?.bmc_address);
  process.stdout.write(`${JSON.stringify(candidates[0])}\n`);
});
