/**
 * The one question, as a table: what does this machine boot now? Rows are tried in order, the first that fits answers;
 * an absent field fits everything. Firmware comes in three stages that look alike to DHCP: the ROM's own PXE, iPXE (from
 * a ROM or chain-loaded), and the system that was booted. Only what each says of itself (options 60, 77, 93, 175) tells
 * them apart.
 */
import type { ClientClass } from '../dhcp/index.ts';
import type { BootAnswer, ClientKind, Intent, Platform } from './model.ts';

export interface DecisionRow {
  readonly intent?: readonly Intent[];
  readonly client?: ClientKind;
  readonly platform?: Platform;
  readonly secureBoot?: boolean;
  /**
   * The rung of this machine's ladder from which on the row answers. A machine, or a model, climbs a rung where boots with
   * the one below came to nothing (ladder.ts).
   */
  readonly fromRung?: number;
  readonly answer: BootAnswer;
  /** Why, in words for the timeline and the docs. */
  readonly because: string;
}

/** Both boot the ramdisk. */
const ramdisk = ['agent', 'discover'] as const;

export const decisionTable: readonly DecisionRow[] = [
  {
    client: 'system',
    answer: { kind: 'address' },
    because: 'a running system asks for an address, not for something to boot',
  },
  {
    intent: ['none'],
    answer: { kind: 'address' },
    because: 'there is nothing for this machine to boot',
  },
  {
    intent: ramdisk,
    client: 'ipxe',
    answer: { kind: 'script', script: 'agent' },
    because: 'iPXE runs already, so it gets its script at once',
  },
  {
    intent: ['disk'],
    client: 'ipxe',
    answer: { kind: 'script', script: 'disk' },
    because: 'iPXE hands over to the local disk',
  },
  {
    client: 'http-boot',
    platform: 'efi-x64',
    secureBoot: true,
    answer: { kind: 'address' },
    because: 'Debian’s signed GRUB finds nothing over HTTP, so the firmware is to go on to its PXE entry',
  },
  {
    intent: ['disk'],
    client: 'pxe-rom',
    platform: 'efi-x64',
    secureBoot: true,
    answer: { kind: 'loader', file: 'shimx64.efi', over: 'tftp' },
    because: 'under Secure Boot only the signed chain may show the way to the disk: shim, then GRUB',
  },
  {
    intent: ['disk'],
    client: 'pxe-rom',
    platform: 'efi-x64',
    answer: { kind: 'loader', file: 'disk.efi', over: 'tftp' },
    because: 'UEFI is shown the way to the disk, which it would look for only after minutes of other network boots',
  },
  {
    intent: ['disk'],
    client: 'http-boot',
    platform: 'efi-x64',
    answer: { kind: 'loader', file: 'disk.efi', over: 'http' },
    because: 'UEFI is shown the way to the disk, which it would look for only after minutes of other network boots',
  },
  {
    intent: ['disk'],
    answer: { kind: 'address' },
    because: 'without a boot file the firmware goes on to the disk',
  },
  {
    client: 'pxe-rom',
    platform: 'bios',
    fromRung: 1,
    answer: { kind: 'loader', file: 'ipxe.pxe', over: 'tftp' },
    because: 'undionly.kpxe was given twice and nothing came of it, so iPXE’s own drivers are tried',
  },
  {
    client: 'pxe-rom',
    platform: 'bios',
    answer: { kind: 'loader', file: 'undionly.kpxe', over: 'tftp' },
    because: 'a BIOS PXE ROM fetches iPXE by TFTP; undionly keeps the ROM’s own driver',
  },
  {
    client: 'pxe-rom',
    platform: 'efi-x64',
    secureBoot: true,
    answer: { kind: 'loader', file: 'shimx64.efi', over: 'tftp' },
    because: 'the node is to boot with Secure Boot: Debian’s signed shim, GRUB and kernel, all by TFTP',
  },
  {
    client: 'pxe-rom',
    platform: 'efi-x64',
    fromRung: 3,
    answer: { kind: 'address' },
    because: 'no loader works here over PXE; without a boot file the firmware goes on to its HTTP boot',
  },
  {
    client: 'pxe-rom',
    platform: 'efi-x64',
    fromRung: 2,
    answer: { kind: 'loader', file: 'shimx64.efi', over: 'tftp' },
    because: 'neither iPXE started, as when Secure Boot is on, so the signed chain is tried',
  },
  {
    client: 'pxe-rom',
    platform: 'efi-x64',
    // snponly drives the NIC through the firmware: 4.7 s faster than ipxe.efi in OVMF, and knows every NIC that booted.
    fromRung: 1,
    answer: { kind: 'loader', file: 'ipxe.efi', over: 'tftp' },
    because: 'snponly.efi was given twice and nothing came of it, so iPXE’s own drivers are tried',
  },
  {
    client: 'pxe-rom',
    platform: 'efi-x64',
    answer: { kind: 'loader', file: 'snponly.efi', over: 'tftp' },
    because: 'UEFI PXE fetches iPXE by TFTP',
  },
  {
    client: 'http-boot',
    platform: 'efi-x64',
    fromRung: 1,
    answer: { kind: 'loader', file: 'ipxe.efi', over: 'http' },
    because: 'snponly.efi was given twice over HTTP and nothing came of it, so iPXE’s own drivers are tried',
  },
  {
    client: 'http-boot',
    platform: 'efi-x64',
    answer: { kind: 'loader', file: 'snponly.efi', over: 'http' },
    because: 'UEFI HTTP boot fetches iPXE by HTTP',
  },
  {
    answer: { kind: 'address' },
    because: 'there is no loader for this architecture',
  },
];

/** RFC 4578 and the IANA registry of processor architectures (option 93). */
const platforms: Readonly<Record<number, Platform>> = {
  0: 'bios',
  6: 'efi-other',
  7: 'efi-x64',
  // 9 is EFI BC, which firmware of the 2010s sends for x64 (EDK2 did until 2014).
  9: 'efi-x64',
  10: 'efi-other',
  11: 'efi-other',
  15: 'efi-other',
  16: 'efi-x64',
  19: 'efi-other',
};

/** IANA: 15 is x86 HTTP boot and 16 x64 HTTP boot; firmware is seen to send 15 for x64 (IANA's erratum of 2016). */
const httpArchitectures = new Set([15, 16]);

export function platformOf(client: ClientClass): Platform {
  const [architecture] = client.architectures;
  if (architecture === undefined) return 'unknown';
  if (client.isHttpBoot && httpArchitectures.has(architecture)) return 'efi-x64';
  return platforms[architecture] ?? 'unknown';
}

export function kindOf(client: ClientClass): ClientKind {
  if (client.isIpxe) return 'ipxe';
  if (client.isHttpBoot) return 'http-boot';
  return client.isPxe ? 'pxe-rom' : 'system';
}

export interface Situation {
  readonly intent: Intent;
  readonly client: ClientKind;
  readonly platform: Platform;
  readonly secureBoot: boolean;
  readonly rung: number;
}

export function decide(situation: Situation): DecisionRow {
  const row = decisionTable.find(
    (one) =>
      (one.intent === undefined || one.intent.includes(situation.intent)) &&
      (one.client === undefined || one.client === situation.client) &&
      (one.platform === undefined || one.platform === situation.platform) &&
      (one.secureBoot === undefined || one.secureBoot === situation.secureBoot) &&
      situation.rung >= (one.fromRung ?? 0),
  );
  // The last row fits everything.
  if (!row) throw new Error('the decision table has no last row');
  return row;
}

/** The loaders that such a machine is given one after the other, the first first. */
export function ladderOf(situation: Omit<Situation, 'rung'>): string[] {
  const rungs: string[] = [];
  for (let rung = 0; rung < mostRungs; rung += 1) {
    const { answer } = decide({ ...situation, rung });
    if (answer.kind !== 'loader') break;
    const name = rungName(answer);
    if (rungs.at(-1) === name) break;
    rungs.push(name);
  }
  return rungs;
}

const mostRungs = 8;

/** `snponly.efi over TFTP`. */
export const rungName = (answer: Extract<BootAnswer, { kind: 'loader' }>): string =>
  `${answer.file} over ${answer.over.toUpperCase()}`;

const clientNames: Readonly<Record<ClientKind, string>> = {
  'pxe-rom': 'PXE',
  ipxe: 'iPXE',
  'http-boot': 'HTTP boot',
  system: 'the running system',
};
const platformNames: Readonly<Record<Platform, string>> = {
  bios: 'BIOS',
  'efi-x64': 'UEFI',
  'efi-other': 'UEFI (not x64)',
  unknown: '',
};

/** `UEFI PXE`, `BIOS iPXE`, `the running system`. */
export function describeClient(client: ClientClass): string {
  const kind = kindOf(client);
  const platform = platformNames[platformOf(client)];
  return kind === 'system' || platform === '' ? clientNames[kind] : `${platform} ${clientNames[kind]}`;
}
