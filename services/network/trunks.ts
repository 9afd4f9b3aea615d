/** Trunks: a port that carries the VLANs of other ports. Written down; no switch driver of this undercloud reads it. */
import type { Context } from '../core/context.ts';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import type { ListFilters, SubPort, TrunkRecord } from './model.ts';
import { confinedTo, inside, invalid, projectFor, requireOwner, theOne } from './scope.ts';
import { networksNamed } from './store/networks.ts';
import { lockPort, portsNamed } from './store/ports.ts';
import { deleteSubPort, insertSubPort, trunkOf, trunks } from './store/trunks.ts';

export interface SubPortWish {
  readonly portId: string;
  readonly segmentationType?: string;
  readonly segmentationId?: number;
}

export interface TrunkFields {
  readonly portId: string;
  readonly subPorts?: readonly SubPortWish[];
  readonly name?: string;
  readonly description?: string;
  readonly adminStateUp?: boolean;
  readonly projectId?: string;
}

export type TrunkChanges = Partial<Pick<TrunkFields, 'name' | 'description' | 'adminStateUp'>> & {
  readonly tags?: readonly string[];
};

export function createTrunks(db: Database) {
  const find = async (context: Context, idOrName: string, tx?: Tx): Promise<TrunkRecord> =>
    theOne(await trunks.named(tx?.kysely ?? db.kysely, idOrName, confinedTo(context)), 'trunk', idOrName);

  /** Held until the end, and in no trunk yet. */
  async function freePort(tx: Tx, context: Context, idOrName: string) {
    const port = theOne(await portsNamed(tx.kysely, idOrName, confinedTo(context)), 'port', idOrName);
    await lockPort(tx.kysely, port.id);
    const held = await trunkOf(tx.kysely, port.id);
    if (held) throw fault('port-in-trunk', { id: port.id, trunk: held.id, as: held.as });
    return port;
  }

  async function subPortOf(tx: Tx, context: Context, wish: SubPortWish): Promise<SubPort> {
    const port = await freePort(tx, context, wish.portId);
    const { segmentationType = 'vlan' } = wish;
    if (segmentationType !== 'vlan' && segmentationType !== 'inherit')
      throw invalid('segmentation_type', `“${segmentationType}” is neither vlan nor inherit`);
    const [network] = await networksNamed(tx.kysely, port.networkId, undefined);
    const segmentationId = segmentationType === 'inherit' ? network?.segmentationId : wish.segmentationId;
    if (!segmentationId || segmentationId < 1 || segmentationId > 4094)
      throw invalid('segmentation_id', `${segmentationId ?? 'nothing'} is no VLAN id (1 to 4094)`);
    return { portId: port.id, segmentationType, segmentationId };
  }

  async function add(tx: Tx, context: Context, trunk: string, wishes: readonly SubPortWish[]): Promise<void> {
    for (const wish of wishes) {
      const one = await subPortOf(tx, context, wish);
      if (!(await insertSubPort(tx.kysely, trunk, one)))
        throw fault('vlan-in-trunk', { trunk, vlan: one.segmentationId });
    }
  }

  async function remove(tx: Tx, trunk: string, ports: readonly string[]): Promise<void> {
    for (const port of ports)
      if (!(await deleteSubPort(tx.kysely, trunk, port)))
        throw invalid('sub_ports', `port ${port} is no subport of trunk ${trunk}`);
  }

  /** Its row held, so that two changes come one after the other. */
  async function changing(
    context: Context,
    id: string,
    tx: Tx | undefined,
    work: (tx: Tx, id: string) => Promise<void>,
  ) {
    return inside(db, tx, async (inner) => {
      const trunk = await find(context, id, inner);
      requireOwner(context, trunk, 'update_trunk');
      await trunks.lock(inner.kysely, trunk.id);
      await work(inner, trunk.id);
      await trunks.update(inner.kysely, trunk.id, {});
      return find(context, trunk.id, inner);
    });
  }

  return {
    find,
    list: (context: Context, filters: ListFilters = {}) => trunks.list(db.kysely, filters, confinedTo(context)),
    create: (context: Context, fields: TrunkFields, tx?: Tx): Promise<TrunkRecord> =>
      inside(db, tx, async (inner) => {
        const port = await freePort(inner, context, fields.portId);
        const id = await trunks.insert(inner.kysely, {
          portId: port.id,
          name: fields.name ?? '',
          description: fields.description ?? '',
          adminStateUp: fields.adminStateUp ?? true,
          projectId: projectFor(context, fields.projectId),
        });
        if (!id) throw fault('port-in-trunk', { id: port.id, trunk: 'that is being made', as: 'parent' });
        await add(inner, context, id, fields.subPorts ?? []);
        return find(context, id, inner);
      }),
    async update(context: Context, id: string, changes: TrunkChanges, tx?: Tx): Promise<TrunkRecord> {
      const trunk = await find(context, id, tx);
      requireOwner(context, trunk, 'update_trunk');
      await inside(db, tx, (inner) => trunks.update(inner.kysely, trunk.id, changes));
      return find(context, trunk.id, tx);
    },
    async remove(context: Context, id: string, tx?: Tx): Promise<void> {
      const trunk = await find(context, id, tx);
      requireOwner(context, trunk, 'delete_trunk');
      await inside(db, tx, (inner) => trunks.remove(inner.kysely, trunk.id));
    },
    addSubPorts: (context: Context, id: string, wishes: readonly SubPortWish[], tx?: Tx) =>
      changing(context, id, tx, (inner, trunk) => add(inner, context, trunk, wishes)),
    removeSubPorts: (context: Context, id: string, ports: readonly string[], tx?: Tx) =>
      changing(context, id, tx, (inner, trunk) => remove(inner, trunk, ports)),
    /** Makes them these, in one go. */
    setSubPorts: (context: Context, id: string, wishes: readonly SubPortWish[], tx?: Tx) =>
      changing(context, id, tx, async (inner, trunk) => {
        const { subPorts } = await find(context, trunk, inner);
        await remove(
          inner,
          trunk,
          subPorts.map(({ portId }) => portId),
        );
        await add(inner, context, trunk, wishes);
      }),
  };
}

export type Trunks = ReturnType<typeof createTrunks>;
