import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootInterface, readDisks, readInventory } from './inventory.ts';
import { partitionDevice } from './linux.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'machine-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function file(name: string, content: string) {
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  writeFileSync(path.join(root, name), content);
}

function link(name: string, target: string) {
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  symlinkSync(target, path.join(root, name));
}

describe('the inventory', () => {
  it('lists disks, and only disks', async () => {
    file('sys/block/vda/size', '8388608\n');
    file('sys/block/vda/serial', 'virt-1\n');
    file('sys/block/vda/queue/rotational', '1\n');
    file('sys/block/sda/size', '1000\n');
    file('sys/block/sda/ro', '1\n');
    file('sys/block/sda/removable', '1\n');
    file('sys/block/sda/queue/logical_block_size', '4096\n');
    link('sys/block/sda/device', '../../devices/pci/host0/0:0:1:0');
    file('sys/devices/pci/host0/0:0:1:0/model', 'Some Disk   \n');
    file('sys/devices/pci/host0/0:0:1:0/wwid', 'naa.5000c500\n');
    for (const none of ['loop0', 'sr0', 'dm-0', 'md127', 'ram1']) file(`sys/block/${none}/size`, '100\n');
    file('sys/block/sdb/size', '0\n');
    link('dev/disk/by-path/pci-0000:00:04.0', '../../vda');
    symlinkSync('../devices/pci/host0/0:0:1:0', path.join(root, 'sys/x'));
    const disks = await readDisks(root);
    expect(disks.map(({ name }) => name)).toEqual(['/dev/sda', '/dev/vda']);
    expect(disks[1]).toMatchObject({
      size: 4294967296,
      serial: 'virt-1',
      rotational: true,
      by_path: '/dev/disk/by-path/pci-0000:00:04.0',
      logical_sectors: 512,
      readOnly: false,
    });
    expect(disks[0]).toMatchObject({
      hctl: '0:0:1:0',
      model: 'Some Disk',
      wwn: '0x5000c500',
      readOnly: true,
      removable: true,
      logical_sectors: 4096,
    });
  });

  it('reads what this very machine is made of', async () => {
    const inventory = await readInventory('bios');
    expect(inventory.cpu.count).toBeGreaterThan(0);
    expect(inventory.memory.total).toBeGreaterThan(2 ** 27);
    expect(inventory.memory.physical_mb * 2 ** 20).toBeGreaterThanOrEqual(inventory.memory.total * 0.9);
  });

  it('is empty, not broken, where the machine tells nothing', async () => {
    const inventory = await readInventory('uefi', root);
    expect(inventory).toMatchObject({
      interfaces: [],
      disks: [],
      memory: { total: 0, physical_mb: 0 },
      bmc_address: null,
      boot: { current_boot_mode: 'uefi', pxe_interface: null },
    });
  });

  it('knows the interface that was booted from', () => {
    expect(bootInterface('a BOOTIF=01-52-54-00-DD-00-04 b')).toBe('52:54:00:dd:00:04');
    expect(bootInterface('BOOTIF=52:54:00:dd:00:04')).toBe('52:54:00:dd:00:04');
    expect(bootInterface('BOOTIF=nonsense')).toBeNull();
  });

  it('names partitions as the kernel does', () => {
    expect(['/dev/vda', '/dev/nvme0n1', '/dev/mmcblk0'].map((disk) => partitionDevice(disk, 3))).toEqual([
      '/dev/vda3',
      '/dev/nvme0n1p3',
      '/dev/mmcblk0p3',
    ]);
  });
});
