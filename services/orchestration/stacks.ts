/** What is done to stacks: create, update, delete, cancel. Each starts one long operation, or waits for the present one. */
import { randomUUID } from 'node:crypto';
import { type Context, isAdmin } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import { fault, toFault } from '../core/errors/index.ts';
import type { Operation } from '../core/operations/index.ts';
import { isUuid } from '../core/uuid.ts';
import type { Desk } from './desk.ts';
import { adoptedLives } from './engine/adoption.ts';
import { filesId, openDefinition, sealDefinition } from './engine/definition.ts';
import { sealState } from './engine/state.ts';
import type { StackNode } from './engine/tree.ts';
import { exportOf } from './export.ts';
import {
  type Action,
  type Definition,
  type Plain,
  type Stack,
  type StackUpdate,
  type StackWish,
  stackSubject,
} from './model.ts';
import { type ActionParams, createActions, defaultMinutes } from './operations/action.ts';
import { type Visit, type VisitParams, visitOperations } from './operations/visit.ts';
import { enforce } from './plan/index.ts';
import type { Redo } from './scaling.ts';
import { showTree } from './show.ts';
import { writeResources } from './store/resources.ts';
import * as store from './store/stacks.ts';
import { check } from './validation.ts';

type Started = 'CREATE' | 'UPDATE' | 'DELETE';

/** What waits for the end of the present action, with who asked for it. */
interface Pending {
  readonly action: 'UPDATE' | 'DELETE';
  /** What the stack calls it, where it is another name. */
  readonly as?: 'ROLLBACK' | 'RESTORE';
  readonly context: Context;
  readonly sealed?: string;
  readonly files_id?: string;
  readonly description?: string;
}

/** A definition of before, with its files. */
export interface Restored {
  readonly definition: Definition;
  readonly files: Readonly<Record<string, string>>;
}

export interface Stacks {
  create(context: Context, name: string, wish: StackWish): Promise<Stack>;
  update(context: Context, idOrName: string, wish: StackUpdate): Promise<Stack>;
  remove(context: Context, idOrName: string): Promise<void>;
  /** Ends the present action; `rollback`: an update goes back to what was before. */
  cancel(context: Context, idOrName: string, options: { rollback: boolean }): Promise<void>;
  /** `agents`: also for the users that the stack itself made, who may read metadata and signal, and nothing else. */
  find(context: Context, idOrName: string, options?: { agents?: boolean }): Promise<store.StackRow>;
  /**
   * CHECK looks whether everything is still there (the next update replaces what is not); SUSPEND and RESUME stop and start
   * what can be; SNAPSHOT keeps what there is under the given id.
   */
  visit(
    context: Context,
    idOrName: string,
    visit: Visit,
    also?: { snapshot?: string; within?: (tx: Tx, row: store.StackRow) => Promise<void> },
  ): Promise<void>;
  /** Back to what a snapshot holds. */
  restore(context: Context, row: store.StackRow, to: Restored): Promise<void>;
  /** The stack is forgotten; what it made stays. @returns it as data, which `adopt` takes */
  abandon(context: Context, idOrName: string): Promise<{ readonly [key: string]: Plain }>;
  list(context: Context, filters?: Partial<store.StackFilters> & { allProjects?: boolean }): Promise<Stack[]>;
  count(context: Context, filters?: Partial<store.StackFilters>): Promise<number>;
  /** Begins an update with the definition that the stack has, in the caller's transaction. */
  redo: Redo;
  /** Takes up what stands between two actions: a process died there, or the second could not be begun. */
  startPending(): Promise<void>;
}

const nameRule = /^[a-zA-Z][\w.-]{0,254}$/;
const identityOf = ({ id, name, project_id }: store.StackRow) => ({ id, name, project_id });
const pendingOwner = (id: string): string => `stack ${id} pending`;

export function createStacks(desk: Desk): Stacks {
  const { house } = desk;
  const { db, operations, recorder, secrets, clock } = house;
  const afterEnd = (id: string) => void startPendingOf(id).catch((error) => tellHeldUp(id, error));
  const actions = createActions({ desk, afterEnd });
  for (const operation of Object.values(actions)) operations.register(operation);
  const visits = visitOperations(desk, afterEnd);
  for (const operation of Object.values(visits)) operations.register(operation);

  async function find(context: Context, idOrName: string, { agents = false } = {}): Promise<store.StackRow> {
    const admin = isAdmin(context);
    // `name/id`, as clients write it.
    const key = idOrName.split('/').at(-1) ?? idOrName;
    const byId = isUuid(key) ? await store.stack(db, key) : undefined;
    const mine = (row: store.StackRow) =>
      admin || row.project_id === context.projectId || (agents && row.user_project_id === context.projectId);
    if (byId && mine(byId)) return byId;
    const named = context.projectId ? await store.stackNamed(db, context.projectId, key, agents) : undefined;
    const row = named ?? (admin ? await store.stackNamed(db, null, key, agents) : undefined);
    if (!row) throw fault('stack-not-found', { stack: idOrName });
    return row;
  }

  async function start(
    tx: Tx,
    context: Context,
    row: store.StackRow | { id: string; name: string; generation: number; timeout_mins: number | null },
    action: Started,
    shown: Action = action,
  ): Promise<void> {
    const operation: Operation<ActionParams> = actions[action];
    const params = {
      stack: row.id,
      generation: row.generation,
      minutes: row.timeout_mins ?? defaultMinutes,
      began: clock.now(),
    };
    await operations.start(tx, operation, { subject: stackSubject(row.id), params, context });
    const data = { name: row.name, action: shown, status: 'IN_PROGRESS', reason: `Stack ${shown} started` };
    await recorder.append(tx, 'stack.state', stackSubject(row.id), data, { requestId: context.requestId });
  }

  /** Begins the action now, or notes it for the end of the present one, which is then cut short. */
  async function begin(tx: Tx, row: store.StackRow, wanted: Pending): Promise<'begun' | 'noted'> {
    const active = await operations.activity(stackSubject(row.id));
    if (active) {
      const pending = secrets.seal(JSON.stringify(wanted), pendingOwner(row.id));
      await store.patchStack(tx, row.id, { pending });
      return 'noted';
    }
    const generation = row.generation + 1;
    const action: Action = wanted.as ?? wanted.action;
    await store.patchStack(tx, row.id, {
      action,
      status: 'IN_PROGRESS',
      reason: `Stack ${action} started`,
      generation,
      pending: null,
      ...(wanted.action === 'UPDATE' && {
        previous: row.definition,
        previous_files_id: row.files_id,
        updated_at: new Date(clock.now()),
      }),
      ...(wanted.sealed && { definition: wanted.sealed, files_id: wanted.files_id as string }),
      ...(wanted.description && { description: wanted.description }),
    });
    await start(tx, wanted.context, { ...row, generation }, wanted.action, action);
    return 'begun';
  }

  /** @param only the generation that it is for: where another action came in between it is refused */
  async function demand(row: store.StackRow, wanted: Pending, only?: number): Promise<void> {
    const end = await db.transaction(async (tx) => {
      const locked = await store.lockStack(tx, row.id);
      if (!locked || locked.deleted_at) throw fault('stack-not-found', { stack: row.name });
      if (only !== undefined && (locked.generation !== only || locked.status === 'IN_PROGRESS'))
        throw fault('plan-stale', { stack: row.name, reason: `${locked.action} came in between` });
      return begin(tx, locked, wanted);
    });
    if (end === 'begun') return;
    await operations.cancel(stackSubject(row.id), `${wanted.action} was asked for`);
    // The action may have ended by itself between the two.
    if (!(await operations.activity(stackSubject(row.id)))) await startPendingOf(row.id);
  }

  /** Where it fails, the sweep of `startPending` tries again. */
  async function startPendingOf(id: string): Promise<void> {
    // What is still under way starts it at its end.
    if (await operations.activity(stackSubject(id))) return;
    await db.transaction(async (tx) => {
      const row = await store.lockStack(tx, id);
      if (!row?.pending || row.deleted_at) return;
      const wanted = JSON.parse(secrets.open(row.pending, pendingOwner(id))) as Pending;
      await begin(tx, row, wanted);
    });
  }

  /** Whoever looks at the stack meanwhile is told why nothing moves. Best effort: it is perhaps the database that is away. */
  async function tellHeldUp(id: string, error: unknown): Promise<void> {
    const { sentence } = toFault(error);
    const reason = `What was asked for next could not be begun, and is tried again: ${sentence}`;
    await store.patchStack(db, id, { reason }).catch(() => {});
  }

  function refuseNested(row: store.StackRow): void {
    if (row.parent_id) throw fault('stack-nested', { stack: row.name, resource: row.parent_resource });
  }

  async function sealed(tx: Tx, id: string, definition: Definition, files: Readonly<Record<string, string>>) {
    const hash = filesId(files);
    await store.keepFiles(tx, hash, files);
    return { definition: sealDefinition(secrets, id, definition), files_id: hash };
  }

  return {
    find,
    async create(context, name, wish) {
      if (!nameRule.test(name)) throw fault('stack-name-invalid', { name });
      const project = context.projectId ?? '';
      if (await store.stackNamed(db, project, name)) throw fault('stack-exists', { stack: name });
      const id = randomUUID();
      const action = wish.adopt ? ('ADOPT' as const) : ('CREATE' as const);
      const { files = {}, ...own } = wish;
      const source = { wish: own, present: null, files, stack: { id, name, project_id: project } };
      const { definition, description } = await check(desk, context, source);
      await enforce(desk, null, source, wish.policy);
      return db
        .transaction(async (tx) => {
          const row: store.NewStackRow = {
            id,
            root_id: id,
            parent_id: null,
            parent_resource: null,
            project_id: project,
            user_id: context.userId ?? '',
            owner_name: context.userId ?? '',
            name,
            description,
            action,
            status: 'IN_PROGRESS',
            reason: `Stack ${action} started`,
            ...(await sealed(tx, id, definition, files)),
            generation: 1,
            disable_rollback: wish.disableRollback ?? true,
            timeout_mins: wish.timeoutMinutes ?? null,
            tags: wish.tags ?? [],
            user_project_id: null,
          };
          await store.insertStacks(tx, [row]);
          if (wish.adopt) {
            const at = { row: { id, generation: 1 } } as StackNode;
            const lives = adoptedLives(at, wish.adopt, clock.now());
            await writeResources(
              tx,
              lives.map((live) => sealState(secrets, live)),
            );
          }
          await start(tx, context, row, 'CREATE', action);
          return (await store.stack(tx, id)) as Stack;
        })
        .catch((error) => {
          // Two creates of one name at once: the second finds the name taken.
          if ((error as { code?: string }).code === '23505') throw fault('stack-exists', { stack: name });
          throw error;
        });
    },
    async update(context, idOrName, wish) {
      const row = await find(context, idOrName);
      refuseNested(row);
      if (row.deleted_at) throw fault('stack-not-found', { stack: idOrName });
      if (row.action === 'SUSPEND' && row.status === 'COMPLETE') throw fault('stack-suspended');
      const present = openDefinition(secrets, row.id, row.definition);
      const kept = wish.existing ? await store.filesOf(db, row.files_id) : {};
      const { files: given, ...own } = wish;
      const files = { ...kept, ...given };
      const source = { wish: own, present, files, stack: identityOf(row) };
      const { definition, description } = await check(desk, context, source);
      await enforce(desk, row, source, wish.policy);
      const parts = await db.transaction(async (tx) => {
        await store.patchStack(tx, row.id, {
          ...(wish.disableRollback !== undefined && { disable_rollback: wish.disableRollback }),
          ...(wish.timeoutMinutes !== undefined && { timeout_mins: wish.timeoutMinutes }),
          ...(wish.tags ? { tags: wish.tags } : wish.existing ? {} : { tags: [] }),
          description: row.description,
        });
        return sealed(tx, row.id, definition, files);
      });
      await demand(
        row,
        { action: 'UPDATE', context, sealed: parts.definition, files_id: parts.files_id, description },
        wish.onlyGeneration,
      );
      return (await store.stack(db, row.id)) as Stack;
    },
    async remove(context, idOrName) {
      const row = await find(context, idOrName);
      refuseNested(row);
      if (row.deleted_at) throw fault('stack-not-found', { stack: idOrName });
      if (row.action === 'DELETE' && row.status === 'IN_PROGRESS') return;
      await demand(row, { action: 'DELETE', context });
    },
    async cancel(context, idOrName, { rollback }) {
      const row = await find(context, idOrName);
      refuseNested(row);
      const state = `${row.action}_${row.status}`;
      if (row.status !== 'IN_PROGRESS' || row.action === 'DELETE' || (rollback && row.action !== 'UPDATE'))
        throw fault('stack-not-running', { what: rollback ? 'update' : 'action', state });
      const before = rollback ? row.previous : null;
      if (before)
        return demand(row, {
          action: 'UPDATE',
          as: 'ROLLBACK',
          context,
          sealed: before,
          files_id: row.previous_files_id ?? row.files_id,
          description: row.description,
        });
      await operations.cancel(stackSubject(row.id), 'the operator asked for it');
    },
    async visit(context, idOrName, visit, { snapshot, within } = {}) {
      const row = await find(context, idOrName);
      refuseNested(row);
      if (row.deleted_at) throw fault('stack-not-found', { stack: idOrName });
      if (row.status === 'IN_PROGRESS') throw fault('stack-action-running', { stack: row.name, action: row.action });
      await db.transaction(async (tx) => {
        const reason = `Stack ${visit} started`;
        await store.patchStack(tx, row.id, { action: visit, status: 'IN_PROGRESS', reason });
        await within?.(tx, row);
        const params: VisitParams = {
          stack: row.id,
          began: clock.now(),
          minutes: row.timeout_mins ?? defaultMinutes,
          ...(snapshot && { snapshot }),
        };
        await operations.start(tx, visits[visit], { subject: stackSubject(row.id), params, context });
        const data = { name: row.name, action: visit, status: 'IN_PROGRESS', reason };
        await recorder.append(tx, 'stack.state', stackSubject(row.id), data, { requestId: context.requestId });
      });
    },
    async restore(context, row, { definition, files }) {
      refuseNested(row);
      if (row.status === 'IN_PROGRESS') throw fault('stack-action-running', { stack: row.name, action: row.action });
      const parts = await db.transaction((tx) => sealed(tx, row.id, definition, files));
      await demand(row, {
        action: 'UPDATE',
        as: 'RESTORE',
        context,
        sealed: parts.definition,
        files_id: parts.files_id,
        description: row.description,
      });
    },
    async abandon(context, idOrName) {
      const row = await find(context, idOrName);
      refuseNested(row);
      if (row.deleted_at) throw fault('stack-not-found', { stack: idOrName });
      const data = exportOf(await showTree(desk, row));
      await db.transaction(async (tx) => {
        const locked = await store.lockStack(tx, row.id);
        if (!locked || locked.status === 'IN_PROGRESS' || (await operations.activity(stackSubject(row.id))))
          throw fault('stack-action-running', { stack: row.name, action: locked?.action ?? row.action });
        await store.forgetTree(tx, row.id);
        const end = {
          action: 'DELETE' as const,
          status: 'COMPLETE' as const,
          reason: 'Stack DELETE completed successfully',
        };
        await store.patchStack(tx, row.id, { ...end, deleted_at: new Date(clock.now()) });
        await recorder.append(
          tx,
          'stack.state',
          stackSubject(row.id),
          { name: row.name, ...end },
          {
            cause: 'it was abandoned: what it made stays',
            requestId: context.requestId,
          },
        );
      });
      return data;
    },
    list: (context, { allProjects, ...filters } = {}) =>
      store.stacks(db, { ...filters, projectId: allProjects && isAdmin(context) ? null : context.projectId }),
    count: (context, filters = {}) => store.countStacks(db, { ...filters, projectId: context.projectId }),
    redo: (tx, row, context) => begin(tx, row, { action: 'UPDATE', context }),
    async startPending() {
      for (const { id } of await store.stacksWithPending(db))
        await startPendingOf(id).catch((error) => tellHeldUp(id, error));
    },
  };
}
