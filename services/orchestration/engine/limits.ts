/**
 * How many calls of one kind run at once in this process. Each such call holds a database connection and may need a
 * second one, so that more of them than half the pool would wait for one another for ever.
 */
export interface Limit {
  run<T>(work: () => Promise<T>): Promise<T>;
}

export function createLimit(most: number): Limit {
  let running = 0;
  const waiting: (() => void)[] = [];
  return {
    async run(work) {
      if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
      else running += 1;
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next) next();
        else running -= 1;
      }
    },
  };
}
