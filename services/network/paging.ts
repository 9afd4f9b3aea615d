/** Neutron's sorting and paging, over the answer's own attributes. */
import { invalid } from './scope.ts';

export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;
type Row = Readonly<Record<string, unknown>>;

const words = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

export interface Page {
  readonly rows: readonly Row[];
  /** Query strings of the neighbours, as far as there are any. */
  readonly links: readonly { readonly rel: 'next' | 'previous'; readonly query: string }[];
}

export function pageOf(all: readonly Row[], query: Query): Page {
  const keys = words(query.sort_key);
  const directions = words(query.sort_dir);
  if (directions.length > 0 && directions.length !== keys.length)
    throw invalid('sort_dir', 'give as many of it as of sort_key');
  const rows = [...all];
  if (keys.length > 0)
    rows.sort((a, b) => {
      for (const [i, key] of keys.entries()) {
        const order = compare(a[key], b[key]);
        if (order !== 0) return directions[i] === 'desc' ? -order : order;
      }
      return compare(a.id, b.id);
    });
  const isBackwards = words(query.page_reverse)[0]?.toLowerCase() === 'true';
  const marker = words(query.marker)[0];
  const limitText = words(query.limit)[0];
  const limit = limitText === undefined ? 0 : Number(limitText);
  if (!Number.isInteger(limit) || limit < 0) throw invalid('limit', `“${limitText}” is no count`);
  let from = 0;
  let to = rows.length;
  if (marker !== undefined) {
    const at = rows.findIndex((row) => row.id === marker);
    if (at < 0) throw invalid('marker', `nothing here has the id ${marker}`);
    if (isBackwards) to = at;
    else from = at + 1;
  }
  if (limit > 0 && to - from > limit) {
    if (isBackwards) from = to - limit;
    else to = from + limit;
  }
  const page = rows.slice(from, to);
  const first = page[0];
  const last = page.at(-1);
  const links =
    limit === 0
      ? []
      : [
          ...(to < rows.length && last
            ? [{ rel: 'next' as const, query: neighbour(query, String(last.id), false) }]
            : []),
          ...(from > 0 && first ? [{ rel: 'previous' as const, query: neighbour(query, String(first.id), true) }] : []),
        ];
  return { rows: page, links };
}

function neighbour(query: Query, marker: string, isBackwards: boolean): string {
  const next = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (name !== 'marker' && name !== 'page_reverse') for (const one of words(value)) next.append(name, one);
  next.set('marker', marker);
  if (isBackwards) next.set('page_reverse', 'True');
  return next.toString();
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const left = String(a ?? '');
  const right = String(b ?? '');
  return left < right ? -1 : left > right ? 1 : 0;
}
