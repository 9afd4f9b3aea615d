import { sql } from 'kysely';
import type { SecurityGroupRecord, SecurityGroupRuleRecord } from '../model.ts';
import type { Executor } from './query.ts';
import { recordsOf } from './records.ts';

export const groups = recordsOf<Omit<SecurityGroupRecord, 'rules'>>('security_groups', {
  name: 'name',
  stateful: 'stateful',
  isDefault: 'is_default',
});

export const groupRules = recordsOf<SecurityGroupRuleRecord>(
  'security_group_rules',
  {
    groupId: 'security_group_id',
    direction: 'direction',
    ethertype: 'ethertype',
    protocol: 'protocol',
    portRangeMin: 'port_range_min',
    portRangeMax: 'port_range_max',
    remoteIpPrefix: 'remote_ip_prefix',
    remoteGroupId: 'remote_group_id',
  },
  { isOfDefault: sql`(select g.is_default from network.security_groups g where g.id = t.security_group_id)` },
);

/** Ports that have the group. */
export async function groupUsers(on: Executor, id: string): Promise<{ count: number; port: string | null }> {
  const { rows } = await sql<{ count: number; port: string | null }>`select count(*) as count,
    min(port_id::text) as port from network.port_security_groups where security_group_id = ${id}`.execute(on);
  return rows[0] ?? { count: 0, port: null };
}

/** The port has these groups from now on, and no others. */
export async function setPortGroups(on: Executor, portId: string, ids: readonly string[]): Promise<void> {
  await sql`delete from network.port_security_groups where port_id = ${portId}
    and not security_group_id::text = any(${ids}::text[])`.execute(on);
  await sql`insert into network.port_security_groups (port_id, security_group_id)
    select ${portId}::uuid, id::uuid from unnest(${ids}::text[]) as id on conflict do nothing`.execute(on);
}

/** Held, so that none goes away before the port has it. @returns those that are there and the project may use */
export async function usableGroups(on: Executor, ids: readonly string[], project: string | null | undefined) {
  const { rows } = await sql<{ id: string }>`select id::text from network.security_groups
    where id::text = any(${ids}::text[]) and ${project === undefined ? sql`true` : sql`project_id = ${project ?? ''}`}
    for key share`.execute(on);
  return rows.map(({ id }) => id);
}
