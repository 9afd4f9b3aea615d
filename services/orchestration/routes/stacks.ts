/** /stacks: list, create, show, update, delete, preview, plan, and what they were made of. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isAdmin } from '../../core/context.ts';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import { openDefinition } from '../engine/definition.ts';
import type { StackNode } from '../engine/tree.ts';
import { registryTree, toPlain } from '../language/index.ts';
import type { Plain, Stack } from '../model.ts';
import { shownParameters } from '../reading/hand-over.ts';
import { showOutputs, showTree, stackActivity } from '../show.ts';
import type { Stacks } from '../stacks.ts';
import * as store from '../store/stacks.ts';
import {
  accepted,
  detailedStack,
  flag,
  type Links,
  linksFor,
  list,
  listedStack,
  number,
  one,
  type Query,
  type StackPath,
  stackLink,
} from './dialect.ts';
import { adoptWish, bodyOf, stackName, stackUpdate, stackWish } from './wishes.ts';

const filtersOf = (query: Query): Partial<store.StackFilters> => {
  const keys = list(query.sort_keys);
  const direction = one(query.sort_dir) === 'asc' ? 'asc' : 'desc';
  const marker = one(query.marker);
  const limit = number(query, 'limit');
  return {
    nested: flag(query.show_nested),
    deleted: flag(query.show_deleted),
    ids: list(query.id),
    names: [...list(query.name), ...list(query.stack_name)],
    status: [...list(query.status), ...list(query.stack_status).map((text) => text.split('_').slice(1).join('_'))],
    action: list(query.action),
    tags: list(query.tags),
    tagsAny: list(query.tags_any),
    notTags: list(query.not_tags),
    notTagsAny: list(query.not_tags_any),
    sort: keys.map((key) => ({ key, direction })),
    ...(marker && { marker }),
    ...(limit !== undefined && { limit }),
  };
};

export function stackRoutes(api: Api, desk: Desk, stacks: Stacks): void {
  const { db, secrets } = desk.house;

  async function listed(request: FastifyRequest<{ Querystring: Query }>): Promise<Stack[]> {
    const all = flag(request.query.global_tenant);
    if (all && !isAdmin(request.context)) throw fault('forbidden', { action: 'stacks:global_index', roles: 'admin' });
    return stacks.list(request.context, { ...filtersOf(request.query), allProjects: all });
  }

  async function shown(link: Links, row: store.StackRow, outputs: boolean) {
    const stack = detailedStack(link, row, await shownParameters(desk, row));
    return outputs && row.deleted_at === null ? { ...stack, outputs: showOutputs(await showTree(desk, row)) } : stack;
  }

  /** One of the short and the whole path: heatclient looks for the whole one in Location, everybody else wants the answer. */
  const located = (reply: FastifyReply, link: Links, row: Stack) => reply.header('location', link(row));

  api.get<{ Querystring: Query }>('/stacks', async (request) => {
    const link = linksFor(desk, request);
    const rows = await listed(request);
    const count = flag(request.query.with_count)
      ? { count: await stacks.count(request.context, filtersOf(request.query)) }
      : {};
    return { stacks: rows.map((row) => listedStack(link, row)), ...count };
  });

  api.get<{ Querystring: Query }>('/stacks/detail', async (request) => {
    const link = linksFor(desk, request);
    const rows = await listed(request);
    return { stacks: rows.map((row) => ({ ...listedStack(link, row), ...detailedStack(link, row, {}) })) };
  });

  api.post('/stacks', async (request, reply) => {
    const body = bodyOf(request.body);
    const adopt = body.adopt_stack_data ?? null;
    const wish = adopt === null ? stackWish(body) : adoptWish(body, adopt);
    const stack = await stacks.create(request.context, stackName(body), wish);
    const link = linksFor(desk, request);
    return reply
      .status(201)
      .header('location', link(stack))
      .send({ stack: stackLink(link, stack) });
  });

  const paths = ['/stacks/:stack', '/stacks/:stack/:id'];
  const keyOf = ({ stack, id }: StackPath['Params']): string => id ?? stack;

  for (const path of paths) {
    api.get<StackPath>(path, async (request, reply) => {
      const row = await stacks.find(request.context, keyOf(request.params));
      const link = linksFor(desk, request);
      located(reply, link, row);
      return { stack: await shown(link, row, one(request.query.resolve_outputs)?.toLowerCase() !== 'false') };
    });
    for (const method of ['PUT', 'PATCH'] as const) {
      api.route<StackPath>({
        method,
        url: path,
        handler: async (request, reply) => {
          await stacks.update(
            request.context,
            keyOf(request.params),
            stackUpdate(bodyOf(request.body), method === 'PATCH'),
          );
          return accepted(reply);
        },
      });
    }
    api.delete<StackPath>(path, async (request, reply) => {
      await stacks.remove(request.context, keyOf(request.params));
      return reply.status(204).send();
    });
    partRoutes(path);
  }

  /** The parts of a stack that are read alone; Heat's short paths are answered like the whole ones. */
  function partRoutes(path: string): void {
    const part = (name: string, answer: (row: store.StackRow) => Promise<Plain | object>) => {
      api.get<StackPath>(`${path}/${name}`, async (request, reply) => {
        const row = await stacks.find(request.context, keyOf(request.params));
        reply.header('location', `${linksFor(desk, request)(row)}/${name}`);
        return answer(row);
      });
    };
    part('template', async (row) => {
      const { template } = openDefinition(secrets, row.id, row.definition);
      if (typeof template !== 'string') return template;
      return toPlain((await showTree(desk, row)).analysis.template.tree);
    });
    part('environment', async (row) => {
      const { environment } = (await showTree(desk, row)).analysis;
      const given = openDefinition(secrets, row.id, row.definition).environment;
      return {
        resource_registry: { resources: {}, ...(toPlain(registryTree(environment.registry)) as object) },
        parameters: masked(given.parameters, await showTree(desk, row)),
        parameter_defaults: toPlain(environment.parameterDefaults),
        event_sinks: toPlain(environment.eventSinks),
        encrypted_param_names: toPlain(environment.encryptedParameterNames),
      };
    });
    part('files', (row) => store.filesOf(db, row.files_id));
    part('outputs', async (row) => ({
      outputs: showOutputs(await showTree(desk, row)).map(({ output_key, description }) => ({
        output_key,
        description,
      })),
    }));
    part('activity', async (row) => stackActivity(desk, row));
  }

  for (const path of paths) {
    api.get<{ Params: StackPath['Params'] & { key: string } }>(`${path}/outputs/:key`, async (request) => {
      const row = await stacks.find(request.context, keyOf(request.params));
      const output = showOutputs(await showTree(desk, row)).find((one) => one.output_key === request.params.key);
      if (!output) throw fault('output-not-found', { key: request.params.key });
      return { output };
    });
  }
}

/** Hidden parameters stay hidden in what is shown of the environment. */
function masked(given: Plain | undefined, node: StackNode): Plain {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return {};
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      node.analysis.parameters.all.get(name)?.schema.hidden ? '******' : value,
    ]),
  );
}
