/**
 * How the machine goes over into the written system: `reset`, through its firmware, or `kexec`, past it. A server asks for one
 * by the scheduler hint `hand_over`, a flavor by the extra spec `undercloud:hand_over`; the hint counts. Whether kexec can be
 * done is for image and node to say (baremetal's deploy): where they do not, the machine is reset.
 */
import { fault } from '../core/errors/index.ts';

export const handOverHint = 'hand_over';
export const handOverSpec = 'undercloud:hand_over';
const ways: Readonly<Record<string, boolean>> = { kexec: true, reset: false };

export interface HandOverAsked {
  readonly name: string;
  readonly hints: Readonly<Record<string, string>>;
  readonly specs: Readonly<Record<string, string>>;
}

/** True for kexec, false for reset, null where nobody says: then the node decides. @throws Fault `hand-over-unknown` */
export function asksForKexec({ name, hints, specs }: HandOverAsked): boolean | null {
  for (const [where, asked] of [
    [`hint ${handOverHint}`, hints[handOverHint]],
    [`flavor’s extra spec ${handOverSpec}`, specs[handOverSpec]],
  ] as const) {
    if (asked === undefined) continue;
    const way = ways[asked];
    if (way === undefined) throw fault('hand-over-unknown', { name, where, asked });
    return way;
  }
  return null;
}
