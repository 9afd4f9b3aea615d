/** A stack as it stands, made ready to be handed to a reading thread; and what is often asked, kept. */
import type { Desk } from '../desk.ts';
import { openDefinition } from '../engine/definition.ts';
import type { StackNode } from '../engine/tree.ts';
import { filesOf, type StackRow } from '../store/stacks.ts';
import type { Tree } from './ask.ts';

export function handOver(node: StackNode): Tree {
  const { definition: _sealed, ...row } = node.row;
  return {
    row,
    definition: node.definition(),
    files: node.files,
    lives: [...node.resources.values(), ...node.retired],
    children: [...node.children.values()].map(handOver),
  };
}

const mostKept = 500;
const kept = new WeakMap<Desk, Map<string, Readonly<Record<string, string>>>>();

/** The stack's parameters as clients see them. A definition's text is sealed anew whenever it changes, so it is the key. */
export async function shownParameters(desk: Desk, row: StackRow): Promise<Readonly<Record<string, string>>> {
  const cache = kept.get(desk) ?? new Map<string, Readonly<Record<string, string>>>();
  kept.set(desk, cache);
  const known = cache.get(row.definition);
  if (known) return known;
  const definition = openDefinition(desk.house.secrets, row.id, row.definition);
  const files = await filesOf(desk.house.db, row.files_id);
  const { id, name, project_id } = row;
  const parameters = await desk.reader.ask('parameters', { definition, files, stack: { id, name, project_id } });
  cache.set(row.definition, parameters);
  const [oldest] = cache.keys();
  if (cache.size > mostKept && oldest !== undefined) cache.delete(oldest);
  return parameters;
}
