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
  /** The hook at which it stands or stood last; cleared by a signal newer than `after`. */
  hook?: { readonly name: string; readonly generation: number; readonly after: number };
  /** From a stack that was abandoned elsewhere: what it stands for is there already. */
  adopted?: Plain;
}

/** A resource in memory; its holder is the only one that writes it. */
export interface Live {
  readonly row: ResourceRow;
  readonly state: ResourceState;
  /** What `row.state` seals, while it is known. */
  sealed?: string;
}

const owner = (row: Pick<ResourceRow, 'id'>): string => `resource ${row.id}`;

export const emptyState = (): ResourceState => ({
  properties: {},
  data: {},
  attributes: {},
  metadata: {},
  changed: [],
});

const nothing = JSON.stringify(emptyState());

export const sealState = (secrets: Secrets, live: Live): ResourceRow => {
  const plain = JSON.stringify(live.state);
  // Of a resource that was not begun there is nothing to hide.
  if (plain === nothing) live.row.state = '';
  // Sealing costs more than all else about a row; most turns change the row and not the state.
  else if (live.sealed !== plain) {
    live.row.state = secrets.seal(plain, owner(live.row));
    live.sealed = plain;
  }
  return { ...live.row };
};

export const openState = (secrets: Secrets, row: ResourceRow): Live => ({
  row,
  state: row.state === '' ? emptyState() : (JSON.parse(secrets.open(row.state, owner(row))) as ResourceState),
});
