import type { LabNode } from './description.ts';
import type { NodeLayout } from './layout.ts';
import { tapName } from './network.ts';
import { uefiFiles } from './tools.ts';

/** How a node of the lab is told to QEMU. Pure: a node in, an argument list out. */

export type BootDevice = 'pxe' | 'disk';
export type Acceleration = 'kvm' | 'tcg';

export const qemuProgram = 'qemu-system-x86_64';

/** The serial line of node N for the BMC's SOL, and the BMC's own line into the machine (KCS): TCP on the namespace's loopback. */
export const solPort = (index: number): number => 9300 + index;
export const inBandPort = (index: number): number => 9200 + index;

const accelerator: Readonly<Record<Acceleration, string>> = {
  kvm: 'kvm',
  // The translation cache defaults to 1 GB: a 1 GB guest then grows to 2.2 GB. With 128 MB it stays at 1.2 GB and is no slower.
  tcg: 'tcg,thread=multi,tb-size=128',
};

/** The bootindex of each device: the lower is tried first. Both have one, so that a blank disk falls through to the network. */
export const bootOrders: Readonly<Record<BootDevice, { nic: number; disk: number }>> = {
  pxe: { nic: 1, disk: 2 },
  disk: { nic: 2, disk: 1 },
};

/** Where the boot order of a running machine is changed (QOM path of property `bootindex`); the firmware reads it at its next reset. */
export const bootIndexPaths = { nic: '/machine/peripheral/nic0', disk: '/machine/peripheral/blk0' } as const;

/** Flags that every guest of the lab shares, and the acceleration probe with them. */
export function commonArguments(acceleration: Acceleration, vcpus: number, memoryMb: number): string[] {
  return [
    // Without graphics SeaBIOS, its boot menu and iPXE print to the first serial port; otherwise nothing is seen before the kernel.
    ...['-machine', 'q35,usb=off,graphics=off', '-accel', accelerator[acceleration], '-cpu', 'max'],
    ...['-smp', String(vcpus), '-m', String(memoryMb)],
    ...['-display', 'none', '-vga', 'none', '-nodefaults', '-no-user-config'],
  ];
}

/** QEMU's arguments for that node. A comma in a path is doubled, as QEMU's option syntax wants it. */
export function machineArguments(
  node: LabNode,
  layout: NodeLayout,
  acceleration: Acceleration,
  boot: BootDevice,
): string[] {
  const order = bootOrders[boot];
  const { name, uuid, index, mac } = node;
  return [
    ...['-name', name],
    ...commonArguments(acceleration, node.vcpus, node.memoryMb),
    ...['-uuid', uuid],
    ...['-smbios', `type=1,manufacturer=Undercloud,product=Lab node,serial=${name},uuid=${uuid}`],
    ...firmwareArguments(node, layout),
    // unsafe: a guest's flush need not reach the host's disk, since the lab's disks are not meant to outlive a power cut of the host.
    ...[
      '-drive',
      `if=none,id=d0,file=${quoted(layout.disk)},format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap`,
    ],
    ...['-device', `virtio-blk-pci,drive=d0,id=blk0,bootindex=${order.disk},serial=${name}`],
    ...['-netdev', `tap,id=n0,ifname=${tapName(index)},script=no,downscript=no`],
    ...[
      '-device',
      `virtio-net-pci,netdev=n0,id=nic0,mac=${mac},bootindex=${order.nic}${node.pxe === 'ipxe-rom' ? '' : ',romfile='}`,
    ],
    ...['-device', 'virtio-rng-pci'],
    ...[
      '-chardev',
      `socket,id=ser0,path=${quoted(layout.serial)},server=on,wait=off,logfile=${quoted(layout.consoleLog)},logappend=on`,
    ],
    ...['-serial', 'chardev:ser0'],
    ...['-qmp', `unix:${quoted(layout.qmp)},server=on,wait=off`],
    ...inBandArguments(node),
  ];
}

function firmwareArguments(node: LabNode, layout: NodeLayout): string[] {
  if (node.firmware === 'bios') return [];
  const flash = [
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${uefiFiles[node.firmware].code}`],
    ...['-drive', `if=pflash,format=raw,file=${quoted(layout.firmwareVariables)}`],
    // Keys that any program could write would protect nothing. Suspend to RAM would have to save that memory, and OVMF cannot.
    ...(node.firmware === 'uefi-secure'
      ? ['-machine', 'smm=on', '-global', 'driver=cfi.pflash01,property=secure,value=on']
      : []),
    ...(node.firmware === 'uefi-secure' ? ['-global', 'ICH9-LPC.disable_s3=1'] : []),
  ];
  if (node.pxe !== 'http') return flash;
  // With both PXE stacks off, OVMF's only network boot entries are the HTTP ones.
  const off = ['IPv4PXESupport', 'IPv6PXESupport'].flatMap((knob) => [
    '-fw_cfg',
    `name=opt/org.tianocore/${knob},string=n`,
  ]);
  return [...flash, ...off];
}

function inBandArguments(node: LabNode): string[] {
  if (!node.inBand) return [];
  return [
    ...['-chardev', `socket,id=ipmi0,host=127.0.0.1,port=${inBandPort(node.index)},reconnect=2`],
    // On PCI, not on ISA: the deploy ramdisk's kernel for virtual machines has no IPMI driver, and shows a PCI device's registers all the same.
    ...['-device', 'ipmi-bmc-extern,id=bmc0,chardev=ipmi0', '-device', 'pci-ipmi-kcs,bmc=bmc0'],
  ];
}

function quoted(path: string): string {
  return path.replaceAll(',', ',,');
}
