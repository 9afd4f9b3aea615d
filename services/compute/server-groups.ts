/** Nova's server groups. A server has a node to itself: what asks to be apart is apart, and what asks to be together is refused. */
import { randomUUID } from 'node:crypto';
import { type Context, isAdmin } from '../core/context.ts';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import * as store from './store.ts';

export type ServerGroup = store.ServerGroup;

export interface ServerGroups {
  list(context: Context): Promise<ServerGroup[]>;
  /** @throws Fault `server-group-not-found` */
  find(context: Context, id: string): Promise<ServerGroup>;
  /** @throws Fault `server-group-invalid` */
  create(
    context: Context,
    wanted: { name: string; policy: string; rules?: Record<string, unknown> },
    tx?: Tx,
  ): Promise<ServerGroup>;
  delete(context: Context, id: string): Promise<void>;
}

/** Each node holds one server, so these hold whatever the nodes are. */
const kept = new Set(['anti-affinity', 'soft-anti-affinity', 'soft-affinity']);

export function createServerGroups(db: Database): ServerGroups {
  const groups: ServerGroups = {
    list: (context) => store.serverGroups(db, isAdmin(context) ? null : (context.projectId ?? '')),
    async find(context, id) {
      const row = await store.serverGroup(db, id);
      if (!row || !(isAdmin(context) || row.project_id === context.projectId))
        throw fault('server-group-not-found', { id });
      return row;
    },
    async create(context, { name, policy, rules = {} }, tx) {
      if (!kept.has(policy))
        throw fault('server-group-invalid', {
          name,
          reason:
            policy === 'affinity'
              ? 'a node holds one server, so no two can be on the same'
              : `there is no policy '${policy}'; there are ${[...kept].join(', ')}`,
        });
      const row = {
        id: randomUUID(),
        project_id: context.projectId ?? '',
        user_id: context.userId ?? '',
        name,
        policy,
        rules,
      };
      await store.insertServerGroup(tx ?? db, row);
      return { ...row, members: [] };
    },
    async delete(context, id) {
      await groups.find(context, id);
      await store.deleteServerGroup(db, id);
    },
  };
  return groups;
}
