/** VHDX ([MS-VHDX], sections 2.2 and 2.6). Numbers are little-endian; GUIDs are stored with their first three fields swapped. */
import type { DiskFormat } from './index.ts';

const regionTableAt = 192 * 1024;
const guid = (text: string): string => {
  const [a = '', b = '', c = '', d = '', e = ''] = text.toLowerCase().split('-');
  const swap = (part: string) => part.match(/../g)?.reverse().join('') ?? '';
  return swap(a) + swap(b) + swap(c) + d + e;
};
const metadataRegion = guid('8B7CA206-4790-4B9A-B8FE-575F050F886E');
const fileParameters = guid('CAA16737-FA36-4D43-B3B6-33F0AA44E76B');
const virtualDiskSize = guid('2FA54224-CD1B-4876-B211-5DBED83BF4B8');
const hasParent = 2;
/** The most entries that either table has room for. */
const mostEntries = 2047;

export const vhdx: DiskFormat = {
  name: 'vhdx',
  is: ({ head }) => head.toString('latin1', 0, 8) === 'vhdxfile',
  virtualSize({ head }) {
    const metadata = region(head);
    if (head.toString('latin1', metadata, metadata + 8) !== 'metadata')
      throw new Error('its VHDX metadata are not where it says.');
    const parameters = item(head, metadata, fileParameters, 8);
    if (head.readUInt32LE(parameters + 4) & hasParent)
      throw new Error('it is the child of another VHDX, whose content would be read as its own.');
    return Number(head.readBigUInt64LE(item(head, metadata, virtualDiskSize, 8)));
  },
};

function region(head: Buffer): number {
  if (head.length < regionTableAt + 16 || head.toString('latin1', regionTableAt, regionTableAt + 4) !== 'regi')
    throw new Error('its VHDX region table is not there.');
  const count = Math.min(head.readUInt32LE(regionTableAt + 8), mostEntries);
  for (let at = regionTableAt + 16; at + 32 <= Math.min(head.length, regionTableAt + 16 + count * 32); at += 32) {
    if (head.toString('hex', at, at + 16) !== metadataRegion) continue;
    const offset = Number(head.readBigUInt64LE(at + 16));
    if (offset + 32 > head.length) throw new Error('its VHDX metadata lie behind its first 4 MiB, where nobody looks.');
    return offset;
  }
  throw new Error('its VHDX region table names no metadata.');
}

/** Where the item's bytes begin. */
function item(head: Buffer, table: number, wanted: string, length: number): number {
  const count = Math.min(head.readUInt16LE(table + 10), mostEntries);
  for (let at = table + 32; at + 32 <= Math.min(head.length, table + 32 + count * 32); at += 32) {
    if (head.toString('hex', at, at + 16) !== wanted) continue;
    const offset = table + head.readUInt32LE(at + 16);
    if (offset + length <= head.length) return offset;
  }
  throw new Error('its VHDX metadata are not complete.');
}
