/** What is kept of a resource beside its columns, sealed: it may hold generated passwords. */
import type { Secrets } from '../../core/secrets.ts';
import type { Plain } from '../model.ts';
import type { ResourceRow } from '../store/resources.ts';

export type Properties = { readonly [name: string]: Plain };

export interface ResourceState {
  /** Resolved, with defaults: what the next definition is held against. */
  properties: Properties;
  /** The type's own notes: what it needs to go on after a kill. */
  data: { [key: string]: Plain };
  /** As they were when the resource was last completed. */
  attributes: { [name: string]: Plain };
  metadata: Plain;
  /** Properties that differ, while it is updated. */
  changed: readonly string[];
}

/** A resource in memory; its holder is the only one that writes it. */
export interface Live {
  readonly row: ResourceRow;
  readonly state: ResourceState;
}

const owner = (row: Pick<ResourceRow, 'id'>): string => `resource ${row.id}`;

export const emptyState = (): ResourceState => ({
  properties: {},
  data: {},
  attributes: {},
  metadata: {},
  changed: [],
});

export const sealState = (secrets: Secrets, live: Live): ResourceRow => {
  live.row.state = secrets.seal(JSON.stringify(live.state), owner(live.row));
  return { ...live.row };
};

export const openState = (secrets: Secrets, row: ResourceRow): Live => ({
  row,
  state: JSON.parse(secrets.open(row.state, owner(row))) as ResourceState,
});
