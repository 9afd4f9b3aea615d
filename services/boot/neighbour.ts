/** Who is behind an address on the wire: the kernel's ARP table, of the network namespace that this process runs in. */
import { readFile } from 'node:fs/promises';

/** linux/if_arp.h: the entry is complete. */
const ATF_COM = 0x02;

/** The MAC in lower-case colon text; null when the kernel has no complete entry (nobody answered, or it is routed). */
export async function neighbourMac(ip: string, table = '/proc/net/arp'): Promise<string | null> {
  return macIn(await readFile(table, 'utf8'), ip);
}

/** The same of a table's text. */
export function macIn(table: string, ip: string): string | null {
  for (const line of table.split('\n').slice(1)) {
    // IP address, HW type, flags, HW address, mask, device
    const [address, , flags, mac] = line.split(/\s+/);
    if (address !== ip) continue;
    if (!mac || !(Number(flags) & ATF_COM) || mac === '00:00:00:00:00:00') return null;
    return mac.toLowerCase();
  }
  return null;
}
