/**
 * Hooks: places at which an environment makes a resource stand still until somebody clears the hook. Where it stands is in
 * its row; the clearing comes as a signal, so that it survives whatever happens between the two.
 */
import { breakpoints } from '../language/index.ts';
import { type Crew, note, stateEvent } from './drive.ts';
import type { Live } from './state.ts';
import type { StackNode } from './tree.ts';

export const isHook = (name: string): boolean => /^(pre|post)-(create|update|delete)$/.test(name);

/** The hook that a stack's environment sets on the resource for that moment of that action, if it does. */
export function hookOn(node: StackNode, name: string, when: 'pre' | 'post', action: string): string | null {
  const hook = `${when}-${action.toLowerCase()}`;
  return breakpoints(node.analysis.environment.registry, name, 'hooks').has(hook) ? hook : null;
}

/** Where the resource stands still now. */
export function pausedAt(live: Live, cleared: readonly Cleared[]): string | null {
  const { hook } = live.state;
  if (!hook) return null;
  return cleared.some((one) => one.hook === hook.name && one.id > hook.after) ? null : hook.name;
}

/** A hook that was cleared, by the number of the signal that did. */
export interface Cleared {
  readonly id: number;
  readonly hook: string;
}

/** @returns true while it stands at the hook */
export async function standsAt(
  crew: Crew,
  node: StackNode,
  live: Live,
  when: 'pre' | 'post',
  action: string,
): Promise<boolean> {
  const name = hookOn(node, live.row.name, when, action);
  if (!name) return false;
  const cleared = crew.session.cleared.get(live.row.id) ?? [];
  const { generation } = node.row;
  const { hook } = live.state;
  if (hook?.name === name && hook.generation === generation) {
    if (pausedAt(live, cleared) === null) return false;
  } else {
    live.state.hook = { name, generation, after: crew.session.lastSignal };
    const event = stateEvent(node, live);
    await crew.session.write({
      rows: [live],
      events: [{ ...event, data: { ...event.data, reason: `${action} paused until Hook ${name} is cleared` } }],
      named: { stack: node.row.name, resource: live.row.name, transition: `HOOK_${name}` },
    });
  }
  await note(crew, node, live, {
    on: `the hook ${name} to be cleared`,
    remedy: `\`openstack stack hook clear ${node.row.name} ${live.row.name} --${name}\` lets it go on.`,
  });
  return true;
}
