/** The group types that policies move, and where each keeps its size. */
import type { Properties } from '../engine/state.ts';
import type { Plain } from '../model.ts';
import { capacityOf } from './auto-scaling-group.ts';

interface Names {
  readonly least: string;
  readonly most: string;
  readonly desired: string;
}

const groups: Readonly<Record<string, Names>> = {
  'OS::Heat::AutoScalingGroup': { least: 'min_size', most: 'max_size', desired: 'desired_capacity' },
};

export const isGroup = (type: string): boolean => type in groups;

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
  return {
    now: capacityOf(properties, data),
    desired: properties[names.desired] ?? null,
    span: `${least} to ${most}`,
    bounded: (capacity) => Math.min(Math.max(Math.floor(capacity), least), most),
  };
}
