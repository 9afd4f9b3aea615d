/** MAC addresses as people and clients write them. */

/** As it is kept, in small letters with colons; null where the text is no MAC address. */
export function readMac(text: string): string | null {
  const mac = text.trim().toLowerCase().replaceAll('-', ':');
  return /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) ? mac : null;
}
