/** Several provisioning interfaces as one: what is watched and captured is so on each of them. */
import type { Watch } from './watch.ts';
import type { Wire } from './wire.ts';

export type Capturing = Pick<Wire, 'capture'>;
export type Watching = Pick<Watch, 'current' | 'hold'>;

/** Null where there is no wire to listen to. */
export function joinWires(wires: readonly Wire[]): Capturing | null {
  if (wires.length === 0) return null;
  return {
    capture(macs, listener) {
      const leaving: (() => void)[] = [];
      for (const wire of wires) {
        const leave = wire.capture(macs, listener);
        if (leave) {
          leaving.push(leave);
          continue;
        }
        for (const end of leaving) end();
        return null;
      }
      return () => {
        for (const end of leaving) end();
      };
    },
  };
}

export function joinWatches(watches: readonly Watch[]): Watching | null {
  if (watches.length === 0) return null;
  return {
    current: () => watches.flatMap((watch) => watch.current()),
    hold: () => watches.map((watch) => watch.hold()).find((wait) => wait !== null) ?? null,
  };
}
