// What particular BMCs do otherwise, as data. A row says where it comes from: *knowledge* (documentation, other programs' sources)
// or *proven* (seen here on the wire). Nothing in this table was proven on the vendors' hardware: there is none here.

export interface Quirks {
  /** Selector for "UEFI, boot from disk" where the specification's 2 is not understood. */
  uefiDiskSelector?: number;
  /** Do not send boot option parameter 3 before parameter 5. */
  noBootTimeoutOverride?: boolean;
  /** Largest piece to ask for when SDRs or FRU data are read, in bytes. */
  readBytes?: number;
}

interface QuirkRow {
  vendor: string;
  /** IANA enterprise number in Get Device ID. */
  manufacturer: number;
  /** Product id, where the quirk is not the whole vendor's. */
  product?: number;
  source: string;
  quirks: Quirks;
}

export const QUIRK_TABLE: readonly QuirkRow[] = [
  {
    vendor: 'Supermicro',
    manufacturer: 10876,
    source:
      'knowledge: Ironic ipmitool driver sends 0x00 0x08 0x05 0xe0 0x24 for UEFI boot to disk on boards that identify as Supermicro',
    quirks: { uefiDiskSelector: 9 },
  },
  {
    vendor: 'Supermicro (vendor id 47488, seen on boards that report the enterprise number in another byte order)',
    manufacturer: 47488,
    source: 'knowledge: Ironic matches both ids, 10876 and 47488',
    quirks: { uefiDiskSelector: 9 },
  },
  {
    vendor: 'Dell',
    manufacturer: 674,
    source:
      'knowledge: iDRAC refuses or ignores the boot flag timeout override (Ironic: ipmi_disable_boot_timeout=false for such BMCs); flags persist until the next boot anyway',
    quirks: { noBootTimeoutOverride: true },
  },
];

/** Quirks of the BMC with these ids (Get Device ID); empty for one that is not in the table. */
export function quirksOf(manufacturer: number, product: number): Quirks {
  const found: Quirks = {};
  for (const row of QUIRK_TABLE) {
    if (row.manufacturer === manufacturer && (row.product === undefined || row.product === product))
      Object.assign(found, row.quirks);
  }
  return found;
}
