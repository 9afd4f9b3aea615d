/** All SQL of boot tokens, agents and inventories. Tokens lie here hashed (to be compared) and sealed (to be repeated). */
import { sql } from 'kysely';
import type { Tx } from '../../core/database/index.ts';
import type { JsonObject } from '../node.ts';
import type { Where } from './nodes.ts';

export interface BootTokenRow {
  readonly nodeUuid: string;
  readonly mac: string;
  readonly powerCycle: number;
  readonly sealed: string;
  readonly hash: string;
  readonly burntAt: Date | null;
}

const tokenColumns = sql.raw(
  'node_uuid as "nodeUuid", mac, power_cycle as "powerCycle", sealed, hash, burnt_at as "burntAt"',
);

export async function bootTokens(db: Where, node: string): Promise<BootTokenRow[]> {
  const { rows } = await sql<BootTokenRow>`select ${tokenColumns} from baremetal.boot_tokens
    where node_uuid = ${node} order by mac`.execute(db.kysely);
  return rows;
}

export async function bootTokenByHash(db: Where, hash: string): Promise<BootTokenRow | null> {
  const { rows } = await sql<BootTokenRow>`select ${tokenColumns} from baremetal.boot_tokens
    where hash = ${hash}`.execute(db.kysely);
  return rows[0] ?? null;
}

/** Keeps the token that is there for this power cycle; two askers at once get the same one back. */
export async function keepBootToken(
  tx: Tx,
  token: { nodeUuid: string; mac: string; powerCycle: number; sealed: string; hash: string },
): Promise<BootTokenRow> {
  await sql`insert into baremetal.boot_tokens as t (node_uuid, mac, power_cycle, sealed, hash)
    values (${token.nodeUuid}, ${token.mac}, ${token.powerCycle}, ${token.sealed}, ${token.hash})
    on conflict (node_uuid, mac) do update set power_cycle = excluded.power_cycle, sealed = excluded.sealed,
      hash = excluded.hash, burnt_at = null, created_at = clock_timestamp()
      where t.power_cycle <> excluded.power_cycle`.execute(tx.kysely);
  const { rows } = await sql<BootTokenRow>`select ${tokenColumns} from baremetal.boot_tokens
    where node_uuid = ${token.nodeUuid} and mac = ${token.mac}`.execute(tx.kysely);
  return rows[0] as BootTokenRow;
}

/** Every token of the node's power cycle: the agent that beat is the only one. */
export async function burnBootTokens(tx: Tx, node: string): Promise<void> {
  await sql`update baremetal.boot_tokens set burnt_at = clock_timestamp()
    where node_uuid = ${node} and burnt_at is null`.execute(tx.kysely);
}

export interface AgentRow {
  readonly nodeUuid: string;
  readonly powerCycle: number;
  readonly tokenSealed: string;
  readonly tokenHash: string;
  readonly bootTokenHash: string | null;
  readonly callbackUrl: string | null;
  readonly verifyCa: string | null;
  readonly version: string | null;
  readonly progress: { step: string; done: number; total: number } | null;
  readonly firstHeartbeatAt: Date | null;
  readonly heardAt: Date | null;
  readonly leaving: boolean;
}

const agentColumns = sql.raw(`node_uuid as "nodeUuid", power_cycle as "powerCycle", token_sealed as "tokenSealed",
  token_hash as "tokenHash", boot_token_hash as "bootTokenHash", callback_url as "callbackUrl", verify_ca as "verifyCa",
  version, progress, first_heartbeat_at as "firstHeartbeatAt", heard_at as "heardAt", leaving`);

export async function agentOf(db: Where, node: string): Promise<AgentRow | null> {
  const { rows } = await sql<AgentRow>`select ${agentColumns} from baremetal.agents
    where node_uuid = ${node}`.execute(db.kysely);
  return rows[0] ?? null;
}

export async function insertAgent(
  tx: Tx,
  agent: { nodeUuid: string; powerCycle: number; tokenSealed: string; tokenHash: string; bootTokenHash: string | null },
): Promise<void> {
  await sql`insert into baremetal.agents (node_uuid, power_cycle, token_sealed, token_hash, boot_token_hash)
    values (${agent.nodeUuid}, ${agent.powerCycle}, ${agent.tokenSealed}, ${agent.tokenHash}, ${agent.bootTokenHash})
    on conflict (node_uuid) do update set power_cycle = excluded.power_cycle, token_sealed = excluded.token_sealed,
      token_hash = excluded.token_hash, boot_token_hash = excluded.boot_token_hash, callback_url = null, verify_ca = null,
      version = null, clock_skew_s = null, progress = null, looked_up_at = clock_timestamp(),
      first_heartbeat_at = null, heard_at = null, leaving = false`.execute(tx.kysely);
}

export async function recordHeartbeat(
  tx: Tx,
  node: string,
  beat: {
    callbackUrl: string;
    verifyCa: string | null;
    version: string | null;
    clockSkewSeconds: number | null;
    progress: { step: string; done: number; total: number } | null;
  },
): Promise<void> {
  await sql`update baremetal.agents set callback_url = ${beat.callbackUrl}, verify_ca = coalesce(${beat.verifyCa}, verify_ca),
    version = coalesce(${beat.version}, version), clock_skew_s = coalesce(${beat.clockSkewSeconds}, clock_skew_s),
    progress = ${beat.progress === null ? null : JSON.stringify(beat.progress)}::jsonb,
    first_heartbeat_at = coalesce(first_heartbeat_at, clock_timestamp()), heard_at = clock_timestamp()
    where node_uuid = ${node}`.execute(tx.kysely);
}

export async function heardAgent(db: Where, node: string): Promise<void> {
  await sql`update baremetal.agents set heard_at = clock_timestamp() where node_uuid = ${node}`.execute(db.kysely);
}

/** Milliseconds since the agent was last heard, by the database's clock. */
export async function agentSilence(db: Where, node: string): Promise<number | null> {
  const { rows } = await sql<{ ms: number | null }>`select
    extract(epoch from clock_timestamp() - heard_at)::float8 * 1000 as ms from baremetal.agents
    where node_uuid = ${node}`.execute(db.kysely);
  return rows[0]?.ms ?? null;
}

/** The machine is off, or runs something else: its agent and the tokens of that power cycle are void. */
export async function forgetAgent(tx: Tx, node: string): Promise<boolean> {
  await sql`delete from baremetal.boot_tokens where node_uuid = ${node}`.execute(tx.kysely);
  const gone = await sql`delete from baremetal.agents where node_uuid = ${node}`.execute(tx.kysely);
  return Number(gone.numAffectedRows ?? 0) > 0;
}

/** Written before the agent is told to end, so that a restarted conductor knows why it is silent. */
export async function agentLeaves(tx: Tx, node: string): Promise<void> {
  await sql`update baremetal.agents set leaving = true where node_uuid = ${node}`.execute(tx.kysely);
}

export async function configDriveOf(db: Where, node: string): Promise<string | null> {
  const { rows } = await sql<{ sealed: string }>`select sealed from baremetal.config_drives
    where node_uuid = ${node}`.execute(db.kysely);
  return rows[0]?.sealed ?? null;
}

export async function keepConfigDrive(tx: Tx, node: string, sealed: string | null): Promise<void> {
  await sql`delete from baremetal.config_drives where node_uuid = ${node}`.execute(tx.kysely);
  if (sealed !== null)
    await sql`insert into baremetal.config_drives (node_uuid, sealed) values (${node}, ${sealed})`.execute(tx.kysely);
}

export async function inventoryOf(
  db: Where,
  node: string,
): Promise<{ inventory: JsonObject; plugin_data: JsonObject } | null> {
  const { rows } = await sql<{ inventory: JsonObject; plugin_data: JsonObject }>`
    select inventory, plugin_data from baremetal.inventories where node_uuid = ${node}`.execute(db.kysely);
  return rows[0] ?? null;
}

export async function keepInventory(tx: Tx, node: string, inventory: JsonObject, plugin: JsonObject): Promise<void> {
  await sql`insert into baremetal.inventories (node_uuid, inventory, plugin_data)
    values (${node}, ${JSON.stringify(inventory)}::jsonb, ${JSON.stringify(plugin)}::jsonb)
    on conflict (node_uuid) do update set inventory = excluded.inventory, plugin_data = excluded.plugin_data,
      created_at = clock_timestamp()`.execute(tx.kysely);
}
