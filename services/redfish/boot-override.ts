// Sets a boot override, attempt by attempt, until one is read back: a BMC that answers 200 has promised nothing.
import {
  allowedTargets,
  type BootContext,
  type BootOverride,
  type BootState,
  bootAttempts,
  bootStateOf,
  isTarget,
  judgeBoot,
  settingsPathOf,
} from './boot.ts';
import type { AskOptions, RedfishClient } from './client.ts';
import { RedfishError } from './errors.ts';
import type { BiosOneTime, RedfishQuirks } from './quirks.ts';
import { at, linkOf, object, samePath, text } from './resource.ts';

export interface BootOutcome {
  readonly state: BootState;
  /** What of the wish the BMC dropped, though the device is right. */
  readonly differs: readonly ('efi' | 'persistent')[];
  /** Requests that were refused or not kept before it. */
  readonly tried: number;
  /** Set by BIOS attributes: the override itself does not show it. */
  readonly throughBios: boolean;
}

/** Refusals after which another form of the wish may do; after all others it will not. */
const another = new Set(['refused', 'not-supported', 'precondition', 'task-failed']);

export async function setBootOverride(
  client: RedfishClient,
  where: { readonly system: string; readonly model: string | null; readonly quirks: RedfishQuirks },
  wanted: BootOverride,
  options: AskOptions,
): Promise<BootOutcome> {
  const { json: system } = await client.get(where.system, options);
  const settingsPath = settingsPathOf(system);
  const settings = settingsPath
    ? await client.get(settingsPath, options).then(
        ({ json }) => ({ path: settingsPath, json }),
        (error) => {
          if (error instanceof RedfishError && another.has(error.code)) return null;
          throw error;
        },
      )
    : null;
  const context: BootContext = { path: where.system, system, settings, model: where.model, quirks: where.quirks };
  const attempts = bootAttempts(context, wanted);
  if (attempts.length === 0) {
    const allowed = allowedTargets(system) ?? [];
    throw new RedfishError('not-supported', `it does not boot from ${wanted.target}, only from ${allowed.join(', ')}`, {
      known: allowed,
    });
  }
  let refused: RedfishError | null = null;
  let found: BootState | null = null;
  let near: BootOutcome | null = null;
  for (const [tried, attempt] of attempts.entries()) {
    try {
      await client.patch(attempt.path, attempt.body, options);
    } catch (error) {
      if (!(error instanceof RedfishError) || !another.has(error.code)) throw error;
      refused ??= error;
      continue;
    }
    const pending = !samePath(attempt.path, where.system);
    found = await readBack(client, where.system, pending ? attempt.path : null, wanted, options);
    const { kept, differs } = judgeBoot(found, wanted);
    if (!kept) continue;
    const outcome = { state: found, differs, tried, throughBios: false };
    // What an attempt left out is no failing of the BMC's; a mode that it has not at all neither.
    if (differs.every((name) => attempt.without.includes(name))) return outcome;
    near ??= outcome;
  }
  if (near) return near;
  const bios = where.quirks.biosOneTime;
  if (bios && !wanted.persistent && wanted.target !== 'None') {
    const through = await throughBios(client, system, bios, wanted, options);
    if (through) return { state: through, differs: [], tried: attempts.length, throughBios: true };
  }
  if (found === null && refused) throw refused;
  throw new RedfishError('boot-not-kept', `it reads back ${found?.target ?? 'no boot device'}`, {
    known: [found?.target ?? 'nothing'],
  });
}

async function readBack(
  client: RedfishClient,
  system: string,
  pending: string | null,
  wanted: BootOverride,
  options: AskOptions,
): Promise<BootState> {
  const now = bootStateOf((await client.get(system, options)).json);
  if (pending === null || judgeBoot(now, wanted).kept) return now;
  // Written to the settings: the system shows it after the reset only.
  const later = bootStateOf((await client.get(pending, options)).json);
  return later.target !== null && isTarget(later.target, wanted.target) ? { ...later, efi: later.efi ?? now.efi } : now;
}

/** Null where the machine has no such attributes or no such device. */
async function throughBios(
  client: RedfishClient,
  system: Readonly<Record<string, unknown>>,
  bios: BiosOneTime,
  wanted: BootOverride,
  options: AskOptions,
): Promise<BootState | null> {
  const path = linkOf(system.Bios);
  if (path === null) return null;
  const { json } = await client.get(path, options);
  const attributes = object(json.Attributes);
  const settings = settingsPathOf(json);
  const devices = text(attributes[bios.devices])?.split(/\s*,\s*/) ?? [];
  const pattern = bios.pattern[wanted.target];
  const device = pattern && devices.find((name) => pattern.test(name));
  if (settings === null || !device || !(bios.mode in attributes)) return null;
  const efi = wanted.efi ?? text(at(system, 'Boot', 'BootSourceOverrideMode')) === 'UEFI';
  const way = efi ? bios.uefi : bios.legacy;
  const set = { [bios.mode]: way.value, [way.device]: device };
  // The answer is a job that runs at the next reset: nothing to wait for.
  await client.patch(
    settings,
    { Attributes: set, '@Redfish.SettingsApplyTime': { ApplyTime: 'OnReset' } },
    { ...options, settle: false },
  );
  const { json: pending } = await client.get(settings, options);
  const kept = object(pending.Attributes);
  return kept[bios.mode] === way.value && kept[way.device] === device
    ? { target: wanted.target, persistent: false, efi }
    : null;
}
