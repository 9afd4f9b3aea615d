/** Glance's query of an image list: filters with operators, sorting, paging. */
import { fault } from '../../core/errors/index.ts';
import type { MemberStatus, Visibility } from '../model.ts';
import type { Comparison, ImageFilters } from '../store/images.ts';
import { text, uuid } from './fields.ts';

export type Query = Readonly<Record<string, string | string[] | undefined>>;

/** What each column may be compared by: alone, with `in:`, or with an operator and a value that PostgreSQL reads. */
const columns: Readonly<Record<string, 'equal' | 'in' | 'time'>> = {
  id: 'in',
  name: 'in',
  status: 'in',
  disk_format: 'in',
  container_format: 'in',
  owner: 'equal',
  protected: 'equal',
  os_hidden: 'equal',
  checksum: 'equal',
  os_hash_value: 'equal',
  created_at: 'time',
  updated_at: 'time',
};
const sortable = new Set([
  'name',
  'status',
  'size',
  'disk_format',
  'container_format',
  'id',
  'created_at',
  'updated_at',
]);
const operators: Readonly<Record<string, Comparison>> = { gt: '>', gte: '>=', lt: '<', lte: '<=', eq: '=', neq: '<>' };
const visibilities = ['public', 'private', 'shared', 'community', 'all'];
const memberStatuses = ['pending', 'accepted', 'rejected', 'all'];
const elsewhere = ['limit', 'marker', 'sort', 'sort_key', 'sort_dir', 'tag', 'member_status', 'visibility'];
const defaultLimit = 25;
const mostAtOnce = 1000;

const refuse = (reason: string) => fault('image-invalid', { reason });

/** @throws Fault `image-invalid` with the parameter at fault */
export function filtersOf(query: Query): Omit<ImageFilters, 'projectId'> {
  const one = (name: string) => [query[name]].flat()[0];
  const limit = Math.min(mostAtOnce, Number(one('limit') ?? defaultLimit));
  if (!Number.isInteger(limit) || limit < 0) throw refuse(`limit '${one('limit')}' is no number of images.`);
  const marker = one('marker');
  if (marker && !uuid.test(marker)) throw refuse(`marker '${marker}' is no image's id.`);
  const visibility = chosen('visibility', one('visibility'), visibilities) as Visibility | 'all' | null;
  const memberStatus = (chosen('member_status', one('member_status'), memberStatuses) ?? 'accepted') as
    | MemberStatus
    | 'all';
  const where: ImageFilters['where'][number][] = [];
  const properties: Record<string, string> = {};
  for (const [name, values] of Object.entries(query)) {
    if (elsewhere.includes(name)) continue;
    for (const value of [values].flat()) {
      if (!text(value, 65_535)) throw refuse(`the filter '${name}' cannot match.`);
      if (name === 'size_min' || name === 'size_max') where.push(sizeFilter(name, value));
      else if (columns[name]) where.push(condition(name, value));
      else properties[name] = value;
    }
  }
  // Glance lists hidden images only to who asks for them.
  if (!where.some(({ column }) => column === 'os_hidden'))
    where.push({ column: 'os_hidden', is: '=', oneOf: ['false'] });
  const tags = query.tag === undefined ? [] : [query.tag].flat();
  return { where, properties, tags, visibility, memberStatus, sort: sorting(query), limit, ...(marker && { marker }) };
}

function chosen(name: string, value: string | undefined, of: readonly string[]): string | null {
  if (value === undefined) return null;
  if (!of.includes(value)) throw refuse(`${name} '${value}' is none of ${of.join(', ')}.`);
  return value;
}

function sizeFilter(name: string, value: string): ImageFilters['where'][number] {
  if (!/^\d{1,18}$/.test(value)) throw refuse(`${name} '${value}' is no number of bytes.`);
  return { column: 'size', is: name === 'size_min' ? '>=' : '<=', oneOf: [value] };
}

function condition(column: string, value: string): ImageFilters['where'][number] {
  const kind = columns[column];
  if (kind === 'in' && value.startsWith('in:')) return { column, is: '=', oneOf: quoted(value.slice(3)) };
  if (kind === 'time') {
    const [, operator = 'eq', time = ''] = /^(?:(gte?|lte?|eq|neq):)?(.*)$/.exec(value) ?? [];
    if (Number.isNaN(Date.parse(time)))
      throw refuse(`${column} '${value}' is no time, such as gte:2026-01-31T12:00:00Z.`);
    return { column, is: operators[operator] as Comparison, oneOf: [new Date(time).toISOString()] };
  }
  const plain = ['protected', 'os_hidden'].includes(column) ? value.toLowerCase() : value;
  return { column, is: '=', oneOf: [plain] };
}

/** `a,b,"c,d"`: values with a comma are quoted. */
function quoted(list: string): string[] {
  const values = [...list.matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(
    ([, inside, bare]) => inside?.replace(/\\(.)/g, '$1') ?? bare ?? '',
  );
  if (values.length === 0) throw refuse(`'in:${list}' names no value.`);
  return values;
}

function sorting(query: Query): { key: string; descending: boolean }[] {
  const joined = [query.sort].flat()[0];
  const keys = [query.sort_key ?? []].flat();
  const directions = [query.sort_dir ?? []].flat();
  const items =
    joined !== undefined
      ? joined.split(',')
      : keys.map((key, place) => `${key}:${directions[place] ?? directions[0] ?? 'desc'}`);
  if (joined === undefined && keys.length === 0) items.push(`created_at:${directions[0] ?? 'desc'}`);
  return items.map((item) => {
    const [key = '', direction = 'desc'] = item.split(':');
    if (!sortable.has(key)) throw refuse(`images cannot be sorted by '${key}'.`);
    if (direction !== 'asc' && direction !== 'desc') throw refuse(`'${direction}' is no direction; asc and desc are.`);
    return { key, descending: direction !== 'asc' };
  });
}

/** The page behind this one: the same question with another marker. */
export function nextPage(query: Query, last: string): string {
  const parameters = new URLSearchParams();
  for (const [name, values] of Object.entries(query))
    if (name !== 'marker') for (const value of [values ?? []].flat()) parameters.append(name, value);
  parameters.set('marker', last);
  return `/v2/images?${parameters}`;
}
