// What particular BMCs do otherwise, as data. A row says where it comes from: *knowledge* (documentation, other programs' sources)
// or *proven* (seen here on the wire). Nothing in this table was proven on the vendors' hardware: there is none here.

export interface Quirks {
  /** Selector for "UEFI, boot from disk" where the specification's 2 is not understood. */
  uefiDiskSelector?: number;
  /** Do not send boot option parameter 3 before parameter 5; no known BMC needs it (a refused parameter 3 is passed over). */
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
      'knowledge: Supermicro FAQ 25559 and its own tool set UEFI disk with 0x05 0xe0 0x24; Ironic and metal-stack do so for this vendor. ' +
      'Some boards understand the specification too (2): reading back accepts both',
    quirks: { uefiDiskSelector: 9 },
  },
  {
    vendor: 'Supermicro',
    manufacturer: 47488,
    source: 'knowledge: ipmitool and FreeIPMI list this number too as one that Supermicro boards report',
    quirks: { uefiDiskSelector: 9 },
  },
  {
    vendor: 'Dell',
    manufacturer: 674,
    source:
      'knowledge: boot flags of PowerEdge servers expire before a slow start unless parameter 3 is sent first (xCAT pull request 7460); ' +
      'that is what is done for every BMC, so nothing differs here. The row keeps anybody from switching it off for this vendor',
    quirks: {},
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
