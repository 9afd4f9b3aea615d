/** Formats whose header says in one or two fields what has to be known. */
import type { DiskFormat } from './index.ts';

/** VirtualBox's VDI 1.1: little-endian; types 1 and 2 stand alone, 3 and 4 are differences to another file. */
export const vdi: DiskFormat = {
  name: 'vdi',
  is: ({ head }) => head.length >= 68 && head.readUInt32LE(64) === 0xbeda107f,
  virtualSize({ head }) {
    if (head.length < 400) throw new Error('it ends within its VDI header.');
    const type = head.readUInt32LE(76);
    if (type !== 1 && type !== 2) throw new Error(`its VDI type is ${type}; 1 and 2, which stand alone, are taken.`);
    return Number(head.readBigUInt64LE(368));
  },
};

/** A LUKS container holds a disk that nobody here can open. */
export const luks: DiskFormat = {
  name: 'luks',
  is: ({ head }) => head.toString('latin1', 0, 6) === 'LUKS\xba\xbe',
  virtualSize() {
    throw new Error('it is encrypted, and nobody here has the key.');
  },
};

/** ECMA-119, 8.1: the first volume descriptor is in sector 16 of 2,048 bytes. */
export const isoFormat: DiskFormat = {
  name: 'iso',
  is: ({ head }) => head.toString('latin1', 32_769, 32_774) === 'CD001',
  virtualSize: ({ size }) => size ?? 0,
};

const cookie = 'conectix';

/**
 * Microsoft's VHD ("Virtual Hard Disk Image Format Specification", 2006): big-endian. The footer is the last sector, and
 * a dynamic disk has a copy of it as its first.
 */
export const vhd: DiskFormat = {
  name: 'vhd',
  is: ({ head, tail }) => [head, tail].some((sector) => sector.toString('latin1', 0, cookie.length) === cookie),
  virtualSize({ head, tail }) {
    const footer = head.toString('latin1', 0, cookie.length) === cookie ? head : tail;
    if (footer.length < 512) throw new Error('it ends within its VHD footer.');
    const type = footer.readUInt32BE(60);
    if (type !== 2 && type !== 3)
      throw new Error(
        type === 4
          ? 'it is the child of another VHD, whose content would be read as its own.'
          : `its VHD type is ${type}; 2 and 3 are taken.`,
      );
    return Number(footer.readBigUInt64BE(48));
  },
};
