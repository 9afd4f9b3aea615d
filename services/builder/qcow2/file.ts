import { closeSync, openSync, writeSync } from 'node:fs';

/** Size of a cluster, guest's and host's: qemu-img's own default. */
export const CLUSTER = 65_536;

const CLUSTER_BITS = 16;
const MAGIC = 0x514649fb; // "QFI\xfb"
const HEADER_BYTES = 112;
/** Bit 3 of incompatible_features: the header names a compression type. */
const INCOMPATIBLE_COMPRESSION_TYPE = 8n;
const COMPRESSION_ZSTD = 1;
const SECTOR = 512;
/** Entries of eight bytes in one cluster of an L1, L2 or refcount table. */
const ENTRIES = CLUSTER / 8;
/** Counts of two bytes in one cluster of refcounts (refcount_order 4). */
const COUNTS = CLUSTER / 2;
const COMPRESSED = 1n << 62n;
/** The cluster is used once only: a writer may change it in place. */
const COPIED = 1n << 63n;
/** Bits of a compressed cluster's offset; above it comes the number of further sectors (docs/interop/qcow2.txt, "Compressed Clusters Descriptor"). */
const OFFSET_BITS = BigInt(62 - (CLUSTER_BITS - 8));
/** Bytes that are gathered before they are written. */
const BUFFER = 4 * 1024 * 1024;

/** A cluster as it is stored: nothing for one of zeros, its zstd frame, or, where that is no shorter, its own bytes. */
export type StoredCluster = { kind: 'zero' } | { kind: 'zstd' | 'plain'; bytes: Uint8Array };

/**
 * Writes a qcow2 file of compressed clusters (docs/interop/qcow2.txt of QEMU, version 3, compression type zstd). Clusters are given in the guest's order and lie in that order; the
 * tables come behind them. Equal clusters give equal bytes: there is nothing in the file but the disk.
 */
export class Qcow2File {
  #file: number;
  /** Bytes of the guest's disk. */
  #size: number;
  #l2: (BigUint64Array | undefined)[];
  #counts: Uint16Array = new Uint16Array(COUNTS);
  /** Where the next compressed cluster goes, and the first byte behind all that is taken, a multiple of a cluster. */
  #cursor = CLUSTER;
  #end = CLUSTER;
  #buffer: Buffer = Buffer.alloc(BUFFER);
  #first = 0;
  #used = 0;

  constructor(path: string, size: number) {
    this.#file = openSync(path, 'w');
    this.#size = size;
    this.#l2 = new Array<undefined>(Math.ceil(size / (CLUSTER * ENTRIES))).fill(undefined);
    this.#count(0, CLUSTER);
  }

  /** `index` counts the guest's clusters. */
  put(index: number, cluster: StoredCluster): void {
    if (cluster.kind === 'zero') return;
    const table = Math.floor(index / ENTRIES);
    this.#l2[table] ??= new BigUint64Array(ENTRIES);
    this.#l2[table]![index % ENTRIES] =
      cluster.kind === 'plain' ? this.#putPlain(cluster.bytes) : this.#putCompressed(cluster.bytes);
  }

  #putPlain(bytes: Uint8Array): bigint {
    const at = this.#allocate(CLUSTER);
    this.#write(at, bytes);
    this.#count(at, CLUSTER);
    return BigInt(at) | COPIED;
  }

  /** Compressed clusters follow one another byte by byte, across borders of the host's clusters where the next one is free. */
  #putCompressed(bytes: Uint8Array): bigint {
    const { length } = bytes;
    const fits = this.#cursor + length <= Math.ceil(this.#cursor / CLUSTER) * CLUSTER;
    const joins = Math.ceil(this.#cursor / CLUSTER) * CLUSTER === this.#end;
    if (!fits && !joins) this.#cursor = this.#end;
    const at = this.#cursor;
    this.#cursor += length;
    while (this.#end < this.#cursor) this.#end += CLUSTER;
    this.#write(at, bytes);
    this.#count(at, length);
    const sectors = Math.floor((at + length - 1) / SECTOR) - Math.floor(at / SECTOR);
    return BigInt(at) | (BigInt(sectors) << OFFSET_BITS) | COMPRESSED;
  }

  #allocate(bytes: number): number {
    const at = this.#end;
    this.#end += Math.ceil(bytes / CLUSTER) * CLUSTER;
    return at;
  }

  /** Every cluster of the host counts how many of the guest's lie in it. */
  #count(at: number, length: number): void {
    for (let cluster = Math.floor(at / CLUSTER); cluster * CLUSTER < at + length; cluster++) {
      if (cluster >= this.#counts.length) {
        const more = new Uint16Array(this.#counts.length * 2);
        more.set(this.#counts);
        this.#counts = more;
      }
      this.#counts[cluster]! += 1;
    }
  }

  #write(at: number, bytes: Uint8Array): void {
    if (this.#used > 0 && (this.#first + this.#used !== at || this.#used + bytes.length > BUFFER)) this.#flush();
    if (this.#used === 0) this.#first = at;
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #flush(): void {
    for (let done = 0; done < this.#used; )
      done += writeSync(this.#file, this.#buffer, done, this.#used - done, this.#first + done);
    this.#used = 0;
  }

  #writeTable(values: readonly bigint[] | BigUint64Array): number {
    const bytes = Buffer.alloc(Math.max(1, Math.ceil(values.length / ENTRIES)) * CLUSTER);
    for (let i = 0; i < values.length; i++) bytes.writeBigUInt64BE(values[i]!, i * 8);
    const at = this.#allocate(bytes.length);
    this.#count(at, bytes.length);
    for (let done = 0; done < bytes.length; done += CLUSTER)
      this.#write(at + done, bytes.subarray(done, done + CLUSTER));
    return at;
  }

  /** Writes the tables and the header. */
  finish(): void {
    const l1 = this.#l2.map((table) => (table === undefined ? 0n : BigInt(this.#writeTable(table)) | COPIED));
    const l1At = this.#writeTable(l1);
    const { at, clusters } = this.#writeCounts();
    const header = Buffer.alloc(CLUSTER);
    header.writeUInt32BE(MAGIC, 0);
    header.writeUInt32BE(3, 4);
    header.writeUInt32BE(CLUSTER_BITS, 20);
    header.writeBigUInt64BE(BigInt(this.#size), 24);
    header.writeUInt32BE(l1.length, 36);
    header.writeBigUInt64BE(BigInt(l1At), 40);
    header.writeBigUInt64BE(BigInt(at), 48);
    header.writeUInt32BE(clusters, 56);
    header.writeBigUInt64BE(INCOMPATIBLE_COMPRESSION_TYPE, 72);
    header.writeUInt32BE(4, 96); // refcount_order: 2^4 bits.
    header.writeUInt32BE(HEADER_BYTES, 100);
    header.writeUInt8(COMPRESSION_ZSTD, 104);
    this.#write(0, header);
    this.#flush();
  }

  /** The counts count their own clusters and the table of them too, so their number is found first. */
  #writeCounts(): { at: number; clusters: number } {
    let blocks = 0;
    let clusters = 0;
    for (;;) {
      const all = this.#end / CLUSTER + blocks + clusters;
      const needed = Math.ceil(all / COUNTS);
      const table = Math.ceil(needed / ENTRIES);
      if (needed === blocks && table === clusters) break;
      blocks = needed;
      clusters = table;
    }
    const first = this.#allocate(blocks * CLUSTER);
    const at = this.#allocate(clusters * CLUSTER);
    this.#count(first, (blocks + clusters) * CLUSTER);
    const counts = Buffer.alloc(blocks * CLUSTER);
    for (let i = 0; i < Math.min(this.#counts.length, blocks * COUNTS); i++)
      counts.writeUInt16BE(this.#counts[i]!, i * 2);
    for (let block = 0; block < blocks; block++)
      this.#write(first + block * CLUSTER, counts.subarray(block * CLUSTER, (block + 1) * CLUSTER));
    const table = Buffer.alloc(clusters * CLUSTER);
    for (let block = 0; block < blocks; block++) table.writeBigUInt64BE(BigInt(first + block * CLUSTER), block * 8);
    for (let done = 0; done < table.length; done += CLUSTER)
      this.#write(at + done, table.subarray(done, done + CLUSTER));
    return { at, clusters };
  }

  close(): void {
    closeSync(this.#file);
  }
}
