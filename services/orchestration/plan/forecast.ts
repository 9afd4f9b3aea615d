/** In which order a plan's changes come, how many of them at once, and how long that usually takes here. */
import type { PlannedResource } from './resources.ts';

/** Usual seconds by `TYPE ACTION`, from this fleet's history; what takes less than half a second is not in it. */
export type Usual = Readonly<Record<string, number>>;

export interface Forecast {
  /** Names of what moves, level by level: each level begins when those that it needs are done. Deletions come last. */
  readonly order: readonly (readonly string[])[];
  /** The longest chain of changes, by what they usually take. */
  readonly minutes: number;
  /** Changes of machines and the like for which there is history, of those that take their time. */
  readonly known: number;
  readonly unknown: number;
}

/** Types that do their work outside this process; without history their time is not known, and not nothing. */
const slowTypes =
  /^(OS::Nova::Server|OS::Heat::(Software|Structured)Deployment|OS::Heat::WaitCondition$|AWS::EC2::Instance|OS::Glance::WebImage)/;

const actions = { create: ['CREATE'], update: ['UPDATE'], replace: ['CREATE', 'DELETE'], delete: ['DELETE'], keep: [] };

interface Sums {
  known: number;
  unknown: number;
}

function ownSeconds(resource: PlannedResource, usual: Usual, sums: Sums): number {
  let seconds = 0;
  for (const action of actions[resource.change]) {
    const known = usual[`${resource.type} ${action}`];
    if (known !== undefined) sums.known += 1;
    else if (slowTypes.test(resource.type)) sums.unknown += 1;
    seconds += known ?? 0;
  }
  return seconds;
}

const isGoing = ({ change }: PlannedResource): boolean => change === 'delete';

/** Names in an order that puts each after what it needs, and the seconds until each is done. */
function timesOf(resources: readonly PlannedResource[], usual: Usual, sums: Sums): Map<string, number> {
  const byName = new Map(resources.map((one) => [one.name, one]));
  const ends = new Map<string, number>();
  const visit = (first: PlannedResource): void => {
    // A stack of its own: a chain of ten thousand would be too deep for calls.
    const open = [first];
    while (open.length > 0) {
      const here = open.at(-1) as PlannedResource;
      if (ends.has(here.name)) {
        open.pop();
        continue;
      }
      const missing = here.requires.filter((name) => byName.has(name) && !ends.has(name) && name !== here.name);
      const next = missing.map((name) => byName.get(name) as PlannedResource).filter((one) => !open.includes(one));
      if (next.length > 0) {
        open.push(...next);
        continue;
      }
      open.pop();
      const begins = Math.max(0, ...here.requires.map((name) => ends.get(name) ?? 0));
      const inner = here.resources.length > 0 ? secondsOf(here.resources, usual, sums) : 0;
      ends.set(here.name, begins + Math.max(inner, ownSeconds(here, usual, sums)));
    }
  };
  for (const one of resources) visit(one);
  return ends;
}

function secondsOf(resources: readonly PlannedResource[], usual: Usual, sums: Sums): number {
  const longest = (some: readonly PlannedResource[]) => {
    let most = 0;
    for (const end of timesOf(some, usual, sums).values()) most = Math.max(most, end);
    return most;
  };
  return longest(resources.filter((one) => !isGoing(one))) + longest(resources.filter(isGoing));
}

function levelsOf(resources: readonly PlannedResource[]): string[][] {
  const moving = resources.filter(({ change }) => change !== 'keep');
  const forward = moving.filter((one) => !isGoing(one));
  // A second each: the time at which one ends is then its level.
  const unit = forward.map((one) => ({ ...one, type: 'unit', change: 'create' as const, resources: [] }));
  const ends = timesOf(unit, { 'unit CREATE': 1 }, { known: 0, unknown: 0 });
  const levels: string[][] = [];
  for (const { name } of forward) {
    const level = (ends.get(name) ?? 1) - 1;
    const here = levels[level];
    if (here) here.push(name);
    else levels[level] = [name];
  }
  const going = moving.filter(isGoing).map(({ name }) => name);
  return [...levels.map((level) => level ?? []), ...(going.length > 0 ? [going] : [])];
}

export function forecast(resources: readonly PlannedResource[], usual: Usual): Forecast {
  const sums = { known: 0, unknown: 0 };
  const seconds = secondsOf(resources, usual, sums);
  return { order: levelsOf(resources), minutes: Math.round(seconds / 6) / 10, ...sums };
}
