/** OS::Heat::AutoScalingGroup: as many of one resource as its capacity says; policies move the capacity. */
import type { NestedHandler } from '../engine/handler.ts';
import type { Properties } from '../engine/state.ts';
import { selectFromAttribute } from '../language/index.ts';
import type { Plain } from '../model.ts';
import { groupAttribute } from './resource-group.ts';

/** What a policy noted with the group: `desired` is the property as it was then; a template that changes it wins again. */
export interface Scaled {
  readonly capacity: number;
  readonly desired: Plain;
  /** ms since the epoch, for the cooldown. */
  readonly at: number;
}

export const scaledOf = (data: Readonly<Record<string, Plain>>): Scaled | null =>
  (data.scaled as unknown as Scaled | undefined) ?? null;

const bounded = (value: number, properties: Properties): number =>
  Math.min(Math.max(value, Number(properties.min_size ?? 0)), Number(properties.max_size ?? value));

export function capacityOf(properties: Properties, data: Readonly<Record<string, Plain>>): number {
  const scaled = scaledOf(data);
  const desired = properties.desired_capacity ?? null;
  const wanted = scaled && scaled.desired === desired ? scaled.capacity : Number(desired ?? properties.min_size ?? 0);
  return bounded(wanted, properties);
}

/** Members are numbered in the order of their making. A group that shrinks gives up what was marked, then its oldest. */
export function scaledMembers(capacity: number, existing: readonly string[], removed: ReadonlySet<string>): string[] {
  const numbers = existing.map(Number).sort((a, b) => a - b);
  const sound = numbers.filter((number) => !removed.has(String(number)));
  const kept = capacity === 0 ? [] : sound.slice(-capacity);
  const marked = [...removed].map(Number);
  for (let next = Math.max(-1, ...numbers, ...marked) + 1; kept.length < capacity; next += 1) kept.push(next);
  return kept.map(String);
}

export const autoScalingGroup: NestedHandler = {
  type: 'OS::Heat::AutoScalingGroup',
  nested: true,
  child({ properties, existing, removed, data }) {
    const names = scaledMembers(capacityOf(properties, data), existing, new Set(removed));
    const member = properties.resource as { [key: string]: Plain };
    const resources = Object.fromEntries(names.map((name) => [name, member]));
    return { template: { heat_template_version: '2015-04-30', resources }, file: 'scaling group', parameters: {} };
  },
  attribute(group, name, path) {
    const [attribute, ...rest] = path;
    switch (name) {
      case 'current_size':
        return group.members.length;
      case 'outputs':
        return attribute === undefined
          ? new Map()
          : new Map(group.members.map((member) => [member.name, member.attribute(attribute, rest)]));
      case 'outputs_list':
        return attribute === undefined ? [] : group.members.map((member) => member.attribute(attribute, rest));
      case 'refs':
      case 'refs_map':
        return groupAttribute(group, name, path);
      default:
        return selectFromAttribute(groupAttribute(group, name, []), path);
    }
  },
};
