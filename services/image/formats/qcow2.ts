/** qcow2 (docs/interop/qcow2.txt of QEMU). Numbers are big-endian. */
import type { DiskFormat } from './index.ts';

const magic = 0x514649fb; // "QFI\xfb"
/** Bits of incompatible_features that a reader may meet: dirty, corrupt, external data file, compression type, extended L2. */
const corrupt = 1n << 1n;
const dataFile = 1n << 2n;
const known = 0b11111n;
const shortHeader = 72;
const longHeader = 104;
/** Header extension of an external data file's name. */
const dataFileName = 0x44415441;

export const qcow2: DiskFormat = {
  name: 'qcow2',
  is: ({ head }) => head.length >= 8 && head.readUInt32BE(0) === magic,
  virtualSize({ head }) {
    if (head.length < shortHeader) throw new Error('it ends within its qcow2 header.');
    const version = head.readUInt32BE(4);
    if (version !== 2 && version !== 3) throw new Error(`it is qcow version ${version}; 2 and 3 are taken.`);
    if (head.readBigUInt64BE(8) !== 0n)
      throw new Error('it names a backing file, whose content would be read as its own.');
    const clusterBits = head.readUInt32BE(20);
    if (clusterBits < 9 || clusterBits > 21)
      throw new Error(`its clusters of 2^${clusterBits} bytes are none of qcow2's.`);
    if (head.readUInt32BE(32) !== 0) throw new Error('it is encrypted, and nobody here has the key.');
    if (version === 3) checkExtensions(head);
    const size = Number(head.readBigUInt64BE(24));
    // An L2 table is a cluster of 8-byte entries, each of which maps a cluster (16 bytes where L2 is extended).
    const mapped = 2 ** clusterBits * (2 ** clusterBits / 16);
    const entries = head.readUInt32BE(36);
    if (entries > 2 * Math.ceil(size / mapped) + 64)
      throw new Error(`its table has ${entries} entries, and a disk of ${size} bytes does not need them.`);
    return size;
  },
};

function checkExtensions(head: Buffer): void {
  if (head.length < longHeader) throw new Error('it ends within its qcow2 header.');
  const features = head.readBigUInt64BE(72);
  if (features & dataFile) throw new Error('it names an external data file, which would be read as its own.');
  if (features & corrupt) throw new Error('it is marked as corrupt; `qemu-img check -r all` may mend it.');
  if (features & ~known) throw new Error(`it needs features (0x${features.toString(16)}) that are not known here.`);
  let at = head.readUInt32BE(100);
  while (at + 8 <= head.length) {
    const type = head.readUInt32BE(at);
    if (type === 0) return;
    if (type === dataFileName) throw new Error('it names an external data file, which would be read as its own.');
    at += 8 + Math.ceil(head.readUInt32BE(at + 4) / 8) * 8;
  }
}
