import { crc32c } from './crc32c.ts';
import { BLOCK } from './geometry.ts';

/** An extended attribute by its full name, such as security.capability. */
export interface ExtendedAttribute {
  name: string;
  value: Buffer;
}

const MAGIC = 0xea020000;
const HEADER = 32;
/** Name indexes (fs/ext4/xattr.h). Longer prefixes first. */
const PREFIXES: readonly (readonly [string, number])[] = [
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['user.', 1],
  ['trusted.', 4],
  ['security.', 6],
  ['system.', 7],
];

interface Entry {
  index: number;
  name: Buffer;
  value: Buffer;
}

/** ACLs lie on disk without ids where there are none (fs/ext4/acl.h); the system call shows 8 bytes for each entry. */
function diskAcl(value: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from([1, 0, 0, 0])];
  for (let at = 4; at + 8 <= value.length; at += 8) {
    const tag = value.readUInt16LE(at);
    parts.push(value.subarray(at, tag === 2 || tag === 8 ? at + 8 : at + 4)); // ACL_USER and ACL_GROUP carry an id.
  }
  return Buffer.concat(parts);
}

function entries(attributes: readonly ExtendedAttribute[]): Entry[] {
  return attributes
    .map(({ name, value }): Entry | undefined => {
      const found = PREFIXES.find(([prefix]) => name.startsWith(prefix));
      if (found === undefined) return undefined;
      const [prefix, index] = found;
      return {
        index,
        name: Buffer.from(name.slice(prefix.length)),
        value: index === 2 || index === 3 ? diskAcl(value) : value,
      };
    })
    .filter((entry) => entry !== undefined)
    .sort((a, b) => a.index - b.index || a.name.length - b.name.length || Buffer.compare(a.name, b.name));
}

const padded = (length: number): number => (length + 3) & ~3;

/** Bytes that attributes take beside the header: entries, values and the four zeros that end the list. */
export function attributeBytes(attributes: readonly ExtendedAttribute[]): number {
  return entries(attributes).reduce((sum, { name, value }) => sum + 16 + padded(name.length) + padded(value.length), 4);
}

function put(into: Buffer, from: number, base: number, list: readonly Entry[], hashed: boolean): number[] {
  let at = from;
  let end = into.length;
  const hashes: number[] = [];
  for (const { index, name, value } of list) {
    end -= padded(value.length);
    value.copy(into, end);
    into[at] = name.length;
    into[at + 1] = index;
    into.writeUInt16LE(value.length === 0 ? 0 : end - base, at + 2);
    into.writeUInt32LE(value.length, at + 8);
    const hash = hashed ? entryHash(name, value) : 0;
    hashes.push(hash);
    into.writeUInt32LE(hash, at + 12);
    name.copy(into, at + 16);
    at += 16 + padded(name.length);
  }
  return hashes;
}

/** ext4_xattr_hash_entry: the name's bytes, then the value's little-endian words. */
function entryHash(name: Buffer, value: Buffer): number {
  let hash = 0;
  for (const byte of name) hash = ((hash << 5) ^ (hash >>> 27) ^ byte) >>> 0;
  const whole = Buffer.alloc(padded(value.length));
  value.copy(whole);
  for (let at = 0; at < whole.length; at += 4) hash = ((hash << 16) ^ (hash >>> 16) ^ whole.readUInt32LE(at)) >>> 0;
  return hash;
}

/** Puts attributes into the room behind an inode's fields. Entry hashes stay zero there, as the kernel leaves them for readers of old. */
export function encodeBody(into: Buffer, attributes: readonly ExtendedAttribute[]): void {
  if (attributes.length === 0) return;
  into.writeUInt32LE(MAGIC, 0);
  put(into, 4, 4, entries(attributes), false);
}

/** A block of attributes of one inode. */
export function encodeAttributeBlock(attributes: readonly ExtendedAttribute[], seed: number, block: number): Buffer {
  const into = Buffer.alloc(BLOCK);
  into.writeUInt32LE(MAGIC, 0);
  into.writeUInt32LE(1, 4); // references
  into.writeUInt32LE(1, 8); // blocks
  let hash = 0;
  for (const each of put(into, HEADER, 0, entries(attributes), true))
    hash = ((hash << 16) ^ (hash >>> 16) ^ each) >>> 0;
  into.writeUInt32LE(hash, 12);
  const number = Buffer.alloc(8);
  number.writeBigUInt64LE(BigInt(block));
  into.writeUInt32LE(crc32c(crc32c(seed, number), into), 16);
  return into;
}
