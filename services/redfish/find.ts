// From the service root to the system that is meant, its managers and chassis. Links that are wrong or missing are what firmware
// releases differ in most, so each has a second way.
import type { AskOptions, RedfishClient } from './client.ts';
import { RedfishError } from './errors.ts';
import { at, lastOf, linkOf, linksOf, object, type Resource, samePath, text } from './resource.ts';

export interface Found {
  readonly root: Resource;
  /** Of the system, `/redfish/v1/Systems/1`. */
  readonly system: string;
  readonly managers: readonly string[];
  readonly chassis: readonly string[];
  readonly vendor: string | null;
  readonly model: string | null;
  readonly firmware: string | null;
}

/** Of a collection: the links of its members, without reading them. */
async function membersOf(client: RedfishClient, path: string, options: AskOptions): Promise<string[]> {
  const { json } = await client.get(path, options);
  return linksOf(json.Members);
}

const known = (error: unknown): boolean =>
  error instanceof RedfishError && ['not-supported', 'refused', 'bad-response'].includes(error.code);

async function systemOf(
  client: RedfishClient,
  root: Resource,
  wanted: string,
  options: AskOptions,
): Promise<{ path: string; json: Resource }> {
  const collection = linkOf(root.Systems) ?? '/redfish/v1/Systems';
  const isPath = wanted.startsWith('/');
  if (isPath) {
    try {
      return { path: wanted, json: (await client.get(wanted, options)).json };
    } catch (error) {
      if (!known(error)) throw error;
    }
  }
  const paths = await membersOf(client, collection, options);
  const names = paths.map((path) => path);
  if (wanted !== '') {
    const path = paths.find((path) => samePath(path, wanted) || lastOf(path) === wanted);
    if (!path)
      throw new RedfishError(
        'system-unknown',
        `there is no system ${wanted}; it has ${names.length === 0 ? 'none' : names.join(', ')}`,
        { known: names },
      );
    return { path, json: (await client.get(path, options)).json };
  }
  const [only] = paths;
  if (only === undefined) throw new RedfishError('system-unknown', 'it has no systems at all', { known: [] });
  if (paths.length > 1)
    throw new RedfishError('system-unknown', `it has ${paths.length} systems and none is named: ${names.join(', ')}`, {
      known: names,
    });
  return { path: only, json: (await client.get(only, options)).json };
}

/** Those that the system names; else those of the collection that name the system; else the only one there is. */
async function beside(
  client: RedfishClient,
  named: readonly string[],
  collection: string | null,
  system: string,
  back: string,
  options: AskOptions,
): Promise<string[]> {
  if (named.length > 0) return [...named];
  if (collection === null) return [];
  try {
    const paths = await membersOf(client, collection, options);
    if (paths.length <= 1) return paths;
    const members = await client.members(collection, { ...options, most: 32 });
    const mine = members.filter((member) => linksOf(at(member, 'Links', back)).some((path) => samePath(path, system)));
    return mine.flatMap((member) => linkOf(member) ?? []);
  } catch (error) {
    // A machine can be switched without knowing its manager.
    if (known(error)) return [];
    throw error;
  }
}

/** @throws RedfishError system-unknown, not-redfish and those of the client */
export async function findSystem(client: RedfishClient, wanted: string, options: AskOptions): Promise<Found> {
  const root = await client.root(options);
  const { path, json } = await systemOf(client, root, wanted, { step: 'find the system', ...options });
  const managers = await beside(
    client,
    linksOf(at(json, 'Links', 'ManagedBy')),
    linkOf(root.Managers),
    path,
    'ManagerForServers',
    options,
  );
  const chassis = await beside(
    client,
    linksOf(at(json, 'Links', 'Chassis')),
    linkOf(root.Chassis),
    path,
    'ComputerSystems',
    options,
  );
  const [manager] = managers;
  const managed = manager
    ? await client.get(manager, options).then(
        ({ json }) => json,
        (error) => {
          if (known(error)) return object(undefined);
          throw error;
        },
      )
    : object(undefined);
  return {
    root,
    system: path,
    managers,
    chassis,
    vendor: text(json.Manufacturer) ?? text(root.Vendor) ?? text(managed.Manufacturer),
    model: text(json.Model),
    firmware: text(managed.FirmwareVersion),
  };
}
