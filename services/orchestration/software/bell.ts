/** Wakes who waits for news for a server: within this process a function call, and nothing is kept for who does not listen. */
export interface Ear {
  /** True when the bell rang since the last call, or rings within `ms`. */
  next(ms: number): Promise<boolean>;
  leave(): void;
}

export interface Bell {
  ring(serverId: string): void;
  listen(serverId: string): Ear;
  /** Ends every wait, and those to come: the listener is closing. */
  close(): void;
  readonly closed: boolean;
}

export function createBell(): Bell {
  const ears = new Map<string, Set<() => void>>();
  let closed = false;
  return {
    ring: (serverId) => {
      for (const wake of ears.get(serverId) ?? []) wake();
    },
    listen(serverId) {
      const here = ears.get(serverId) ?? new Set();
      ears.set(serverId, here);
      let rung = false;
      let end: (() => void) | null = null;
      const wake = () => {
        rung = true;
        end?.();
      };
      here.add(wake);
      return {
        async next(ms) {
          if (!rung && !closed)
            await new Promise<void>((done) => {
              const timer = setTimeout(done, ms);
              end = () => {
                clearTimeout(timer);
                done();
              };
            });
          end = null;
          const news = rung;
          rung = false;
          return news;
        },
        leave() {
          here.delete(wake);
          if (here.size === 0 && ears.get(serverId) === here) ears.delete(serverId);
          wake();
        },
      };
    },
    close() {
      closed = true;
      for (const all of [...ears.values()]) for (const wake of all) wake();
    },
    get closed() {
      return closed;
    },
  };
}
