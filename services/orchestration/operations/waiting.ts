/** What an operation says it waits for, of all that its resources wait for: the longest of them, and how many more. */
import type { Wait } from '../../core/operations/index.ts';
import type { Session } from '../engine/session.ts';

/** Where nothing tells of a change, look again this often. */
const lookEveryMs = 15_000;

export function waitingOutcome(waits: Session['waits']): Wait {
  const [longest] = [...waits].sort((a, b) => a.since - b.since);
  const rechecks = waits.map(({ wait }) => wait.recheckMs ?? lookEveryMs);
  const more = waits.length > 1 ? ` (and ${waits.length - 1} more)` : '';
  return {
    on: longest ? `${longest.path}: ${longest.wait.on}${more}` : 'its resources',
    remedy: longest?.wait.remedy ?? 'See `overcloud status`.',
    recheckMs: Math.max(1, Math.min(lookEveryMs, ...rechecks)),
  };
}
