/** Bounds how many pieces of work hold memory at one time. */
export interface Gate {
  /** Undefined: there was room, and the caller is in. */
  enter(): Promise<void> | undefined;
  leave(): void;
}

export function createGate(places: number): Gate {
  let free = places;
  const waiting: (() => void)[] = [];
  return {
    enter() {
      if (free === 0) return new Promise<void>((resolve) => waiting.push(resolve));
      free--;
      return undefined;
    },
    leave() {
      const next = waiting.shift();
      if (next) next();
      else free++;
    },
  };
}
