// What particular BMCs do otherwise, as data. Every row says from where it is known: *knowledge* is what public code, issues and
// documentation say of a vendor's answers. Nothing in this table was proven on the vendors' hardware: there is none here.

export interface RedfishQuirks {
  /**
   * BootSourceOverrideMode in a boot override: `always` (left out, it goes back to a default), `never` (refused as read-only), or,
   * where there is no row, only when it has to change.
   */
  readonly bootMode?: 'always' | 'never';
  /** Disabling an override needs a target other than None with it. */
  readonly disableWithTarget?: boolean;
  /** A virtual CD is a USB CD to the firmware, but for models that match `cdModels`. */
  readonly usbCd?: { readonly butModels: RegExp };
  /** Insert and eject of virtual media refuse these properties. */
  readonly mediaWithout?: readonly string[];
  /** Slots that take no image from a URL, by Id. */
  readonly mediaNot?: RegExp;
  /** One-time boot through BIOS attributes, where the override is taken and not kept. */
  readonly biosOneTime?: BiosOneTime;
}

/** Attributes of `Bios` that boot one device once; applied at the next reset. */
export interface BiosOneTime {
  readonly mode: string;
  readonly uefi: { readonly value: string; readonly device: string };
  readonly legacy: { readonly value: string; readonly device: string };
  /** Attribute that lists the devices there are, separated by commas. */
  readonly devices: string;
  /** Target → which of these devices. */
  readonly pattern: Readonly<Record<string, RegExp>>;
}

interface QuirkRow {
  readonly vendor: RegExp;
  readonly source: string;
  readonly quirks: RedfishQuirks;
}

export const redfishQuirkTable: readonly QuirkRow[] = [
  {
    vendor: /super\s?micro/i,
    source:
      'knowledge: DMTF/Redfishtool pull request 106 (the vendor: an override without the mode goes back to the default mode, by design); ' +
      'ansible community.general 11543 (disabling needs the mode too)',
    quirks: { bootMode: 'always' },
  },
  {
    vendor: /super\s?micro/i,
    source:
      'knowledge: OpenStack’s sushy: X11 and X12 show virtual media as a USB CD, ARS-111GL-NHR as a CD; InsertMedia of X11 and X12 ' +
      'refuses Inserted and WriteProtected',
    quirks: { usbCd: { butModels: /^ars-111gl-nhr$/i }, mediaWithout: ['Inserted', 'WriteProtected'] },
  },
  {
    vendor: /^hpe?\b|hewlett/i,
    source:
      'knowledge: ansible community.general 3509 (BootSourceOverrideMode is not writable and refuses the whole request); ' +
      'ironcore metal-operator 998 (iLO refuses BootSourceOverrideEnabled while the target is None)',
    quirks: { bootMode: 'never', disableWithTarget: true },
  },
  {
    vendor: /lenovo/i,
    source:
      'knowledge: lenovo/python-redfish-lenovo 21 (only EXT slots take an image by URL; RDOC and Remote are others’); ' +
      'stmcginnis/gofish 529 (SR630 v2: PATCH, no action)',
    quirks: { mediaNot: /^(rdoc|remote)/i },
  },
  {
    vendor: /dell/i,
    source:
      'knowledge: ansible/ansible 52658, dell/redfish-ansible-module 74 and ironcore metal-operator 80 (a one-time Pxe is taken, reads back ' +
      'otherwise or is not obeyed under UEFI); dell/iDRAC-Redfish-Scripting 319 (device names, SetBootOrderEn)',
    quirks: {
      biosOneTime: {
        mode: 'OneTimeBootMode',
        uefi: { value: 'OneTimeUefiBootSeq', device: 'OneTimeUefiBootSeqDev' },
        legacy: { value: 'OneTimeBootSeq', device: 'OneTimeBootSeqDev' },
        devices: 'SetBootOrderEn',
        pattern: {
          Pxe: /^NIC\.PxeDevice|^NIC\./,
          UefiHttp: /^NIC\.HttpDevice/,
          Cd: /^Optical\./,
          Hdd: /^(RAID|Disk|HardDisk|AHCI|BOSS|NVMe)\b/i,
        },
      },
    },
  },
];

/** Quirks of a vendor by the system's Manufacturer (or the root's Vendor); empty for one that is not in the table. */
export function redfishQuirks(vendor: string | null): RedfishQuirks {
  const found: Record<string, unknown> = {};
  if (vendor !== null)
    for (const row of redfishQuirkTable) if (row.vendor.test(vendor)) Object.assign(found, row.quirks);
  return found;
}
