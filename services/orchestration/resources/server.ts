/** OS::Nova::Server: an image on a bare-metal node, with what its agent needs to be configured afterwards. */

import type { NetworkWish, Server } from '../../compute/index.ts';
import { fault } from '../../core/errors/index.ts';
import { same } from '../engine/change.ts';
import { isFault } from '../engine/faults.ts';
import { done, type Handler, type Outcome, type Work, waitFor } from '../engine/handler.ts';
import type { Plain } from '../model.ts';
import { openConfig } from '../software/configs.ts';
import { type Credential, dropCredential, ensureCredential, type Holder } from '../software/credentials.ts';
import { collectors } from '../software/metadata.ts';
import { softwareUserData, toolsUserData } from '../software/user-data.ts';
import { config } from '../store/software.ts';

const lookEvery = 5_000;
/** A deletion that ended in an error is begun anew this often. */
const mostDeletions = 3;

/** Nova's names take what a host name takes, and no more than 63 of it here: it becomes the host's name. */
const serverName = (work: Work): string => String(work.properties.name ?? work.physicalName).slice(0, 63);

function networksOf(properties: Work['properties']): NetworkWish[] {
  const listed = (properties.networks ?? []) as { network?: string; uuid?: string; port?: string; fixed_ip?: string }[];
  return listed.map(({ network, uuid, port, fixed_ip }) => ({
    ...(port ? { port } : { network: network ?? uuid ?? '' }),
    ...(fixed_ip && { fixedIp: fixed_ip }),
  }));
}

const texts = (map: Plain | undefined): Record<string, string> =>
  Object.fromEntries(
    Object.entries((map ?? {}) as { [key: string]: Plain }).map(([key, item]) => [
      key,
      typeof item === 'string' ? item : JSON.stringify(item),
    ]),
  );

const holderOf = (work: Work): Holder => ({ id: work.id, name: work.name, stack: work.stack });
const isSoftware = ({ properties }: Work): boolean => properties.user_data_format === 'SOFTWARE_CONFIG';
const isTools = ({ properties }: Work): boolean => properties.user_data_format === 'HEAT_CFNTOOLS';

/** `user_data` may be the id of a software configuration: then its text. */
async function ownUserData(work: Work): Promise<string> {
  const given = work.properties.user_data;
  if (typeof given !== 'string' || given === '') return '';
  if (!/^[0-9a-f-]{36}$/.test(given)) return given;
  const row = await config(work.desk.house.db, given);
  return row ? String(openConfig(work.desk, row).config ?? '') : given;
}

function userData(work: Work, own: string, credential: Credential | null): string | undefined {
  if (!credential) return isTools(work) && own !== '' ? toolsUserData(own, work.metadata) : own || undefined;
  const transport = String(work.properties.software_config_transport ?? 'POLL_SERVER_CFN');
  const section = collectors(work.desk, holderOf(work), credential, transport, true);
  const metadata =
    typeof work.metadata === 'object' && work.metadata !== null && !Array.isArray(work.metadata) ? work.metadata : {};
  return softwareUserData(own, { ...metadata, 'os-collect-config': section });
}

async function start(work: Work): Promise<void> {
  const { desk, properties, context } = work;
  const own = await ownUserData(work);
  await work.commit(async (tx) => {
    const transport = properties.software_config_transport;
    const credential = isSoftware(work) ? await ensureCredential(desk, tx, holderOf(work), { user: true }) : null;
    const data = userData(work, own, credential);
    const made = await desk.compute.createServer(
      context,
      {
        name: serverName(work),
        image: String(properties.image ?? ''),
        flavor: String(properties.flavor),
        networks: networksOf(properties),
        configDrive:
          properties.config_drive === null || properties.config_drive === undefined
            ? true
            : properties.config_drive === true,
        metadata: texts(properties.metadata),
        hints: texts(properties.scheduler_hints),
        tags: (properties.tags as string[] | null) ?? [],
        ...(data !== undefined && { userData: data }),
        ...(typeof properties.key_name === 'string' && { keyName: properties.key_name }),
      },
      tx,
    );
    return {
      physicalId: made.id,
      data: { transport: transport ?? null, ...(credential?.user && { user: credential.user.id }) },
    };
  });
}

const failure = (server: Server) =>
  fault('server-failed', {
    server: server.name,
    status: server.status,
    reason: server.fault?.message ?? 'it does not say why',
  });

async function look(work: Work): Promise<Outcome> {
  const server = await work.desk.compute.findServer(work.context, work.physicalId ?? '');
  if (server.status === 'ERROR') throw failure(server);
  if (server.status !== 'BUILD' && server.status !== 'REBUILD') return done;
  const activity = await work.desk.compute.activity(server.id);
  const what = activity?.waiting?.on ?? activity?.title ?? 'its deploy to begin';
  return waitFor({
    on: `server ${server.name}: ${what}`,
    remedy: activity?.waiting?.remedy ?? `See \`openstack server show ${server.name}\`.`,
    recheckMs: lookEvery,
  });
}

/** Names, metadata and tags are looked at by nobody on a running machine; what is on its disk or wire makes it anew. */
const inPlace: ReadonlySet<string> = new Set([
  'name',
  'metadata',
  'tags',
  'software_config_transport',
  'user_data_update_policy',
  'flavor_update_policy',
  'image_update_policy',
  'admin_pass',
]);

/** An image may change on the node that is there: Heat's default, unless `image_update_policy` says REPLACE. */
const replacedBy = (changed: readonly string[], { image_update_policy: policy, image }: Work['properties']) =>
  changed.find((name) => !inPlace.has(name) && !(name === 'image' && policy !== 'REPLACE' && image));

/** Once for each update, however often it is looked at: the update is known by when it began. */
async function rebuild(work: Work): Promise<Outcome> {
  const { desk, context, properties, data, startedAt } = work;
  if (data.rebuildOf === startedAt) return look(work);
  await work.commit(async (tx) => {
    const preserveEphemeral = properties.image_update_policy === 'REBUILD_PRESERVE_EPHEMERAL';
    const wanted = { image: String(properties.image), preserveEphemeral };
    await desk.compute.rebuildServer(context, work.physicalId ?? '', wanted, tx);
    return { data: { rebuildOf: startedAt } };
  });
  return look(work);
}

export const server: Handler = {
  type: 'OS::Nova::Server',
  backend: 'compute',
  async validate(wish) {
    const image = wish.property('image');
    const flavor = wish.property('flavor');
    if (typeof flavor === 'string') await wish.desk.compute.flavor(flavor).catch(at('flavor'));
    if (typeof image === 'string' && image !== '') await wish.desk.images.find(wish.context, image).catch(at('image'));
    for (const network of (wish.property('networks') ?? []) as { network?: string | null }[]) {
      if (network?.network) await wish.desk.network.findNetwork(wish.context, network.network).catch(at('networks'));
    }
  },
  async create(work) {
    if (work.physicalId === null) await start(work);
    return look(work);
  },
  minutes: 120,
  replacedBy,
  impact: (change, changed) => {
    if (change === 'update') return changed.includes('image') ? 'rewrite' : null;
    return change === 'create' ? 'boot' : 'wipe';
  },
  update: (work, changed) => {
    const fixed = replacedBy(changed, work.properties);
    if (fixed) return { kind: 'replace', property: fixed };
    return changed.includes('image') ? rebuild(work) : done;
  },
  async delete(work) {
    const { desk, context, data } = work;
    let found: Server;
    try {
      found = await desk.compute.findServer(context, work.physicalId ?? '');
    } catch (error) {
      if (!isFault(error, 'server-not-found')) throw error;
      await work.commit(async (tx) => {
        await dropCredential(desk, tx, work.id);
        return {};
      });
      return done;
    }
    if (found.task_state !== 'deleting') {
      const deletions = Number(data.deletions ?? 0) + 1;
      if (deletions > mostDeletions) throw failure(found);
      await desk.compute.deleteServer(context, found.id, { ifThere: true });
      await work.commit(async () => ({ data: { deletions } }));
    }
    const activity = await desk.compute.activity(found.id);
    return waitFor({
      on: `server ${found.name}: ${activity?.waiting?.on ?? activity?.title ?? 'its deletion to begin'}`,
      remedy: activity?.waiting?.remedy ?? `See \`openstack server show ${found.name}\`.`,
      recheckMs: lookEvery,
    });
  },
  async check(work) {
    const found = await work.desk.compute.findServer(work.context, work.physicalId ?? '');
    if (found.status !== 'ACTIVE') throw failure(found);
  },
  async observe(work) {
    const found = await work.desk.compute.findServer(work.context, work.physicalId ?? '');
    const { name, metadata } = work.properties;
    return {
      name: typeof name === 'string' && name.slice(0, 63) === found.name ? name : found.name,
      // Nova keeps texts; a number in the template is the same thing.
      metadata: same(texts(metadata), { ...found.metadata }) ? (metadata ?? null) : { ...found.metadata },
      tags: [...found.tags],
    };
  },
  async suspend(work) {
    const found = await work.desk.compute.findServer(work.context, work.physicalId ?? '');
    if (found.status !== 'SHUTOFF') await work.desk.compute.setPower(work.context, found.id, 'power off');
    return done;
  },
  async resume(work) {
    const found = await work.desk.compute.findServer(work.context, work.physicalId ?? '');
    if (found.status === 'SHUTOFF') await work.desk.compute.setPower(work.context, found.id, 'power on');
    return done;
  },
  async attributes(work) {
    const found = await work.desk.compute.findServer(work.context, work.physicalId ?? '');
    const byNetwork = await work.desk.compute.addresses(work.context, found);
    const networks: { [name: string]: Plain } = {};
    const addresses: { [name: string]: Plain } = {};
    for (const [name, list] of Object.entries(byNetwork)) {
      networks[name] = list.map(({ ip }) => ip);
      addresses[name] = list.map(({ ip, mac, version, port }) => ({
        addr: ip,
        version,
        'OS-EXT-IPS-MAC:mac_addr': mac,
        'OS-EXT-IPS:type': 'fixed',
        port,
      }));
    }
    return {
      name: found.name,
      instance_name: found.name,
      first_address: Object.values(byNetwork).flat()[0]?.ip ?? '',
      networks,
      addresses,
      accessIPv4: '',
      accessIPv6: '',
      console_urls: {},
      tags: [...found.tags],
      os_collect_config: {},
      show: { id: found.id, name: found.name, status: found.status, node: found.node_name },
    };
  },
};

const at = (property: string) => (error: unknown) => {
  throw Object.assign(error as Error, { property });
};
