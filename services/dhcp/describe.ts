import { formatAddress, formatMac } from './address.ts';
import { OPTION_TABLE } from './option-table.ts';
import { describeOption } from './option-values.ts';
import { BROADCAST_FLAG, type DhcpPacket } from './packet.ts';

/** A packet as lines of text, one field or option a line: for goldens, captures and people. */
export function describePacket(packet: DhcpPacket): string[] {
  const lines = [
    `op ${packet.op} htype ${packet.htype} hops ${packet.hops} xid ${packet.xid.toString(16).padStart(8, '0')} secs ${packet.secs}${packet.flags & BROADCAST_FLAG ? ' broadcast' : ''}`,
    `chaddr ${formatMac(packet.chaddr, packet.hlen)}`,
  ];
  for (const field of ['ciaddr', 'yiaddr', 'siaddr', 'giaddr'] as const) {
    if (packet[field] !== 0) lines.push(`${field} ${formatAddress(packet[field])}`);
  }
  if (packet.sname) lines.push(`sname ${JSON.stringify(packet.sname)}`);
  if (packet.file) lines.push(`file ${JSON.stringify(packet.file)}`);
  for (const [code, value] of packet.options) {
    lines.push(`${code} ${OPTION_TABLE[code]?.name ?? 'unknown'}: ${describeOption(code, value)}`);
  }
  return lines;
}
