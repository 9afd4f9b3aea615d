/** How large a scaling group is: its bounds by the template, its capacity by the policies that moved it. */
import type { Properties } from '../engine/state.ts';
import type { Plain } from '../model.ts';

interface Names {
  readonly least: string;
  readonly most: string;
  readonly desired: string;
}

/** The group types that policies move, and where each keeps its size. */
const groups: Readonly<Record<string, Names>> = {
  'OS::Heat::AutoScalingGroup': { least: 'min_size', most: 'max_size', desired: 'desired_capacity' },
  'AWS::AutoScaling::AutoScalingGroup': { least: 'MinSize', most: 'MaxSize', desired: 'DesiredCapacity' },
  'OS::Heat::InstanceGroup': { least: 'Size', most: 'Size', desired: 'Size' },
};

export const isGroup = (type: string): boolean => type in groups;

/** What a policy noted with the group: `desired` is the property as it was then; a template that changes it wins again. */
export interface Scaled {
  readonly capacity: number;
  readonly desired: Plain;
  /** ms since the epoch, for the cooldown. */
  readonly at: number;
}

export const scaledOf = (data: Readonly<Record<string, Plain>>): Scaled | null =>
  (data.scaled as unknown as Scaled | undefined) ?? null;

export interface Size {
  readonly now: number;
  readonly desired: Plain;
  /** `1 to 4`. */
  readonly span: string;
  bounded(capacity: number): number;
}

export function sizeOf(type: string, properties: Properties, data: Readonly<Record<string, Plain>>): Size {
  const names = groups[type] as Names;
  const least = Number(properties[names.least] ?? 0);
  const most = Number(properties[names.most] ?? Number.MAX_SAFE_INTEGER);
  const desired = properties[names.desired] ?? null;
  const bounded = (capacity: number) => Math.min(Math.max(Math.floor(capacity), least), most);
  const scaled = scaledOf(data);
  const wanted = scaled && scaled.desired === desired ? scaled.capacity : Number(desired ?? least);
  return { now: bounded(wanted), desired, span: `${least} to ${most}`, bounded };
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
