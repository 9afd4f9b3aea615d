/** Heat's previews: what a new stack would have, and what an update would do to one that is there. */
import type { FastifyRequest } from 'fastify';
import type { Api } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import { openDefinition } from '../engine/definition.ts';
import type { StackNode } from '../engine/tree.ts';
import type { Plain, Stack } from '../model.ts';
import type { PlannedResource } from '../plan/resources.ts';
import { handOver } from '../reading/hand-over.ts';
import { showTree } from '../show.ts';
import type { Stacks } from '../stacks.ts';
import * as store from '../store/stacks.ts';
import { detailedStack, flag, linksFor, requiredIn, type StackPath, time } from './dialect.ts';
import { attributesOf } from './resources.ts';
import { bodyOf, stackName, stackUpdate, stackWish } from './wishes.ts';

type Of = Pick<Stack, 'id' | 'name' | 'project_id'>;

export function previewRoutes(api: Api, desk: Desk, stacks: Stacks): void {
  const { db, secrets, clock } = desk.house;

  const identity = ({ project_id, name, id }: Of, path: string) => ({
    tenant: project_id,
    stack_name: name,
    stack_id: id,
    path,
  });

  const shown = (entry: PlannedResource, of: Of, dependants: ReadonlyMap<string, readonly string[]>) => ({
    updated_time: null as string | null,
    creation_time: null as string | null,
    resource_name: entry.name,
    physical_resource_id: entry.physical_id ?? '',
    resource_action: 'INIT',
    resource_status: 'COMPLETE',
    resource_status_reason: entry.because ?? '',
    resource_type: entry.type,
    resource_identity: identity(of, `/resources/${entry.name}`),
    stack_identity: identity(of, ''),
    stack_name: of.name,
    required_by: dependants.get(entry.name) ?? [],
    description: '',
    metadata: {},
    attributes: attributeNames(entry.type),
  });

  const attributeNames = (type: string): Record<string, Plain> =>
    Object.fromEntries(
      Object.keys(desk.types.type(type)?.attributes ?? {})
        .filter((name) => name !== 'show')
        .map((name) => [name, null]),
    );

  function propertiesOf({ type, properties }: PlannedResource): Record<string, Plain> {
    const schemas = Object.entries(desk.types.type(type)?.properties ?? {});
    return {
      ...Object.fromEntries(schemas.map(([name, { default: usual }]) => [name, (usual ?? null) as Plain])),
      ...Object.fromEntries(properties.map(({ name, to }) => [name, to])),
    };
  }

  /** A resource that stands for a stack is shown as the list of what is in it. */
  function fresh(entries: readonly PlannedResource[], of: Of, parent: string | null): unknown[] {
    const dependants = requiredIn(entries);
    return entries.map((entry) =>
      entry.resources.length > 0
        ? fresh(entry.resources, { ...of, name: `${of.name}-${entry.name}` }, entry.name)
        : {
            ...shown(entry, of, dependants),
            ...(parent !== null && { parent_resource: parent }),
            properties: propertiesOf(entry),
          },
    );
  }

  api.post('/stacks/preview', async (request) => {
    const body = bodyOf(request.body);
    const name = stackName(body);
    const { files = {}, ...wish } = stackWish(body);
    const of = { id: 'None', name, project_id: request.context.projectId ?? '' };
    const asked = { source: { wish, present: null, files, stack: of }, tree: null };
    const { resources, outputs, parameters, description } = await desk.reader.ask('preview', asked);
    const row = rowOf(request, of, description, wish.tags ?? []);
    const {
      stack_status: _status,
      stack_status_reason: _reason,
      ...stack
    } = detailedStack(linksFor(desk, request), row, parameters);
    return { stack: { ...stack, outputs, resources: fresh(resources, of, null) } };
  });

  /** A stack that is not there, as it would be shown. */
  const rowOf = (request: FastifyRequest, of: Of, description: string, tags: readonly string[]): Stack => ({
    ...of,
    root_id: 'None',
    parent_id: null,
    parent_resource: null,
    user_id: request.context.userId ?? '',
    owner_name: request.context.userId ?? '',
    description,
    action: 'CREATE',
    status: 'COMPLETE',
    reason: '',
    generation: 0,
    disable_rollback: true,
    timeout_mins: null,
    tags,
    user_project_id: null,
    created_at: new Date(clock.now()),
    updated_at: null,
    deleted_at: null,
  });

  type Shown = ReturnType<typeof shown> & { nested_stack_id?: ReturnType<typeof identity> };

  /** What changes is shown with what is there of it, as Heat does; and with those within when they are asked for. */
  function* changes(
    entries: readonly PlannedResource[],
    node: StackNode | undefined,
    of: Of,
    nested: boolean,
  ): Generator<[change: string, shown: Shown]> {
    const dependants = requiredIn(entries);
    for (const entry of entries) {
      const live = node?.resources.get(entry.name);
      const child = live && node?.children.get(live.row.id);
      const one: Shown = shown(entry, of, dependants);
      if (node && live && entry.change !== 'create' && entry.change !== 'keep')
        Object.assign(one, {
          updated_time: time(live.row.updated_at),
          creation_time: time(live.row.created_at),
          resource_action: live.row.action,
          resource_status: live.row.status,
          resource_status_reason: entry.because ?? (live.row.reason || 'state changed'),
          attributes: attributesOf(node, live, []),
        });
      if (child) one.nested_stack_id = identity(child.row, '');
      yield [entry.change, one];
      if (nested)
        yield* changes(entry.resources, child, child?.row ?? { ...of, name: `${of.name}-${entry.name}` }, true);
    }
  }

  for (const method of ['PUT', 'PATCH'] as const) {
    api.route<StackPath>({
      method,
      url: '/stacks/:stack/:id/preview',
      handler: async (request) => {
        const row = await stacks.find(request.context, request.params.id);
        const wish = stackUpdate(bodyOf(request.body), method === 'PATCH');
        const present = openDefinition(secrets, row.id, row.definition);
        const kept = wish.existing ? await store.filesOf(db, row.files_id) : {};
        const { files: given, ...own } = wish;
        const { id, name, project_id } = row;
        const source = { wish: own, present, files: { ...kept, ...given }, stack: { id, name, project_id } };
        const node = await showTree(desk, row);
        const { resources } = await desk.reader.ask('preview', { source, tree: handOver(node) });
        const all = [...changes(resources, node, row, flag(request.query.show_nested))];
        const of = (change: string) => all.filter(([own]) => own === change).map(([, one]) => one);
        return {
          resource_changes: {
            unchanged: of('keep'),
            updated: of('update'),
            replaced: of('replace'),
            added: of('create'),
            deleted: of('delete'),
          },
        };
      },
    });
  }
}
