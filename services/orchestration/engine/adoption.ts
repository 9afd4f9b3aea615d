/** Resources that are there already: their rows before the engine takes them up, from the data of an abandoned stack. */
import type { Plain } from '../model.ts';
import { newLive } from './drive.ts';
import type { Live } from './state.ts';
import type { StackNode } from './tree.ts';

type PlainMap = { readonly [key: string]: Plain };
const isMap = (value: Plain | undefined): value is PlainMap =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @param adopted the stack's own data, with `resources` by name */
export function adoptedLives(node: StackNode, adopted: Plain | undefined, now: number): Live[] {
  const resources = isMap(adopted) && isMap(adopted.resources) ? adopted.resources : {};
  return Object.entries(resources).flatMap(([name, given]) => {
    if (!isMap(given)) return [];
    const live = newLive(node, name, String(given.type ?? ''), now);
    live.state.adopted = isMap(given.resources) ? { resources: given.resources } : {};
    // What stands for a stack of its own gets a new one; only what that holds is there already.
    if (!isMap(given.resources))
      live.row.physical_id = typeof given.resource_id === 'string' ? given.resource_id : null;
    if (isMap(given.resource_data)) live.state.data = { ...given.resource_data };
    if (given.metadata !== undefined) live.state.metadata = given.metadata;
    return [live];
  });
}
