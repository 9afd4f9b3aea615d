// The boot override of a system (DSP0268 ComputerSystem.Boot): what it is, what to send to change it, and whether it was kept. Pure:
// boot-override.ts sends. What vendors do otherwise is in quirks.ts; what is tried after a refusal is the order of `attempts`.
import type { RedfishQuirks } from './quirks.ts';
import { at, linkOf, object, type Resource, text, texts } from './resource.ts';

export const bootTargets = ['None', 'Pxe', 'Hdd', 'Cd', 'BiosSetup', 'UefiHttp', 'Usb', 'Diags', 'UefiTarget'] as const;
export type BootTarget = (typeof bootTargets)[number];

export interface BootOverride {
  readonly target: BootTarget;
  /** For every boot, not only the next one. */
  readonly persistent: boolean;
  /** Undefined leaves the mode as it is. */
  readonly efi?: boolean;
  /** With UefiHttp; null lets DHCP say. */
  readonly httpUri?: string | null;
}

export interface BootState {
  /** As the BMC writes it; null: the machine boots by its own order. */
  readonly target: string | null;
  readonly persistent: boolean;
  /** Null where the BMC does not tell. */
  readonly efi: boolean | null;
}

/** An override that is `Disabled` is none, whatever target it still names. */
export function bootStateOf(system: Resource): BootState {
  const boot = object(system.Boot);
  const enabled = text(boot.BootSourceOverrideEnabled);
  const target = text(boot.BootSourceOverrideTarget);
  const mode = text(boot.BootSourceOverrideMode);
  const is = enabled !== 'Disabled' && target !== null && target !== 'None';
  return {
    target: is ? target : null,
    persistent: is && enabled === 'Continuous',
    efi: mode === null ? null : mode.toUpperCase() === 'UEFI',
  };
}

/** Targets that mean the same wish: what one BMC calls Cd is UsbCd to another. */
const same: Readonly<Record<string, readonly string[]>> = {
  Cd: ['Cd', 'UsbCd', 'UefiCd'],
  Pxe: ['Pxe'],
  Hdd: ['Hdd'],
  Usb: ['Usb', 'Floppy'],
};

export const isTarget = (found: string | null, wanted: BootTarget): boolean =>
  found !== null && (same[wanted] ?? [wanted]).includes(found);

/** The targets that a system says it allows; null where it does not say. */
export function allowedTargets(system: Resource): readonly string[] | null {
  const allowed = texts(at(system, 'Boot', 'BootSourceOverrideTarget@Redfish.AllowableValues'));
  const older = texts(at(system, 'Boot', 'BootSourceOverrideSupported'));
  return allowed.length > 0 ? allowed : older.length > 0 ? older : null;
}

export interface BootAttempt {
  readonly path: string;
  readonly body: Resource;
  /** What of the wish this attempt leaves out: not held against what is read back. */
  readonly without: readonly ('efi' | 'persistent')[];
}

export interface BootContext {
  /** Of the system. */
  readonly path: string;
  readonly system: Resource;
  /** Of `@Redfish.Settings`: where the system keeps what shall be after the next reset. */
  readonly settings: { readonly path: string; readonly json: Resource } | null;
  readonly model: string | null;
  readonly quirks: RedfishQuirks;
}

export const settingsPathOf = (resource: Resource): string | null =>
  linkOf(at(resource, '@Redfish.Settings', 'SettingsObject'));

/** The target as this BMC calls it; null where it allows none that means it. */
function targetFor(context: BootContext, wanted: BootTarget): string | null {
  const allowed = allowedTargets(context.system) ?? allowedTargets(context.settings?.json ?? {});
  const { usbCd } = context.quirks;
  const asUsb = wanted === 'Cd' && usbCd && !usbCd.butModels.test(context.model ?? '');
  if (asUsb && allowed?.includes('UsbCd')) return 'UsbCd';
  if (allowed === null || allowed.includes(wanted)) return wanted;
  return (same[wanted] ?? []).find((name) => allowed.includes(name)) ?? null;
}

/**
 * What to send, in the order of trying: the wish whole; then without the mode where the BMC may not let it be set; each at the system
 * and at its settings resource. First is the one that already shows the properties: AMI's (`…/SD`), Lenovo's (`…/Pending`) and Dell's
 * newer firmware have them writable in the settings alone. Empty: the BMC does not allow the target.
 */
export function bootAttempts(context: BootContext, wanted: BootOverride): BootAttempt[] {
  const { system, settings, quirks } = context;
  const now = bootStateOf(system);
  const reported = now.efi ?? (settings ? bootStateOf(settings.json).efi : null);
  const target = wanted.target === 'None' ? 'None' : targetFor(context, wanted.target);
  if (target === null) return [];

  const enabled = wanted.target === 'None' ? 'Disabled' : wanted.persistent ? 'Continuous' : 'Once';
  const boot: Record<string, unknown> = { BootSourceOverrideEnabled: enabled };
  if (wanted.target !== 'None') boot.BootSourceOverrideTarget = target;
  else if (quirks.disableWithTarget)
    boot.BootSourceOverrideTarget = text(at(system, 'Boot', 'BootSourceOverrideTarget')) ?? 'Pxe';
  if (boot.BootSourceOverrideTarget === 'None' && quirks.disableWithTarget) boot.BootSourceOverrideTarget = 'Pxe';
  if (wanted.target === 'UefiHttp') boot.HttpBootUri = wanted.httpUri ?? null;

  const efi = wanted.efi ?? reported;
  const changes = wanted.efi !== undefined && reported !== null && wanted.efi !== reported;
  const withMode = efi !== null && quirks.bootMode !== 'never' && (quirks.bootMode === 'always' || changes);
  const mode = { BootSourceOverrideMode: efi ? 'UEFI' : 'Legacy' };

  const bodies: { boot: Record<string, unknown>; without: BootAttempt['without'] }[] = [];
  if (withMode) bodies.push({ boot: { ...boot, ...mode }, without: [] });
  bodies.push({ boot, without: withMode || changes || reported === null ? ['efi'] : [] });
  // The other way round for a BMC that is not in the table and goes back to a default where the mode is left out.
  if (!withMode && efi !== null && quirks.bootMode !== 'never')
    bodies.push({ boot: { ...boot, ...mode }, without: [] });

  const shown = settings !== null && 'BootSourceOverrideTarget' in object(settings.json.Boot);
  const places =
    settings === null ? [context.path] : shown ? [settings.path, context.path] : [context.path, settings.path];
  const attempts = places.flatMap((path) =>
    bodies.map(({ boot, without }): BootAttempt => ({ path, body: { Boot: boot }, without })),
  );
  if (wanted.persistent && wanted.target !== 'None')
    // Some firmware knows no persistent override at all. Better once than not: what it lacks is told.
    attempts.push({
      path: places[0] ?? context.path,
      body: { Boot: { ...boot, ...(withMode && mode), BootSourceOverrideEnabled: 'Once' } },
      without: ['persistent', ...(withMode ? [] : (['efi'] as const))],
    });
  return attempts;
}

export interface BootJudgement {
  readonly kept: boolean;
  /** Named wishes that the BMC dropped though it kept the device. */
  readonly differs: readonly ('efi' | 'persistent')[];
}

export function judgeBoot(found: BootState, wanted: BootOverride): BootJudgement {
  if (wanted.target === 'None') return { kept: found.target === null, differs: [] };
  const kept = isTarget(found.target, wanted.target);
  const differs: ('efi' | 'persistent')[] = [];
  if (found.persistent !== wanted.persistent) differs.push('persistent');
  if (wanted.efi !== undefined && found.efi !== wanted.efi) differs.push('efi');
  return { kept, differs };
}
