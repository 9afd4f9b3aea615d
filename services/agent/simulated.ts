/** A machine made of a file: the agent runs against it in-process, for tests of everything that talks to an agent. */
import { copyFile, stat } from 'node:fs/promises';
import type { Inventory } from '../ipa/index.ts';
import { AgentFailure } from './failure.ts';
import type { Disk, Hardware, LoadedKernel } from './hardware.ts';

export type MachineEnd = 'power off' | 'reboot' | 'kexec';

export interface SimulatedOptions {
  /** Paths of files that stand for disks; their sizes are the disks' sizes. */
  disks: string[];
  /** MACs of its interfaces. */
  addresses: string[];
  bootMode?: 'bios' | 'uefi';
  bmcAddress?: string;
  /** Files that partitions "hold", by path: for a hand-over by kexec without mounting. */
  files?: Record<string, string>;
  /** Called where a real machine would end. */
  onEnd?(end: MachineEnd, kernel: LoadedKernel | undefined): void | Promise<void>;
  /** Any part of the machine, replaced: a disk that fails, a write-zeroes command. */
  replace?: Partial<Hardware>;
}

function described(name: string, size: number): Disk {
  return {
    name,
    size,
    model: 'File',
    vendor: 'Undercloud',
    serial: null,
    wwn: null,
    wwn_with_extension: null,
    wwn_vendor_extension: null,
    rotational: false,
    hctl: null,
    by_path: null,
    logical_sectors: 512,
    readOnly: false,
    removable: false,
  };
}

export function createSimulatedHardware(options: SimulatedOptions): Hardware {
  const { addresses, bootMode = 'bios', onEnd = () => {}, files = {} } = options;
  let loaded: LoadedKernel | undefined;
  const disks = () => Promise.all(options.disks.map(async (name) => described(name, (await stat(name)).size)));
  return {
    disks,
    bootMode: () => bootMode,
    async inventory(): Promise<Inventory> {
      return {
        interfaces: addresses.map((mac, i) => ({
          name: `eth${i}`,
          mac_address: mac.toLowerCase(),
          ipv4_address: '127.0.0.1',
          ipv6_address: null,
          has_carrier: true,
          vendor: null,
          product: null,
          driver: 'simulated',
          pci_address: null,
          speed_mbps: null,
          lldp: null,
          client_id: null,
          biosdevname: null,
        })),
        disks: (await disks()).map(({ readOnly: _readOnly, removable: _removable, ...disk }) => disk),
        cpu: { model_name: 'Simulated', frequency: null, count: 1, architecture: 'x86_64', flags: [], socket_count: 1 },
        memory: { total: 512 * 2 ** 20, physical_mb: 512 },
        bmc_address: options.bmcAddress ?? null,
        bmc_v6address: null,
        bmc_mac: null,
        system_vendor: {
          product_name: 'Simulated',
          serial_number: '',
          manufacturer: 'Undercloud',
          firmware: { vendor: '', version: '', build_date: '' },
        },
        boot: { current_boot_mode: bootMode, pxe_interface: addresses[0]?.toLowerCase() ?? null },
        hostname: 'simulated',
      };
    },
    addressTowards: async () => '127.0.0.1',
    zero: async () => false,
    rereadPartitions: async () => {},
    addEfiEntry: async ({ label, partition }) => `boot entry "${label}" for partition ${partition} (simulated)`,
    async copyFromPartition(_disk, _partition, path, into) {
      const from = files[path];
      if (from === undefined) throw new AgentFailure('CommandExecutionError', `${path} is not on the simulated disk.`);
      await copyFile(from, into);
    },
    convertQcow2: undefined,
    logs: async () => [{ name: 'simulated', data: Buffer.from('no log\n') }],
    async loadKernel(kernel) {
      loaded = kernel;
    },
    runLoadedKernel: async () => onEnd('kexec', loaded),
    reboot: async () => onEnd('reboot', undefined),
    powerOff: async () => onEnd('power off', undefined),
    ...options.replace,
  };
}
