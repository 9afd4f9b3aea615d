import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWorld, type World } from '../../../test/setup/world.ts';
import { createStatementNames } from './prepared.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld({ keep: true });
});
afterAll(() => world.close());

const prepared = async (): Promise<string[]> => {
  // On each connection of its own: they are asked all at once, so that none answers twice.
  const asked = Array.from({ length: 4 }, () =>
    sql<{ statement: string }>`select statement from pg_prepared_statements, pg_sleep(0.05)`.execute(world.db.kysely),
  );
  return (await Promise.all(asked)).flatMap(({ rows }) => rows.map(({ statement }) => statement));
};

describe('statements that come again', () => {
  it('are prepared, and answer as before with other values', async () => {
    for (let k = 0; k < 20; k += 1) {
      const { rows } = await sql<{ sum: number }>`select ${k}::int + 7 as sum`.execute(world.db.kysely);
      expect(rows).toEqual([{ sum: k + 7 }]);
    }
    expect(await prepared()).toContain('select $1::int + 7 as sum');
  });

  it('fail and go on as any other', async () => {
    const divide = (by: number) => sql<{ x: number }>`select 6 / ${by}::int as x`.execute(world.db.kysely);
    for (let k = 0; k < 20; k += 1) await expect(divide(0)).rejects.toThrow('division by zero');
    expect((await divide(3)).rows).toEqual([{ x: 2 }]);
  });
});

describe('the names of statements', () => {
  it('go to texts that come often, not to those of one occasion', () => {
    const names = createStatementNames();
    for (let k = 0; k < 5_000; k += 1) expect(names.of(`select ${k}`)).toBeUndefined();
    const given = Array.from({ length: 12 }, () => names.of('select often'));
    expect(new Set(given)).toEqual(new Set([undefined, 'uc0']));
    expect(names.of('select often')).toBe('uc0');
  });

  it('are bounded', () => {
    const names = createStatementNames();
    for (let k = 0; k < 300; k += 1) for (let use = 0; use < 12; use += 1) names.of(`select ${k}`);
    expect(names.of('select 0')).toBe('uc0');
    expect(names.of('select 299')).toBeUndefined();
  });
});
