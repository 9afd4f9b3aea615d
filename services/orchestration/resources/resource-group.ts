/** OS::Heat::ResourceGroup: the same definition `count` times, as a stack of its own. */
import type { Group, NestedHandler } from '../engine/handler.ts';
import { Fault, fromPlain, selectFromAttribute, type Value } from '../language/index.ts';
import type { Plain } from '../model.ts';

/** Puts the member's number wherever the index variable stands in a text. */
export function withIndex(value: Plain, variable: string, index: string): Plain {
  if (typeof value === 'string') return value.replaceAll(variable, index);
  if (Array.isArray(value)) return value.map((item) => withIndex(item, variable, index));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key.replaceAll(variable, index), withIndex(item, variable, index)]),
  );
}

const blocked = (policies: Plain | undefined): string[] =>
  ((policies ?? []) as { resource_list?: Plain[] }[]).flatMap(({ resource_list }) => (resource_list ?? []).map(String));

/** The lowest numbers that no removal policy names. */
export function memberNames(count: number, removed: ReadonlySet<string>): string[] {
  const names: string[] = [];
  for (let index = 0; names.length < count; index += 1) if (!removed.has(String(index))) names.push(String(index));
  return names;
}

/** Absent keys are left out: a null would be a value. */
const present = (map: { [key: string]: Plain }): { [key: string]: Plain } =>
  Object.fromEntries(Object.entries(map).filter(([, value]) => value !== null && value !== undefined));

export const resourceGroup: NestedHandler = {
  type: 'OS::Heat::ResourceGroup',
  nested: true,
  child({ properties, removed }) {
    const definition = properties.resource_def as { type: string; properties: Plain; metadata: Plain };
    const variable = String(properties.index_var ?? '%index%');
    const gone = new Set([...removed, ...blocked(properties.removal_policies)]);
    const member = present({
      type: definition.type,
      properties: definition.properties ?? null,
      metadata: definition.metadata ?? null,
    });
    const resources = Object.fromEntries(
      memberNames(Number(properties.count ?? 1), gone).map((name) => [name, withIndex(member, variable, name)]),
    );
    return { template: { heat_template_version: '2015-04-30', resources }, file: 'resource group', parameters: {} };
  },
  attribute(group, name, path) {
    if (name === 'removed_rsrc_list') return fromPlain(group.data.removed ?? []);
    return groupAttribute(group, name, path);
  },
};

/** What every group has: its members' references, or an attribute of each of them. */
export function groupAttribute({ members }: Group, name: string, path: readonly Value[]): Value {
  const [attribute, ...rest] = path;
  switch (name) {
    case 'refs':
      return selectFromAttribute(
        members.map((member) => member.reference()),
        path,
      );
    case 'refs_map':
      return selectFromAttribute(new Map(members.map((member) => [member.name, member.reference()])), path);
    case 'attributes':
      if (attribute === undefined) throw new Fault('KeyError', 'attributes');
      return new Map(members.map((member) => [member.name, member.attribute(attribute, rest)]));
    default:
      return members.map((member) => member.attribute(name, path));
  }
}
