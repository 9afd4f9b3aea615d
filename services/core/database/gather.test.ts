import { expect, it } from 'vitest';
import { createGather } from './gather.ts';

it('asks once for all that came while it was asking, and for each key once', async () => {
  const asked: string[][] = [];
  let go = (): void => {};
  const gather = createGather(async (keys) => {
    asked.push([...keys]);
    await new Promise<void>((resolve) => {
      go = resolve;
    });
    return new Map(keys.filter((key) => key !== 'none').map((key) => [key, `value of ${key}`]));
  });
  const first = gather('a');
  await new Promise((resolve) => setImmediate(resolve));
  const rest = Promise.all(['b', 'none', 'b'].map(gather));
  go();
  expect(await first).toBe('value of a');
  await new Promise((resolve) => setImmediate(resolve));
  go();
  expect(await rest).toEqual(['value of b', undefined, 'value of b']);
  expect(asked).toEqual([['a'], ['b', 'none']]);
});
