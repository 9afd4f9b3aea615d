// Reading resources of any vendor: nothing is believed to be there or of the type that the schema says (DSP0268). Pure.

export type Resource = Readonly<Record<string, unknown>>;

export const none: Resource = Object.freeze({});

export const object = (value: unknown): Resource =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Resource) : none;

export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Trimmed: vendors pad what comes from their SMBIOS tables. Empty is null. */
export function text(value: unknown): string | null {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return null;
  const trimmed = value.trim();
  return trimmed === '' ? null : trimmed;
}

/** Numbers come as strings from some BMCs; units and "N/A" are no numbers. */
export function number(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'string' || value.trim() === '') return null;
  const read = Number(value);
  return Number.isFinite(read) ? read : null;
}

export const texts = (value: unknown): string[] =>
  list(value).flatMap((one) => (typeof one === 'string' && one !== '' ? [one] : []));

/** The value at a path of property names; undefined where there is none. */
export function at(from: unknown, ...names: readonly string[]): unknown {
  let here = from;
  for (const name of names) here = object(here)[name];
  return here;
}

const mostPath = 1024;

/**
 * The path of a link, which stays on the BMC that gave it whatever host the link names: internal host names are common, and a
 * credential must not follow a link to somebody else. Null where it is no path. The fragment is dropped.
 */
export function pathOf(link: unknown): string | null {
  if (typeof link !== 'string' || link.length > mostPath) return null;
  const local = link.replace(/^https?:\/\/[^/]*/i, '').replace(/#.*$/s, '');
  return /^\/[\x21-\x7e]*$/.test(local) && !local.startsWith('//') ? local : null;
}

/** `{"@odata.id": "/…"}`; older firmware has `href`, or the bare string. */
export const linkOf = (value: unknown): string | null =>
  pathOf(value) ?? pathOf(object(value)['@odata.id']) ?? pathOf(object(value).href);

export const linksOf = (value: unknown): string[] =>
  (Array.isArray(value) ? value : value === undefined ? [] : [value]).flatMap((one) => linkOf(one) ?? []);

/** Two paths to one resource: slashes at the end differ between links of one BMC. */
export const samePath = (a: string, b: string): boolean => a.replace(/\/+$/, '') === b.replace(/\/+$/, '');

export const lastOf = (path: string): string => path.replace(/\/+$/, '').split('/').pop() ?? '';

/** `#ComputerSystem.Reset` of `Actions`; `target` may be missing, and the values allowed may be there or in an ActionInfo. */
export interface Action {
  readonly target: string;
  readonly allowable: readonly string[] | null;
  readonly info: string | null;
}

export function actionOf(resource: Resource, name: string, parameter: string): Action | null {
  const found = at(resource, 'Actions', `#${name}`);
  if (found === undefined || found === null) return null;
  const own = pathOf(resource['@odata.id']);
  const target = pathOf(object(found).target) ?? (own && `${own.replace(/\/+$/, '')}/Actions/${name}`);
  if (!target) return null;
  const allowable = texts(object(found)[`${parameter}@Redfish.AllowableValues`]);
  return {
    target,
    allowable: allowable.length > 0 ? allowable : null,
    info: linkOf(object(found)['@Redfish.ActionInfo']),
  };
}
