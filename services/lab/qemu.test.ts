import { expect, test } from 'vitest';
import { describeNode, type NodeShape } from './description.ts';
import { labLayout } from './layout.ts';
import { type BootDevice, machineArguments } from './qemu.ts';

const line = (shape: NodeShape, boot: BootDevice = 'pxe', stateDir = '/srv/state') => {
  const lab = labLayout(stateDir);
  const node = describeNode(lab, 3, 9, shape, { user: 'u', password: 'p' });
  return machineArguments(node, lab.node(node.name), 'tcg', boot).join(' ');
};

test('the translation cache is bounded and firmware prints to the serial line', () => {
  expect(line({})).toContain('-accel tcg,thread=multi,tb-size=128');
  expect(line({})).toContain('graphics=off');
});

test('the boot device decides which is tried first; the other stays as fall-back', () => {
  expect(line({}, 'pxe')).toMatch(/blk0,bootindex=2.*nic0,mac=[^ ]+,bootindex=1/);
  expect(line({}, 'disk')).toMatch(/blk0,bootindex=1.*nic0,mac=[^ ]+,bootindex=2/);
});

test('firmware and network boot choose flash, ROM and knobs', () => {
  expect(line({})).not.toMatch(/pflash|romfile/);
  expect(line({ firmware: 'uefi' })).toMatch(/pflash.*vars\.fd/);
  expect(line({ firmware: 'uefi' })).not.toContain('romfile');
  expect(line({ firmware: 'uefi', pxe: 'firmware' })).toMatch(/bootindex=1,romfile= /);
  expect(line({ firmware: 'uefi', pxe: 'firmware' })).not.toContain('PXESupport');
  expect(line({ firmware: 'uefi', pxe: 'http' })).toMatch(/IPv4PXESupport,string=n.*IPv6PXESupport,string=n/);
});

test('Secure Boot has its keys in memory that only SMM may write, and boots by the firmware’s own PXE', () => {
  const secure = line({ firmware: 'uefi-secure' });
  expect(secure).toMatch(/OVMF_CODE_4M\.secboot\.fd.*-machine smm=on.*cfi\.pflash01,property=secure,value=on/);
  expect(secure).toContain('disable_s3=1');
  expect(secure).toMatch(/bootindex=1,romfile= /);
  expect(line({ firmware: 'uefi' })).not.toContain('smm');
});

test('a comma in a path does not end the option', () => {
  expect(line({}, 'pxe', '/srv/a,b')).toContain('file=/srv/a,,b/lab/nodes/node-3/disk.img,format=raw');
});

test('the in-band BMC can be left out', () => {
  expect(line({})).toContain('port=9203,reconnect=2 -device ipmi-bmc-extern');
  expect(line({ inBand: false })).not.toContain('ipmi');
});
