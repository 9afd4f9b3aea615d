/** Segments: which stretches of wire a network is on. Only an administrator sees and says so. */
import type { Context } from '../core/context.ts';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import type { ListFilters, SegmentRecord } from './model.ts';
import { confinedTo, inside, invalid, requireAdmin, theOne } from './scope.ts';
import { networksNamed } from './store/networks.ts';
import { segments } from './store/trunks.ts';

export interface SegmentFields {
  readonly networkId: string;
  readonly networkType: string;
  readonly physicalNetwork?: string | null;
  readonly segmentationId?: number | null;
  readonly name?: string | null;
  readonly description?: string | null;
}

export type SegmentChanges = Partial<Pick<SegmentFields, 'name' | 'description'>> & {
  readonly tags?: readonly string[];
};

function check({ networkType, physicalNetwork = null, segmentationId = null }: SegmentFields): void {
  if (networkType !== 'flat' && networkType !== 'vlan')
    throw invalid('network_type', `“${networkType}” is neither flat nor vlan; bare metal has no overlays`);
  if (physicalNetwork === null) throw invalid('physical_network', `a ${networkType} segment needs one`);
  if (networkType === 'flat' && segmentationId !== null) throw invalid('segmentation_id', 'a flat segment has no VLAN');
  if (networkType === 'vlan' && (segmentationId === null || segmentationId < 1 || segmentationId > 4094))
    throw invalid('segmentation_id', `${segmentationId ?? 'nothing'} is no VLAN id (1 to 4094)`);
}

export function createSegments(db: Database) {
  const find = async (context: Context, idOrName: string, tx?: Tx): Promise<SegmentRecord> => {
    requireAdmin(context, 'get_segment');
    return theOne(await segments.named(tx?.kysely ?? db.kysely, idOrName, undefined), 'segment', idOrName);
  };
  return {
    find,
    async list(context: Context, filters: ListFilters = {}): Promise<SegmentRecord[]> {
      requireAdmin(context, 'get_segment');
      return segments.list(db.kysely, filters, undefined);
    },
    async create(context: Context, fields: SegmentFields, tx?: Tx): Promise<SegmentRecord> {
      requireAdmin(context, 'create_segment');
      check(fields);
      return inside(db, tx, async (inner) => {
        const found = await networksNamed(inner.kysely, fields.networkId, confinedTo(context));
        const network = theOne(found, 'network', fields.networkId);
        const id = await segments.insert(inner.kysely, {
          name: fields.name ?? '',
          description: fields.description ?? '',
          projectId: network.projectId,
          networkId: network.id,
          networkType: fields.networkType,
          physicalNetwork: fields.physicalNetwork ?? null,
          segmentationId: fields.segmentationId ?? null,
        });
        if (id) return find(context, id, inner);
        const wire = fields.physicalNetwork;
        const rivals = await segments.list(inner.kysely, { physical_network: wire ?? undefined }, undefined);
        const rival = rivals.find((one) => one.segmentationId === (fields.segmentationId ?? null));
        const tag = fields.segmentationId ? ` as VLAN ${fields.segmentationId}` : ' untagged';
        throw fault('wire-in-use', { wire, network: rival?.networkId ?? 'that is being made', tag });
      });
    },
    async update(context: Context, id: string, changes: SegmentChanges, tx?: Tx): Promise<SegmentRecord> {
      const segment = await find(context, id, tx);
      const { name, description, tags } = changes;
      const fields = {
        ...(name !== undefined && { name: name ?? '' }),
        ...(description !== undefined && { description: description ?? '' }),
        ...(tags && { tags }),
      };
      await inside(db, tx, (inner) => segments.update(inner.kysely, segment.id, fields));
      return find(context, segment.id, tx);
    },
    async remove(context: Context, id: string, tx?: Tx): Promise<void> {
      const segment = await find(context, id, tx);
      await inside(db, tx, (inner) => segments.remove(inner.kysely, segment.id));
    },
  };
}
export type Segments = ReturnType<typeof createSegments>;
