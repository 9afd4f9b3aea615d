/** Two answers held against each other by shape: the same keys, and values of the same kinds. */

export const ids = /[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const kindOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value);
const isMap = (value: unknown): value is { readonly [key: string]: Json } => kindOf(value) === 'object';

const nameOf = (item: unknown): string | undefined => {
  if (!isMap(item)) return undefined;
  const name = item.resource_name ?? item.stack_name ?? item.output_key ?? item.rel ?? item.name ?? item.id;
  return typeof name === 'string' ? name : undefined;
};

/** By name, else by place: some names are made at random, and lists stand among maps. */
const partner = (ours: readonly Json[], item: Json, at: number): Json | undefined => {
  const alike = ours.filter((one) => Array.isArray(one) === Array.isArray(item));
  const name = nameOf(item);
  return alike.find((one) => name !== undefined && nameOf(one) === name) ?? alike[at] ?? alike[0];
};

export function differences(theirs: unknown, ours: unknown, at = ''): string[] {
  const [expected, found] = [kindOf(theirs), kindOf(ours)];
  if (expected !== found)
    return [
      `${at}: ${found} ${JSON.stringify(ours)?.slice(0, 90)}, not ${expected} ${JSON.stringify(theirs)?.slice(0, 90)}`,
    ];
  if (Array.isArray(theirs) && Array.isArray(ours)) {
    if (theirs.length > 0 && ours.length === 0) return [`${at}: empty`];
    return theirs.flatMap((item, i) => {
      const other = partner(ours, item, i);
      const place = `${at}[${nameOf(item) ?? i}]`;
      return other === undefined ? [`${place}: is missing`] : differences(item, other, place);
    });
  }
  if (typeof theirs === 'string' && ours === '' && theirs.match(ids)) return [`${at}: is empty`];
  if (!isMap(theirs) || !isMap(ours)) return [];
  const more = Object.keys(ours).filter((key) => !(key in theirs));
  return [
    ...(more.length > 0 ? [`${at}: has ${more.join(', ')} more`] : []),
    ...Object.entries(theirs).flatMap(([key, value]) =>
      key in ours ? differences(value, ours[key], `${at}.${key}`) : [`${at}.${key}: is missing`],
    ),
  ];
}

/** Which of our ids stands for which of theirs. */
export function learn(known: Map<string, string>, theirs: unknown, ours: unknown): void {
  if (typeof theirs === 'string' && typeof ours === 'string') {
    const [a, b] = [theirs.match(ids) ?? [], ours.match(ids) ?? []];
    if (a.length === b.length)
      a.forEach((id, i) => {
        if (!known.has(id)) known.set(id, b[i] as string);
      });
  } else if (Array.isArray(theirs) && Array.isArray(ours))
    theirs.forEach((item, i) => {
      learn(known, item, partner(ours, item, i));
    });
  else if (isMap(theirs) && isMap(ours))
    for (const [key, value] of Object.entries(theirs)) learn(known, value, ours[key]);
}
