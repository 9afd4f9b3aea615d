/** All SQL of software configurations and deployments. */
import { sql } from 'kysely';
import type { Where } from './query.ts';

export interface ConfigRow {
  readonly id: string;
  readonly project_id: string;
  readonly name: string;
  readonly group_name: string;
  /** Sealed: config, inputs, outputs, options. */
  readonly body: string;
  readonly created_at: Date;
}

export interface DeploymentRow {
  readonly id: string;
  readonly project_id: string;
  readonly server_id: string;
  readonly config_id: string | null;
  readonly action: string;
  readonly status: string;
  readonly reason: string;
  /** Sealed: input_values, output_values. */
  readonly body: string;
  readonly created_at: Date;
  readonly updated_at: Date | null;
}

export async function insertConfig(where: Where, row: Omit<ConfigRow, 'created_at'>): Promise<ConfigRow> {
  const { rows } = await sql<ConfigRow>`insert into orchestration.configs (id, project_id, name, group_name, body)
    values (${row.id}, ${row.project_id}, ${row.name}, ${row.group_name}, ${row.body})
    on conflict (id) do update set name = excluded.name returning *`.execute(where.kysely);
  return rows[0] as ConfigRow;
}

export async function config(where: Where, id: string): Promise<ConfigRow | undefined> {
  return (await sql<ConfigRow>`select * from orchestration.configs where id::text = ${id}`.execute(where.kysely))
    .rows[0];
}

export async function configs(
  where: Where,
  projectId: string | null,
  page: { limit?: number; marker?: string },
): Promise<ConfigRow[]> {
  const { rows } = await sql<ConfigRow>`select * from orchestration.configs
    where (${projectId}::text is null or project_id = ${projectId})
      and (${page.marker ?? null}::text is null or created_at < (select created_at from orchestration.configs where id::text = ${page.marker ?? ''}))
    order by created_at desc limit ${page.limit ?? 10_000}`.execute(where.kysely);
  return rows;
}

export async function deleteConfig(where: Where, id: string): Promise<void> {
  await sql`delete from orchestration.configs where id::text = ${id}`.execute(where.kysely);
}

export async function insertDeployment(
  where: Where,
  row: Omit<DeploymentRow, 'created_at' | 'updated_at'>,
): Promise<DeploymentRow> {
  const { rows } = await sql<DeploymentRow>`insert into orchestration.deployments
    (id, project_id, server_id, config_id, action, status, reason, body)
    values (${row.id}, ${row.project_id}, ${row.server_id}, ${row.config_id}, ${row.action}, ${row.status}, ${row.reason}, ${row.body})
    on conflict (id) do update set server_id = excluded.server_id, config_id = excluded.config_id, action = excluded.action,
      status = excluded.status, reason = excluded.reason, body = excluded.body, updated_at = clock_timestamp() returning *`.execute(
    where.kysely,
  );
  return rows[0] as DeploymentRow;
}

export type DeploymentPatch = Partial<Pick<DeploymentRow, 'config_id' | 'action' | 'status' | 'reason' | 'body'>>;

export async function patchDeployment(where: Where, id: string, patch: DeploymentPatch): Promise<void> {
  const sets = Object.entries(patch).map(([column, value]) => sql`${sql.ref(column)} = ${value}`);
  await sql`update orchestration.deployments set updated_at = clock_timestamp(), ${sql.join(sets)} where id::text = ${id}`.execute(
    where.kysely,
  );
}

export async function deployment(where: Where, id: string): Promise<DeploymentRow | undefined> {
  return (
    await sql<DeploymentRow>`select * from orchestration.deployments where id::text = ${id}`.execute(where.kysely)
  ).rows[0];
}

export async function deployments(where: Where, projectId: string | null, serverId?: string): Promise<DeploymentRow[]> {
  const { rows } = await sql<DeploymentRow>`select * from orchestration.deployments
    where (${projectId}::text is null or project_id = ${projectId})
      and (${serverId ?? null}::text is null or server_id = ${serverId ?? null}) order by created_at, id`.execute(
    where.kysely,
  );
  return rows;
}

/** The deployments of a server with their configurations, in the order in which they were made. */
export async function configsOfServer(
  where: Where,
  serverId: string,
): Promise<(ConfigRow & { deployment_status: string })[]> {
  const { rows } = await sql<ConfigRow & { deployment_status: string }>`
    select c.*, d.status as deployment_status from orchestration.deployments d join orchestration.configs c on c.id = d.config_id
    where d.server_id = ${serverId} order by d.created_at, d.id`.execute(where.kysely);
  return rows;
}

export async function deleteDeployment(where: Where, id: string): Promise<void> {
  await sql`delete from orchestration.deployments where id::text = ${id}`.execute(where.kysely);
}
