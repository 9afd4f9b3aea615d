/** The file format of tcpdump and Wireshark (draft-ietf-opsawg-pcap): microseconds, little-endian, Ethernet. */

/** Of each frame so much is kept: every header and every packet of DHCP, TFTP requests, HTTP heads; not the bytes of images. */
export const snapLength = 1024;
const LINKTYPE_ETHERNET = 1;

export function pcapHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(snapLength, 16);
  header.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  return header;
}

/** @param at milliseconds since 1970 */
export function pcapRecord(at: number, bytes: Uint8Array, length: number): Buffer {
  const kept = bytes.subarray(0, snapLength);
  const record = Buffer.alloc(16 + kept.length);
  record.writeUInt32LE(Math.floor(at / 1000), 0);
  record.writeUInt32LE(Math.floor((at % 1000) * 1000), 4);
  record.writeUInt32LE(kept.length, 8);
  record.writeUInt32LE(length, 12);
  record.set(kept, 16);
  return record;
}
