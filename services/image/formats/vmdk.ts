/** VMDK with one extent within itself ("Virtual Disk Format 1.1"). Numbers are little-endian, offsets are in sectors. */
import type { DiskFormat } from './index.ts';

const sparse = 'KDMV';
const descriptorStart = '# Disk DescriptorFile';
const sector = 512;
/** Those whose only extent is the file itself. Every other type names files beside it. */
const alone = new Set(['monolithicSparse', 'streamOptimized']);

export const vmdk: DiskFormat = {
  name: 'vmdk',
  is: ({ head }) =>
    head.toString('latin1', 0, 4) === sparse || head.toString('latin1', 0, descriptorStart.length) === descriptorStart,
  virtualSize({ head }) {
    if (head.toString('latin1', 0, 4) !== sparse)
      throw new Error('it is a VMDK descriptor alone, which names the files of its disk; upload a monolithic one.');
    if (head.length < sector) throw new Error('it ends within its VMDK header.');
    const version = head.readUInt32LE(4);
    if (version < 1 || version > 3) throw new Error(`it is VMDK version ${version}; 1 to 3 are taken.`);
    const start = Number(head.readBigUInt64LE(28)) * sector;
    const length = Number(head.readBigUInt64LE(36)) * sector;
    if (start === 0 || start + length > head.length) throw new Error('its VMDK descriptor is not near its beginning.');
    checkDescriptor(head.toString('latin1', start, start + length).replace(/\0[\s\S]*$/, ''));
    return Number(head.readBigUInt64LE(12)) * sector;
  },
};

function checkDescriptor(text: string): void {
  const field = (name: string) => new RegExp(`^\\s*${name}\\s*=\\s*"?([^"\\r\\n]*)"?`, 'im').exec(text)?.[1]?.trim();
  const type = field('createType');
  if (!type || !alone.has(type))
    throw new Error(`its VMDK type is ${type ?? 'not given'}; ${[...alone].join(' and ')} are taken.`);
  if (field('parentFileNameHint') !== undefined || (field('parentCID') ?? 'ffffffff').toLowerCase() !== 'ffffffff')
    throw new Error('it is the child of another VMDK, whose content would be read as its own.');
  const extents = text.split(/\r?\n/).filter((line) => /^\s*(RW|RDONLY|NOACCESS)\s/i.test(line));
  const [extent] = extents;
  const [, kind, file] = /^\s*RW\s+\d+\s+(\S+)\s+"([^"]*)"\s*\d*\s*$/i.exec(extent ?? '') ?? [];
  if (extents.length !== 1 || kind?.toUpperCase() !== 'SPARSE' || file === undefined || /[/\\]/.test(file))
    throw new Error('its VMDK descriptor does not describe one sparse extent, the file itself.');
}
