/** What API clients do most: they look at nodes one at a time. Those who ask at once are answered out of one query. */
import { createGather } from '../core/database/gather.ts';
import type { House } from '../core/house.ts';
import type { Activity } from '../core/operations/index.ts';
import { type NodeRow, nodesByUuids } from './store/nodes.ts';
import { traitsOf } from './store/ports.ts';

type Many<Value> = (uuids: readonly string[]) => Promise<ReadonlyMap<string, Value>>;

export interface NodeLooks {
  node(uuid: string): Promise<NodeRow | undefined>;
  readonly traits: Many<string[]>;
  /** What is under way on a node. */
  readonly activities: Many<Activity>;
}

export function createNodeLooks({ db, operations }: House): NodeLooks {
  return {
    node: createGather(async (uuids) => new Map((await nodesByUuids(db, uuids)).map((node) => [node.uuid, node]))),
    traits: singly((uuids) => traitsOf(db, uuids)),
    activities: singly((uuids) => operations.activities('node', uuids)),
  };
}

/** A list asks for itself; a look at one node is gathered with others. */
function singly<Value>(many: Many<Value>): Many<Value> {
  const gather = createGather(many);
  return async (uuids) => {
    const [one, ...more] = uuids;
    if (one === undefined || more.length > 0) return many(uuids);
    const value = await gather(one);
    return new Map(value === undefined ? [] : [[one, value]]);
  };
}
