/** The routes that every collection of Neutron's has: list with paging, fields and tags, show, make, change, delete, tags. */
import type { FastifyRequest } from 'fastify';
import type { Context } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { Api } from '../core/http/index.ts';
import { isUuid } from '../core/uuid.ts';
import { type Noun, read, show } from './dialect.ts';
import type { ListFilters } from './model.ts';
import { pageOf, type Query } from './paging.ts';
import { invalid, type Kind, notFoundOf } from './scope.ts';

/** What the generic routes need of a noun's rules; the dialect has checked the fields' types. */
export interface Rules<R> {
  list(context: Context, filters: ListFilters): Promise<R[]>;
  find(context: Context, id: string): Promise<R>;
  create(context: Context, fields: Record<string, unknown>): Promise<R>;
  update(context: Context, id: string, changes: Record<string, unknown>): Promise<R>;
  remove(context: Context, id: string): Promise<void>;
}

type Tagged = { readonly id: string; readonly tags: readonly string[] };

/** @throws Fault `network-invalid` where a body has none of them */
export function required<R>(noun: Noun<R>, fields: Record<string, unknown>, names: readonly string[]): unknown {
  for (const name of names)
    if (fields[name] === undefined) {
      const word = noun.attributes.find((one) => one.field === name)?.name ?? name;
      throw invalid(word, `Failed to parse request. Required attribute '${word}' not specified`);
    }
  return fields;
}

export function collection<R extends Tagged>(api: Api, noun: Noun<R>, rules: Rules<R>, path = `/${noun.many}`): void {
  type ById = { Params: { id: string } };
  const fieldsOf = (query: Query): readonly string[] => {
    const { fields = [] } = query;
    return typeof fields === 'string' ? [fields] : fields;
  };
  /** Only ids in paths, as Neutron: a client that has a name asks the list. */
  const idOf = (request: FastifyRequest<ById>): string => {
    if (!isUuid(request.params.id))
      throw fault(notFoundOf(noun.one.replaceAll('_', '-') as Kind), { id: request.params.id });
    return request.params.id.toLowerCase();
  };

  api.get<{ Querystring: Query }>(path, async (request) => {
    const records = await rules.list(request.context, request.query);
    const wanted = tagFilter(records, request.query);
    const { rows, links } = pageOf(
      wanted.map((record) => show(noun, record)),
      request.query,
    );
    const only = fieldsOf(request.query);
    const self = request.url.split('?')[0];
    const shown = only.length === 0 ? rows : rows.map((row) => pick(row, only));
    const here = `${request.protocol}://${request.headers.host ?? 'localhost'}${self}`;
    return {
      [noun.many]: shown,
      ...(links.length > 0 && {
        [`${noun.many}_links`]: links.map(({ rel, query }) => ({ rel, href: `${here}?${query}` })),
      }),
    };
  });

  api.post(path, async (request, reply) => {
    const body = request.body as Record<string, unknown> | undefined;
    reply.status(201);
    const many = body?.[noun.many];
    if (Array.isArray(many)) {
      const made: R[] = [];
      for (const one of many) made.push(await rules.create(request.context, read(noun, one, 'create')));
      return { [noun.many]: made.map((record) => show(noun, record)) };
    }
    return { [noun.one]: show(noun, await rules.create(request.context, read(noun, body?.[noun.one], 'create'))) };
  });

  api.get<ById & { Querystring: Query }>(`${path}/:id`, async (request) => ({
    [noun.one]: show(noun, await rules.find(request.context, idOf(request)), fieldsOf(request.query)),
  }));

  api.put<ById>(`${path}/:id`, async (request) => {
    const body = request.body as Record<string, unknown> | undefined;
    const changes = read(noun, body?.[noun.one], 'update');
    return { [noun.one]: show(noun, await rules.update(request.context, idOf(request), changes)) };
  });

  api.delete<ById>(`${path}/:id`, async (request, reply) => {
    await rules.remove(request.context, idOf(request));
    return reply.status(204).send();
  });

  const setTags = (request: FastifyRequest<ById>, tags: readonly string[]) => {
    const tooLong = tags.find((tag) => typeof tag !== 'string' || tag.length === 0 || tag.length > 60);
    if (tooLong !== undefined || tags.length > 50) throw invalid('tags', 'at most 50 of 1 to 60 characters each');
    return rules.update(request.context, idOf(request), { tags: [...new Set(tags)] });
  };
  api.get<ById>(`${path}/:id/tags`, async (request) => ({
    tags: (await rules.find(request.context, idOf(request))).tags,
  }));
  api.put<ById>(`${path}/:id/tags`, async (request) => {
    const { tags } = (request.body ?? {}) as { tags?: unknown };
    if (!Array.isArray(tags)) throw invalid('tags', 'the body has to be {"tags": […]}');
    return { tags: (await setTags(request, tags)).tags };
  });
  api.delete<ById>(`${path}/:id/tags`, async (request, reply) => {
    await setTags(request, []);
    return reply.status(204).send();
  });
}

const pick = (row: Readonly<Record<string, unknown>>, names: readonly string[]) =>
  Object.fromEntries(Object.entries(row).filter(([name]) => names.includes(name)));

/** `tags`: all of them; `tags-any`: one of them; `not-tags`, `not-tags-any`: the opposite. */
function tagFilter<R extends Tagged>(records: readonly R[], query: Query): readonly R[] {
  const given = (name: string) => {
    const value = query[name];
    return value === undefined ? [] : (typeof value === 'string' ? [value] : value).flatMap((one) => one.split(','));
  };
  const tests: readonly [string, (tags: readonly string[], wanted: readonly string[]) => boolean][] = [
    ['tags', (tags, wanted) => wanted.every((one) => tags.includes(one))],
    ['tags-any', (tags, wanted) => wanted.some((one) => tags.includes(one))],
    ['not-tags', (tags, wanted) => !wanted.every((one) => tags.includes(one))],
    ['not-tags-any', (tags, wanted) => !wanted.some((one) => tags.includes(one))],
  ];
  return tests.reduce<readonly R[]>((kept, [name, holds]) => {
    const wanted = given(name);
    return wanted.length === 0 ? kept : kept.filter((record) => holds(record.tags, wanted));
  }, records);
}
