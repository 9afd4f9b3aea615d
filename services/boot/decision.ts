/**
 * The one question, as a table: what does this machine boot now? Rows are tried in order, the first that fits answers;
 * an absent field fits everything. Firmware comes in three stages that look alike to DHCP: the ROM's own PXE, iPXE (from
 * a ROM or chain-loaded), and the system that was booted. Only what each says of itself (options 60, 77, 93, 175) tells
 * them apart.
 */
import type { ClientClass } from '../dhcp/index.ts';
import type { BootAnswer, ClientKind, Intent, Platform } from './model.ts';

export interface DecisionRow {
  readonly intent?: Intent;
  readonly client?: ClientKind;
  readonly platform?: Platform;
  /** How many boots in a row this machine was given this very row's loader and did not get further. */
  readonly afterFailures?: number;
  readonly answer: BootAnswer;
  /** Why, in words for the timeline and the docs. */
  readonly because: string;
}

export const decisionTable: readonly DecisionRow[] = [
  {
    client: 'system',
    answer: { kind: 'address' },
    because: 'a running system asks for an address, not for something to boot',
  },
  {
    intent: 'none',
    answer: { kind: 'address' },
    because: 'there is nothing for this node to boot',
  },
  {
    intent: 'agent',
    client: 'ipxe',
    answer: { kind: 'script', script: 'agent' },
    because: 'iPXE runs already, so it gets its script at once',
  },
  {
    intent: 'disk',
    client: 'ipxe',
    answer: { kind: 'script', script: 'disk' },
    because: 'iPXE hands over to the local disk',
  },
  {
    intent: 'disk',
    client: 'pxe-rom',
    platform: 'efi-x64',
    answer: { kind: 'loader', file: 'disk.efi', over: 'tftp' },
    because: 'UEFI is shown the way to the disk, which it would look for only after minutes of other network boots',
  },
  {
    intent: 'disk',
    client: 'http-boot',
    platform: 'efi-x64',
    answer: { kind: 'loader', file: 'disk.efi', over: 'http' },
    because: 'UEFI is shown the way to the disk, which it would look for only after minutes of other network boots',
  },
  {
    intent: 'disk',
    answer: { kind: 'address' },
    because: 'without a boot file the firmware goes on to the disk',
  },
  {
    intent: 'agent',
    client: 'pxe-rom',
    platform: 'bios',
    answer: { kind: 'loader', file: 'undionly.kpxe', over: 'tftp' },
    because: 'a BIOS PXE ROM fetches iPXE by TFTP; undionly keeps the ROM’s own driver',
  },
  {
    intent: 'agent',
    client: 'pxe-rom',
    platform: 'efi-x64',
    // snponly drives the NIC through the firmware: 4.7 s faster than ipxe.efi in OVMF, and knows every NIC that booted.
    afterFailures: 2,
    answer: { kind: 'loader', file: 'ipxe.efi', over: 'tftp' },
    because: 'snponly.efi was fetched twice and nothing came of it, so iPXE’s own drivers are tried',
  },
  {
    intent: 'agent',
    client: 'pxe-rom',
    platform: 'efi-x64',
    answer: { kind: 'loader', file: 'snponly.efi', over: 'tftp' },
    because: 'UEFI PXE fetches iPXE by TFTP',
  },
  {
    intent: 'agent',
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
  readonly failures: number;
}

export function decide(situation: Situation): DecisionRow {
  const row = decisionTable.find(
    (one) =>
      (one.intent === undefined || one.intent === situation.intent) &&
      (one.client === undefined || one.client === situation.client) &&
      (one.platform === undefined || one.platform === situation.platform) &&
      situation.failures >= (one.afterFailures ?? 0),
  );
  // The last row fits everything.
  if (!row) throw new Error('the decision table has no last row');
  return row;
}

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
