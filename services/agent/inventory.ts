/** Reads what the machine is made of, from /sys and /proc alone; `root` is another place for both in tests. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { arch, hostname, networkInterfaces } from 'node:os';
import path from 'node:path';
import type { Inventory, InventoryInterface } from '../ipa/index.ts';
import type { Disk } from './hardware.ts';
import { findKcs, readKcsLan } from './kcs.ts';
import { findTool, runTool } from './tool.ts';

/** A file of one value; null where it is missing, empty or unreadable (speed of a port that is down answers EINVAL). */
async function value(...parts: string[]): Promise<string | null> {
  return readFile(path.join(...parts), 'utf8').then(
    (text) => text.replace(/\0/g, '').trim() || null,
    () => null,
  );
}

async function entries(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}

async function linkName(...parts: string[]): Promise<string | null> {
  return readlink(path.join(...parts)).then(path.basename, () => null);
}

/** Loop, RAM, optical, device mapper, md and floppy devices are no places for an image. */
const NO_DISK = /^(loop|ram|zram|sr|dm-|md|fd|nbd|mtdblock)/;

async function aliases(root: string): Promise<Map<string, string>> {
  const folder = path.join(root, 'dev/disk/by-path');
  const found = new Map<string, string>();
  for (const name of await entries(folder)) {
    const target = await linkName(folder, name);
    if (target) found.set(target, `/dev/disk/by-path/${name}`);
  }
  return found;
}

export async function readDisks(root = '/'): Promise<Disk[]> {
  const block = path.join(root, 'sys/block');
  const byPath = await aliases(root);
  const disks: Disk[] = [];
  for (const name of await entries(block)) {
    const at = path.join(block, name);
    const size = Number((await value(at, 'size')) ?? 0) * 512;
    if (NO_DISK.test(name) || size === 0) continue;
    const wwn = (await value(at, 'device/wwid')) ?? (await value(at, 'wwid'));
    const plainWwn = wwn === null ? null : wwn.replace(/^naa\./, '0x');
    const address = await linkName(at, 'device');
    disks.push({
      name: `/dev/${name}`,
      size,
      model: await value(at, 'device/model'),
      vendor: await value(at, 'device/vendor'),
      serial: (await value(at, 'serial')) ?? (await value(at, 'device/serial')),
      wwn: plainWwn,
      wwn_with_extension: plainWwn,
      wwn_vendor_extension: null,
      rotational: (await value(at, 'queue/rotational')) === '1',
      hctl: address && /^\d+:\d+:\d+:\d+$/.test(address) ? address : null,
      by_path: byPath.get(name) ?? null,
      logical_sectors: Number((await value(at, 'queue/logical_block_size')) ?? 512),
      readOnly: (await value(at, 'ro')) === '1',
      removable: (await value(at, 'removable')) === '1',
    });
  }
  return disks;
}

async function readInterfaces(root: string): Promise<InventoryInterface[]> {
  const net = path.join(root, 'sys/class/net');
  const addresses = networkInterfaces();
  const found: InventoryInterface[] = [];
  for (const name of await entries(net)) {
    const at = path.join(net, name);
    // Only hardware has a device behind it; loopback, bridges and bonds have none.
    const device = await linkName(at, 'device');
    const mac = await value(at, 'address');
    if (!device || !mac || /^(00:?)+$/.test(mac)) continue;
    const own = addresses[name] ?? [];
    const speed = Number((await value(at, 'speed')) ?? -1);
    found.push({
      name,
      mac_address: mac.toLowerCase(),
      ipv4_address: own.find(({ family }) => family === 'IPv4')?.address ?? null,
      ipv6_address: own.find(({ family, scopeid }) => family === 'IPv6' && !scopeid)?.address ?? null,
      has_carrier: (await value(at, 'carrier')) === '1',
      vendor: await value(at, 'device/vendor'),
      product: await value(at, 'device/device'),
      driver: await linkName(at, 'device/driver'),
      pci_address: /^[0-9a-f]{4}:/.test(device) ? device : null,
      speed_mbps: speed > 0 ? speed : null,
      lldp: null,
      client_id: null,
      biosdevname: null,
    });
  }
  return found;
}

async function readCpu(root: string): Promise<Inventory['cpu']> {
  const text = (await value(root, 'proc/cpuinfo')) ?? '';
  const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(text)?.[1] ?? null;
  const sockets = new Set([...text.matchAll(/^physical id\s*:\s*(\d+)$/gm)].map(([, id]) => id));
  return {
    model_name: field('model name') ?? field('CPU part') ?? '',
    frequency: field('cpu MHz'),
    count: Math.max(1, [...text.matchAll(/^processor\s*:/gm)].length),
    architecture: arch() === 'x64' ? 'x86_64' : arch() === 'arm64' ? 'aarch64' : arch(),
    flags: (field('flags') ?? field('Features') ?? '').split(/\s+/).filter(Boolean),
    socket_count: Math.max(1, sockets.size),
  };
}

/** The BMC's own address, asked from inside: by the kernel's driver, else by registers that no driver has. */
async function readBmc(root: string): Promise<{ address: string | null; mac: string | null }> {
  const none = { address: null, mac: null };
  const local = (await entries(path.join(root, 'dev'))).some((name) => /^ipmi\d/.test(name));
  if (!local || !(await findTool('ipmitool'))) {
    const folder = await findKcs(root);
    return folder === null ? none : readKcsLan(folder).catch(() => none);
  }
  const text = await runTool('ipmitool', ['lan', 'print'], 20_000).catch(() => '');
  const address = /^IP Address\s*:\s*(\d+\.\d+\.\d+\.\d+)\s*$/m.exec(text)?.[1];
  const mac = /^MAC Address\s*:\s*([0-9a-f:]{17})\s*$/im.exec(text)?.[1];
  // 0.0.0.0 is what an unconfigured BMC says.
  return { address: address && address !== '0.0.0.0' ? address : null, mac: mac?.toLowerCase() ?? null };
}

/** BOOTIF is 01-aa-bb-cc-dd-ee-ff: hardware type 1, then the MAC (PXELINUX, IPAPPEND 2). */
export function bootInterface(cmdline: string): string | null {
  const given = /(?:^|\s)BOOTIF=(?:[0-9a-f]{2}[-:])?((?:[0-9a-f]{2}[-:]){5}[0-9a-f]{2})(?:\s|$)/i.exec(cmdline)?.[1];
  return given?.toLowerCase().replaceAll('-', ':') ?? null;
}

export async function readInventory(bootMode: 'bios' | 'uefi', root = '/'): Promise<Inventory> {
  const dmi = (name: string) => value(root, 'sys/class/dmi/id', name).then((text) => text ?? '');
  const bmc = await readBmc(root);
  const kilobytes = Number(/^MemTotal:\s*(\d+)/m.exec((await value(root, 'proc/meminfo')) ?? '')?.[1] ?? 0);
  return {
    interfaces: await readInterfaces(root),
    disks: (await readDisks(root)).map(({ readOnly: _readOnly, removable: _removable, ...disk }) => disk),
    cpu: await readCpu(root),
    memory: { total: kilobytes * 1024, physical_mb: await physicalMegabytes(root, kilobytes) },
    bmc_address: bmc.address,
    bmc_v6address: null,
    bmc_mac: bmc.mac,
    system_vendor: {
      product_name: await dmi('product_name'),
      serial_number: await dmi('product_serial'),
      manufacturer: await dmi('sys_vendor'),
      firmware: {
        vendor: await dmi('bios_vendor'),
        version: await dmi('bios_version'),
        build_date: await dmi('bios_date'),
      },
    },
    boot: { current_boot_mode: bootMode, pxe_interface: bootInterface((await value(root, 'proc/cmdline')) ?? '') },
    hostname: hostname() || null,
  };
}

/** Memory blocks that are online, as lsmem counts them: MemTotal lacks what the kernel keeps. */
async function physicalMegabytes(root: string, kilobytes: number): Promise<number> {
  const folder = path.join(root, 'sys/devices/system/memory');
  const size = Number.parseInt((await value(folder, 'block_size_bytes')) ?? '', 16);
  const blocks = (await entries(folder)).filter((name) => /^memory\d+$/.test(name)).length;
  return Number.isFinite(size) && blocks > 0 ? Math.round((size * blocks) / 1_048_576) : Math.round(kilobytes / 1024);
}
