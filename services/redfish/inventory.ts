// What the machine is made of: the system and its processors, memory, network cards and drives; firmware versions. Empty sockets
// and slots are left out.
import type { AskOptions, RedfishClient } from './client.ts';
import { RedfishError } from './errors.ts';
import type { Found } from './find.ts';
import { at, linkOf, linksOf, list, number, type Resource, text } from './resource.ts';
import { healthOf } from './sensor.ts';

export interface RedfishPart {
  readonly kind: 'processor' | 'memory' | 'nic' | 'disk';
  readonly name: string;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly serial: string | null;
  readonly part: string | null;
  readonly more: Readonly<Record<string, string>>;
}

export interface RedfishInventory {
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly serial: string | null;
  readonly sku: string | null;
  readonly assetTag: string | null;
  readonly uuid: string | null;
  readonly biosVersion: string | null;
  readonly parts: readonly RedfishPart[];
  /** What could not be read, in sentences. */
  readonly faults: readonly string[];
}

/** Property → what it is called in `more`. */
type Wanted = Readonly<Record<string, string>>;

const more = (json: Resource, wanted: Wanted): Record<string, string> =>
  Object.fromEntries(
    Object.entries(wanted).flatMap(([property, name]) => {
      const value = text(at(json, ...property.split('.')));
      return value === null ? [] : [[name, value]];
    }),
  );

function partOf(kind: RedfishPart['kind'], json: Resource, wanted: Wanted): RedfishPart | null {
  if (healthOf(json.Status) === 'absent') return null;
  return {
    kind,
    name: text(json.Name) ?? text(json.Id) ?? kind,
    manufacturer: text(json.Manufacturer),
    model: text(json.Model),
    serial: text(json.SerialNumber),
    part: text(json.PartNumber),
    more: more(json, wanted),
  };
}

export const processorOf = (json: Resource) =>
  partOf('processor', json, {
    ProcessorType: 'type',
    InstructionSet: 'instruction set',
    TotalCores: 'cores',
    TotalThreads: 'threads',
    MaxSpeedMHz: 'MHz',
  });

export function memoryOf(json: Resource): RedfishPart | null {
  // An empty slot has no capacity and, from some, no status either.
  if ((number(json.CapacityMiB) ?? number(json.SizeMB) ?? 0) === 0) return null;
  return partOf('memory', json, {
    CapacityMiB: 'MiB',
    MemoryDeviceType: 'type',
    OperatingSpeedMhz: 'MHz',
    DeviceLocator: 'slot',
  });
}

export function nicOf(json: Resource): RedfishPart | null {
  const mac = macOf(text(json.MACAddress) ?? text(json.PermanentMACAddress));
  const part = partOf('nic', json, { SpeedMbps: 'Mb/s', LinkStatus: 'link', InterfaceEnabled: 'enabled' });
  return part && { ...part, more: { ...part.more, ...(mac && { mac }) } };
}

/** Small letters and colons; null for what is none, and for the zeros that stand for "not known yet". */
export function macOf(given: string | null): string | null {
  const mac = given?.toLowerCase().replaceAll('-', ':') ?? '';
  return /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) && mac !== '00:00:00:00:00:00' ? mac : null;
}

export const driveOf = (json: Resource) =>
  partOf('disk', json, {
    CapacityBytes: 'bytes',
    MediaType: 'media',
    Protocol: 'protocol',
    RotationSpeedRPM: 'RPM',
    Revision: 'firmware',
  });

export async function readInventory(
  client: RedfishClient,
  found: Found,
  options: AskOptions,
): Promise<RedfishInventory> {
  const { json } = await client.get(found.system, options);
  const parts: RedfishPart[] = [];
  const faults: string[] = [];
  // One broken collection does not hide the good ones; a BMC that is gone hides them all.
  async function each(what: string, work: () => Promise<(RedfishPart | null)[]>): Promise<void> {
    try {
      parts.push(...(await work()).flatMap((part) => part ?? []));
    } catch (error) {
      if (!(error instanceof RedfishError) || !['not-supported', 'refused', 'bad-response'].includes(error.code))
        throw error;
      faults.push(`Its ${what} could not be read: ${error.fault}.`);
    }
  }
  const collections = [
    ['processors', linkOf(json.Processors), processorOf],
    ['memory', linkOf(json.Memory), memoryOf],
    ['network cards', linkOf(json.EthernetInterfaces), nicOf],
  ] as const;
  for (const [what, link, read] of collections)
    if (link) await each(what, async () => (await client.members(link, options)).map(read));
  await each('drives', () => readDrives(client, json, options));
  return {
    manufacturer: text(json.Manufacturer),
    model: text(json.Model),
    serial: text(json.SerialNumber),
    sku: text(json.SKU),
    assetTag: text(json.AssetTag),
    uuid: text(json.UUID)?.toLowerCase() ?? null,
    biosVersion: text(json.BiosVersion),
    parts,
    faults,
  };
}

/** Storage → Drives; SimpleStorage's devices where there is no Storage. */
async function readDrives(
  client: RedfishClient,
  system: Resource,
  options: AskOptions,
): Promise<(RedfishPart | null)[]> {
  const storage = linkOf(system.Storage);
  if (storage) {
    const controllers = await client.members(storage, options);
    const drives: (RedfishPart | null)[] = [];
    for (const path of new Set(controllers.flatMap((controller) => linksOf(controller.Drives))))
      drives.push(driveOf((await client.get(path, options)).json));
    if (drives.length > 0) return drives;
  }
  const simple = linkOf(system.SimpleStorage);
  if (!simple) return [];
  const controllers = await client.members(simple, options);
  return controllers.flatMap((controller) => list(controller.Devices).map((device) => driveOf(device as Resource)));
}

export interface RedfishFirmware {
  readonly name: string;
  readonly version: string;
  readonly updateable: boolean | null;
}

export async function readFirmware(
  client: RedfishClient,
  found: Found,
  options: AskOptions,
): Promise<RedfishFirmware[]> {
  const service = linkOf(found.root.UpdateService);
  const collection = service ? linkOf((await client.get(service, options)).json.FirmwareInventory) : null;
  if (collection === null) throw new RedfishError('not-supported', 'it has no list of firmware versions');
  const rows = (await client.members(collection, options)).flatMap((json) => {
    const version = text(json.Version) ?? text(json.VersionString);
    const name = text(json.Name) ?? text(json.Id);
    // Dell keeps rows of what was installed before.
    const previous = /^Previous-/.test(text(json.Id) ?? '');
    if (version === null || name === null || previous) return [];
    return [{ name, version, updateable: typeof json.Updateable === 'boolean' ? json.Updateable : null }];
  });
  return rows;
}
