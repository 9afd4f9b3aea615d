import type { Context } from '../core/context.ts';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import type { ListFilters, NetworkFields, NetworkRecord } from './model.ts';
import { confinedTo, inside, invalid, projectFor, requireAdmin, requireOwner, theOne } from './scope.ts';
import * as store from './store/networks.ts';
import { networkUsers } from './store/ports.ts';
import { violated } from './store/query.ts';

const defaults: Required<Omit<NetworkFields, 'projectId'>> = {
  name: '',
  description: '',
  adminStateUp: true,
  shared: false,
  external: false,
  isDefault: false,
  mtu: 1500,
  dnsDomain: '',
  portSecurityEnabled: true,
  networkType: 'flat',
  physicalNetwork: null,
  segmentationId: null,
};

/** What only an admin says about a network: it concerns wires and other projects. */
const adminsOnly = ['shared', 'external', 'networkType', 'physicalNetwork', 'segmentationId'] as const;

function check(context: Context, fields: NetworkFields): void {
  for (const field of adminsOnly) if (fields[field] !== undefined) requireAdmin(context, `set network ${field}`);
  const { mtu, networkType, segmentationId } = fields;
  // RFC 791: every host takes 68 bytes; 65535 is what a length field holds.
  if (mtu !== undefined && (mtu < 68 || mtu > 65535)) throw invalid('mtu', `${mtu} is not between 68 and 65535`);
  if (networkType !== undefined && networkType !== 'flat' && networkType !== 'vlan')
    throw invalid('provider:network_type', `“${networkType}” is neither flat nor vlan; bare metal has no overlays`);
  if (segmentationId !== undefined && segmentationId !== null && (segmentationId < 1 || segmentationId > 4094))
    throw invalid('provider:segmentation_id', `${segmentationId} is no VLAN id (1 to 4094)`);
}

export function createNetworks(db: Database) {
  const find = async (context: Context, idOrName: string, tx?: Tx) =>
    theOne(await store.networksNamed(tx?.kysely ?? db.kysely, idOrName, confinedTo(context)), 'network', idOrName);

  async function wireInUse(fields: NetworkFields, error: unknown): Promise<unknown> {
    if (violated(error) !== 'networks_wire') return error;
    const { physicalNetwork, segmentationId } = fields;
    const carried = await store.listNetworks(
      db.kysely,
      { 'provider:physical_network': physicalNetwork ?? undefined },
      undefined,
    );
    const rival = carried.find((one) => (one.segmentationId ?? 0) === (segmentationId ?? 0));
    const tag = segmentationId ? ` as VLAN ${segmentationId}` : ' untagged';
    return fault('wire-in-use', { wire: physicalNetwork, network: rival?.id ?? 'of another project', tag }, error);
  }

  return {
    find,
    list: (context: Context, filters: ListFilters = {}) => store.listNetworks(db.kysely, filters, confinedTo(context)),

    async create(context: Context, fields: NetworkFields, tx?: Tx): Promise<NetworkRecord> {
      check(context, fields);
      const whole = { ...defaults, ...fields, projectId: projectFor(context, fields.projectId) };
      if (whole.networkType === 'vlan' && (whole.segmentationId === null || whole.physicalNetwork === null))
        throw invalid('provider:segmentation_id', 'a VLAN needs its id and a physical network');
      try {
        return await inside(db, tx, (inner) => store.insertNetwork(inner.kysely, whole));
      } catch (error) {
        throw await wireInUse(whole, error);
      }
    },

    async update(
      context: Context,
      id: string,
      changes: NetworkFields & { readonly tags?: readonly string[] },
      tx?: Tx,
    ): Promise<NetworkRecord> {
      check(context, changes);
      const before = await find(context, id, tx);
      requireOwner(context, before, 'update_network');
      const after = { ...before, ...changes, projectId: before.projectId };
      try {
        await inside(db, tx, (inner) => store.updateNetwork(inner.kysely, after));
      } catch (error) {
        throw await wireInUse(after, error);
      }
      return find(context, before.id, tx);
    },

    async remove(context: Context, id: string, tx?: Tx): Promise<void> {
      const network = await find(context, id, tx);
      requireOwner(context, network, 'delete_network');
      await inside(db, tx, async (inner) => {
        // Ports refer to the row, so none can be added between the count and the end.
        await store.lockNetwork(inner.kysely, network.id, 'whole');
        const users = await networkUsers(inner.kysely, network.id);
        if (users.count > 0) throw fault('network-in-use', { id: network.id, ...users });
        await store.deleteNetwork(inner.kysely, network.id);
      });
    },
  };
}
