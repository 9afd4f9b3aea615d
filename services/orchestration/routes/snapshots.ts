/** Snapshots of stacks, and stacks as data: export and abandon. (What adopts them is POST /stacks.) */
import { randomUUID } from 'node:crypto';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import { exportOf, openSnapshot } from '../export.ts';
import { showTree } from '../show.ts';
import type { Stacks } from '../stacks.ts';
import * as store from '../store/snapshots.ts';
import type { StackRow } from '../store/stacks.ts';
import { accepted, type StackPath, time } from './dialect.ts';
import { bodyOf } from './wishes.ts';

type SnapshotPath = StackPath & { Params: { snapshot: string } };

export function snapshotRoutes(api: Api, desk: Desk, stacks: Stacks): void {
  const { db, secrets } = desk.house;

  const shown = (row: store.SnapshotRow) => ({
    id: row.id,
    name: row.name,
    status: row.status,
    status_reason: row.reason,
    data: openSnapshot(secrets, row)?.data ?? null,
    creation_time: time(row.created_at),
  });

  async function find(stack: StackRow, id: string): Promise<store.SnapshotRow> {
    const found = (await store.snapshots(db, stack.id)).find((row) => row.id === id);
    if (!found) throw fault('snapshot-not-found', { snapshot: id, stack: stack.name });
    return found;
  }

  const path = '/stacks/:stack/:id';
  api.post<StackPath>(`${path}/snapshots`, async (request) => {
    const body = bodyOf(request.body ?? {});
    const name = typeof body.name === 'string' ? body.name : null;
    const id = randomUUID();
    await stacks.visit(request.context, request.params.id, 'SNAPSHOT', {
      snapshot: id,
      within: (tx, row) => store.insertSnapshot(tx, { id, stackId: row.id, name }),
    });
    const stack = await stacks.find(request.context, request.params.id);
    return { ...shown(await find(stack, id)), status: 'IN_PROGRESS', status_reason: null, data: null };
  });

  api.get<StackPath>(`${path}/snapshots`, async (request) => {
    const stack = await stacks.find(request.context, request.params.id);
    return { snapshots: (await store.snapshots(db, stack.id)).map(shown) };
  });

  api.get<SnapshotPath>(`${path}/snapshots/:snapshot`, async (request) => {
    const stack = await stacks.find(request.context, request.params.id);
    return { snapshot: shown(await find(stack, request.params.snapshot)) };
  });

  api.delete<SnapshotPath>(`${path}/snapshots/:snapshot`, async (request, reply) => {
    const stack = await stacks.find(request.context, request.params.id);
    const row = await find(stack, request.params.snapshot);
    if (row.status === 'IN_PROGRESS') throw fault('stack-action-running', { stack: stack.name, action: 'SNAPSHOT' });
    await db.transaction((tx) => store.deleteSnapshot(tx, row.id));
    return reply.status(204).send();
  });

  api.post<SnapshotPath>(`${path}/snapshots/:snapshot/restore`, async (request, reply) => {
    const stack = await stacks.find(request.context, request.params.id);
    const row = await find(stack, request.params.snapshot);
    const body = openSnapshot(secrets, row);
    if (!body) throw fault('snapshot-unfinished', { snapshot: row.id, stack: stack.name, status: row.status });
    await stacks.restore(request.context, stack, body);
    return accepted(reply);
  });

  api.get<StackPath>(`${path}/export`, async (request) =>
    exportOf(await showTree(desk, await stacks.find(request.context, request.params.id))),
  );

  api.delete<StackPath>(`${path}/abandon`, async (request) => stacks.abandon(request.context, request.params.id));
}
