import { describe, expect, it } from 'vitest';
import { placePartitions, sizeInMib } from './disk.ts';
import { layoutEnvironment, readLayout, standardLayout } from './layout.ts';
import { encodeMbr } from './mbr.ts';

const context = { name: 'x', label: 'cloudimg-rootfs', type: 'ext4', mkfsOptions: [] };
const MBR = `
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: mbr
    partitions:
      - name: root
        flags: [ boot, primary ]
        size: 100%
        mkfs: {mount: {mount_point: /, fstab: {options: "defaults", fsck-passno: 1}}}
`;
const SPLIT = `
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - {name: ESP, type: EF00, size: 64MiB}
      - {name: BSP, type: EF02, size: 8MiB}
      - {name: swap, type: "8200", size: 128MiB, mkfs: {type: swap}}
      - {name: root, size: 100%}
- mkfs: {name: fs_root, base: root, type: ext4, label: rootfs, mount: {mount_point: /}}
- mkfs: {name: fs_esp, base: ESP, type: vfat}
- mount: {name: mount_esp, base: fs_esp, mount_point: /boot/efi}
- fstab: {base: mount_esp, options: ro, fsck-passno: 2}
`;
const LVM = `
- local_loop: {name: image0}
- partitioning: {base: image0, label: gpt, partitions: [{name: root, type: 8E00, size: 4GiB}]}
- lvm:
    name: lvm
    base: [root]
    pvs: [{name: pv, base: root}]
    vgs: [{name: vg, base: [pv]}]
    lvs: [{name: lv_root, base: vg, extents: 60%VG}, {name: lv_var, base: vg, size: 500m}]
- mkfs: {base: lv_root, type: xfs, label: "img-rootfs", mount: {mount_point: /, fstab: {options: rw}}}
- mkfs: {base: lv_var, type: ext4, mount: {mount_point: /var}}
`;

describe('block-device configurations', () => {
  it('reads the nested form', () => {
    const layout = readLayout(MBR, 'test', context);
    expect(layout).toMatchObject({ table: 'mbr', loop: false, rootLabel: 'cloudimg-rootfs' });
    expect(layout.partitions[0]).toMatchObject({
      name: 'root',
      flags: ['boot', 'primary'],
      filesystem: { type: 'ext4', mount: '/', fstab: { options: 'defaults', pass: 1 } },
    });
    expect(layoutEnvironment(layout)).toMatchObject({
      DIB_MOUNTPOINTS: '/',
      UC_PARTITION_TABLE: 'msdos',
      UC_ROOT_PARTITION: 'msdos1',
    });
  });

  it('reads nodes that name what they stand on', () => {
    const layout = readLayout(SPLIT, 'test', context);
    expect(layout.loop).toBe(false);
    expect(layout.partitions.map(({ filesystem }) => filesystem?.mount)).toEqual([
      '/boot/efi',
      undefined,
      undefined,
      '/',
    ]);
    expect(layout.partitions[0]?.filesystem?.fstab).toEqual({ options: 'ro', dump: 0, pass: 2 });
    const disk = placePartitions(layout, 1000);
    expect(disk.partitions.map(({ firstMib, mib }) => [firstMib, mib])).toEqual([
      [1, 64],
      [65, 8],
      [73, 128],
      [201, 1000],
    ]);
    expect(disk.mib).toBe(1202);
    expect(placePartitions(layout, 1000, 4096).partitions.at(-1)?.mib).toBe(4096 - 202);
  });

  it('finds that logical volumes and xfs need devices', () => {
    const layout = readLayout(LVM, 'test', context);
    expect(layout).toMatchObject({ loop: true, why: 'it has logical volumes', rootLabel: 'img-rootfs' });
    expect(layout.partitions[0]?.type).toBe('8E00');
    expect(layout.groups[0]).toMatchObject({ name: 'vg', physical: ['root'] });
    expect(layout.groups[0]?.volumes.map(({ name, extents, size }) => [name, extents, size])).toEqual([
      ['lv_root', '60%VG', ''],
      ['lv_var', '', '500m'],
    ]);
    expect(readLayout(MBR.replace('mkfs: {', 'mkfs: {type: xfs, '), 'test', context)).toMatchObject({
      loop: true,
      why: 'it has a file system of type xfs',
    });
  });

  it.each([
    ['{}', 'is not a list of nodes'],
    ['- local_lop: {}', 'there is no node "local_lop"'],
    ['- local_loop: {name: a}', 'nothing is mounted at "/"'],
    [MBR.replace('label: mbr', 'label: bsd'), 'the partition table "bsd"'],
    ['- [', 'is not valid YAML'],
  ])('refuses %j', (yaml, sentence) => {
    expect(() => readLayout(yaml, 'the file', context)).toThrow(sentence);
  });

  it('reads sizes', () => {
    expect(['8MiB', '1GiB', '40G', '512', '50%'].map((text) => sizeInMib(text, 200))).toEqual([
      8, 1024, 38_147, 1, 100,
    ]);
    expect(() => sizeInMib('a lot', 1)).toThrow('"a lot" is no size');
  });

  it('has a layout of its own for both firmwares', () => {
    expect(standardLayout('x', 'root', 64).partitions.map(({ type }) => type)).toEqual(['EF02', 'EF00', 'root']);
  });
});

describe('the MBR', () => {
  it('marks the active partition and says LBA', () => {
    const sector = encodeMbr(0x12345678, [{ type: 0x83, active: true, first: 2048, count: 4096 }]);
    expect(sector.subarray(440, 444).toString('hex')).toBe('78563412');
    expect(sector.subarray(446, 462).toString('hex')).toBe('80feffff83feffff0008000000100000');
    expect(() =>
      encodeMbr(
        0,
        Array.from({ length: 5 }, () => ({ type: 0x83, active: false, first: 1, count: 1 })),
      ),
    ).toThrow('four primary partitions');
  });
});
