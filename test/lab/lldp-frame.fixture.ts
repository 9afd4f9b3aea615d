/** What a switch says of itself on a port, as it says it (LLDP, IEEE 802.1AB section 8). */

export interface SwitchPort {
  /** Six bytes: the port's own, and the chassis's. */
  readonly mac: Uint8Array;
  readonly port: string;
  readonly description: string;
  readonly system: string;
}

/** Table 7-1: bridges do not pass it on. */
const nearestBridge = Buffer.from('0180c200000e', 'hex');
const ETHERTYPE_LLDP = Buffer.from('88cc', 'hex');

function tlv(type: number, ...value: Uint8Array[]): Buffer {
  const bytes = Buffer.concat(value);
  const head = Buffer.alloc(2);
  head.writeUInt16BE((type << 9) | bytes.length);
  return Buffer.concat([head, bytes]);
}

/** A whole Ethernet frame: chassis by MAC (subtype 4), port by its interface's name (5), 120 s to live. */
export const lldpFrame = ({ mac, port, description, system }: SwitchPort): Buffer =>
  Buffer.concat([
    ...[nearestBridge, mac, ETHERTYPE_LLDP],
    tlv(1, Buffer.of(4), mac),
    tlv(2, Buffer.of(5), Buffer.from(port)),
    tlv(3, Buffer.of(0, 120)),
    tlv(4, Buffer.from(description)),
    tlv(5, Buffer.from(system)),
    tlv(0),
  ]);
