import { sql } from 'kysely';
import type { SegmentRecord, SubPort, TrunkRecord } from '../model.ts';
import type { Executor } from './query.ts';
import { recordsOf } from './records.ts';

export const segments = recordsOf<SegmentRecord>('segments', {
  name: 'name',
  networkId: 'network_id',
  networkType: 'network_type',
  physicalNetwork: 'physical_network',
  segmentationId: 'segmentation_id',
});

export const trunks = recordsOf<TrunkRecord>(
  'trunks',
  { name: 'name', portId: 'port_id', adminStateUp: 'admin_state_up' },
  {
    subPorts: sql`coalesce((select jsonb_agg(jsonb_build_object('portId', s.port_id, 'segmentationType',
      s.segmentation_type, 'segmentationId', s.segmentation_id) order by s.segmentation_id)
      from network.sub_ports s where s.trunk_id = t.id), '[]')`,
  },
);

/** What a port is to a trunk, with that trunk's id. */
export async function trunkOf(on: Executor, portId: string): Promise<{ id: string; as: 'parent' | 'subport' } | null> {
  const { rows } = await sql<{ id: string; as: 'parent' | 'subport' }>`
    select id::text, 'parent' as "as" from network.trunks where port_id = ${portId}
    union all select trunk_id::text, 'subport' from network.sub_ports where port_id = ${portId} limit 1`.execute(on);
  return rows[0] ?? null;
}

/** False: the VLAN or the port is taken. */
export async function insertSubPort(on: Executor, trunkId: string, one: SubPort): Promise<boolean> {
  const { rows } = await sql`insert into network.sub_ports (trunk_id, port_id, segmentation_type, segmentation_id)
    values (${trunkId}, ${one.portId}, ${one.segmentationType}, ${one.segmentationId})
    on conflict do nothing returning 1`.execute(on);
  return rows.length > 0;
}

export async function deleteSubPort(on: Executor, trunkId: string, portId: string): Promise<boolean> {
  const { rows } = await sql`delete from network.sub_ports where trunk_id = ${trunkId} and port_id::text = ${portId}
    returning 1`.execute(on);
  return rows.length > 0;
}
