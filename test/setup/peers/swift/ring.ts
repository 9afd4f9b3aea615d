/** A ring file of Swift with one device: format 1 of swift/common/ring/ring.py, RingData.serialize_v1. */
import { gzipSync } from 'node:zlib';

/** 2^4 partitions, all on the only device. */
const partitionPower = 4;

export function ring(ip: string, port: number, device: string): Buffer {
  const devs = [{ id: 0, region: 1, zone: 1, ip, port, device, weight: 1, replication_ip: ip, replication_port: port }];
  const shape = { devs, part_shift: 32 - partitionPower, replica_count: 1, byteorder: 'little', version: 1 };
  const json = Buffer.from(JSON.stringify(shape));
  const head = Buffer.from('R1NG\0\0\0\0\0\0', 'latin1');
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(json.length, 6);
  // One 16-bit device number for each partition: all zero.
  return gzipSync(Buffer.concat([head, json, Buffer.alloc(2 * 2 ** partitionPower)]));
}
