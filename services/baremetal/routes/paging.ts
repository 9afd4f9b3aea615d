/** Ironic's pages: limit, marker, sort_key, sort_dir, and a `next` link that repeats the filters. */
import type { FastifyRequest } from 'fastify';
import { isUuid } from '../../core/uuid.ts';
import { refuse } from './dialect.ts';

export type Query = Readonly<Record<string, string | undefined>>;

/** Default and cap, as Ironic's api.max_limit. */
const pageMax = 1_000;

export interface Page {
  readonly limit: number;
  readonly marker: string | undefined;
  readonly sortKey: string;
  readonly descending: boolean;
}

/** @param sortable API name → column */
export function readPage(query: Query, sortable: Readonly<Record<string, string>>): Page {
  const { limit, marker, sort_key: key = 'id', sort_dir: direction = 'asc' } = query;
  let number = pageMax;
  if (limit !== undefined) {
    if (!/^-?\d+$/.test(limit)) throw refuse(`Expected an integer for limit: ${limit}`);
    if (Number(limit) <= 0) throw refuse('Limit must be positive');
    number = Math.min(Number(limit), pageMax);
  }
  if (marker !== undefined && !isUuid(marker)) throw refuse(`Expected UUID for marker: ${marker}`);
  if (direction !== 'asc' && direction !== 'desc')
    throw refuse(`Invalid sort direction: ${direction}. Acceptable values are 'asc' or 'desc'`);
  const column = Object.hasOwn(sortable, key) ? sortable[key] : undefined;
  if (column === undefined) throw refuse(`The sort_key value ${key} is an invalid field for sorting`);
  return { limit: number, marker, sortKey: column, descending: direction === 'desc' };
}

/** Arrays and repeated arguments are taken by their last value. */
export function queryOf(request: FastifyRequest): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(request.query as Record<string, string | string[]>).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.at(-1) : value,
    ]),
  );
}

export function requireKnown(query: Query, known: readonly string[]): void {
  const unknown = Object.keys(query).filter((name) => !known.includes(name));
  if (unknown.length > 0) throw refuse(`Unexpected arguments: ${unknown.join(', ')}`);
}

/** Present where the page is full: there may be more. */
export function nextLink(url: string, query: Query, page: Page, shown: readonly { uuid: string }[]): { next?: string } {
  const last = shown.at(-1);
  if (!last || shown.length < page.limit) return {};
  const repeated = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && name !== 'limit' && name !== 'marker') repeated.set(name, value);
  repeated.set('limit', String(page.limit));
  repeated.set('marker', last.uuid);
  return { next: `${url}?${repeated}` };
}
