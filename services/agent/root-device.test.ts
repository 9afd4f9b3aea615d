import { describe, expect, it } from 'vitest';
import type { InventoryDisk } from '../ipa/index.ts';
import { chooseRootDisk, GIB, rootDeviceHints } from './root-device.ts';

function disk(name: string, gib: number, more: Partial<InventoryDisk> = {}): InventoryDisk {
  return {
    name,
    size: gib * GIB,
    model: null,
    vendor: null,
    serial: null,
    wwn: null,
    wwn_with_extension: null,
    wwn_vendor_extension: null,
    rotational: false,
    hctl: null,
    by_path: null,
    logical_sectors: 512,
    ...more,
  };
}

const DISKS = [
  disk('/dev/sdb', 100, { model: 'Fast SSD 870', serial: 'S1', vendor: 'ATA' }),
  disk('/dev/sda', 500, { model: 'Slow HDD', serial: 'H1', rotational: true, wwn: '0x5000c500' }),
  disk('/dev/sdc', 2),
  disk('/dev/nvme0n1', 100.5, { serial: 'N1', hctl: '0:0:0:0' }),
];

describe('the root disk', () => {
  it('is the smallest of at least 4 GiB without hints', () => {
    expect(chooseRootDisk(DISKS, undefined).name).toBe('/dev/sdb');
    expect(chooseRootDisk(DISKS, {}).name).toBe('/dev/sdb');
    expect(chooseRootDisk(DISKS, undefined, 0).name).toBe('/dev/sdc');
  });

  it.each([
    [{ serial: 'H1' }, '/dev/sda'],
    [{ serial: 's== n1' }, '/dev/nvme0n1'],
    [{ size: 2 }, '/dev/sdc'],
    [{ size: '>= 200' }, '/dev/sda'],
    [{ size: '<or> 3 <or> 500' }, '/dev/sda'],
    [{ size: 100 }, '/dev/nvme0n1'],
    [{ size: '== 100', vendor: 'ata' }, '/dev/sdb'],
    [{ model: '<in> ssd' }, '/dev/sdb'],
    [{ model: 's!= slow hdd', size: '> 10' }, '/dev/sdb'],
    [{ rotational: true }, '/dev/sda'],
    [{ rotational: 'false', name: '/dev/sdc' }, '/dev/sdc'],
    [{ wwn: '0x5000C500' }, '/dev/sda'],
    [{ serial: '<or> x <or> N1' }, '/dev/nvme0n1'],
    [{ hctl: '0:0:0:0' }, '/dev/nvme0n1'],
  ])('meets the hints %j', (hints, name) => {
    expect(chooseRootDisk(DISKS, hints).name).toBe(name);
  });

  it('is refused with what there is', () => {
    expect(() => chooseRootDisk(DISKS, { serial: 'none' })).toThrow(/\{"serial":"none"\}.*\/dev\/nvme0n1/);
    expect(() => chooseRootDisk([DISKS[2]!], undefined)).toThrow(
      /No disk has 4294967296 bytes or more: it has \/dev\/sdc \(2147483648 bytes\)/,
    );
    expect(() => chooseRootDisk([], undefined)).toThrow(/has no disks/);
    expect(() => chooseRootDisk(DISKS, { colour: 'red' })).toThrow(/hint colour is "red"/);
    expect(() => chooseRootDisk(DISKS, { size: 'big' })).toThrow(/hint size is "big"/);
  });

  it("takes the instance's hints before the node's", () => {
    expect(
      rootDeviceHints({
        instance_info: { root_device: { serial: 'a' } },
        properties: { root_device: { serial: 'b' } },
      }),
    ).toEqual({ serial: 'a' });
    expect(rootDeviceHints({ instance_info: {}, properties: { root_device: { serial: 'b' } } })).toEqual({
      serial: 'b',
    });
    expect(rootDeviceHints({ properties: null })).toBeUndefined();
  });
});
