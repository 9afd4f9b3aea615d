/** What a packet says of who sends it, before anything is decided. */
import { type DhcpPacket, MESSAGE, OPTION } from '../dhcp/index.ts';

export const isDiscover = (packet: DhcpPacket): boolean =>
  packet.options.get(OPTION.messageType)?.[0] === MESSAGE.discover;

/** What only a boot ROM, UEFI or iPXE says of itself: options 93 and 175. */
export const isFirmware = ({ options }: DhcpPacket): boolean =>
  options.has(OPTION.clientArch) || options.has(OPTION.ipxe);
