import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { createWorld, type World } from '../../../test/setup/world.ts';
import { fault } from '../errors/index.ts';
import { operationConformance } from './conformance.ts';
import { defineOperation, done, type Operation, seconds, waitFor } from './definition.ts';

/** A toy: reserves a number, waits for somebody to say go, writes it down. */
const reserve = defineOperation<{ number: number }>({
  kind: 'toy.reserve',
  definition: 1,
  title: 'reserve a number',
  steps: [
    {
      name: 'reserve',
      title: 'reserve the number',
      deadlineMs: seconds(10),
      async do(run) {
        return done({ at: 1 }, async (tx) => {
          await sql`insert into toy (id, number, state) values (${run.subject.id}, ${run.params.number}, 'reserved')
            on conflict (id) do nothing`.execute(tx.kysely);
        });
      },
      async undo(run) {
        await run.transaction((tx) => sql`delete from toy where id = ${run.subject.id}`.execute(tx.kysely));
      },
    },
    {
      name: 'await-go',
      title: 'wait for the word',
      deadlineMs: seconds(10),
      async do(run) {
        const go = await run.transaction((tx) => sql<{ go: boolean }>`select go from word`.execute(tx.kysely));
        if (go.rows[0]?.go) return done();
        return waitFor({ on: 'somebody to say go', remedy: 'Say go.', recheckMs: 20 });
      },
      undo: { none: 'waiting changes nothing' },
    },
    {
      name: 'keep',
      title: 'keep it',
      deadlineMs: seconds(10),
      async do(run) {
        return done(null, async (tx) => {
          await sql`update toy set state = 'kept' where id = ${run.subject.id}`.execute(tx.kysely);
        });
      },
      undo: { none: 'it is the last step' },
    },
  ],
});

async function tables(world: World): Promise<void> {
  await sql`create table if not exists toy (id text primary key, number int, state text)`.execute(world.db.kysely);
  await sql`create table if not exists word (go boolean)`.execute(world.db.kysely);
}

const start = (world: World, operation: Operation<{ number: number }> = reserve) =>
  world.db.transaction((tx) =>
    world.operations.start(tx, operation, {
      subject: { type: 'toy', id: 'a' },
      params: { number: 7 },
      context: world.context,
    }),
  );

operationConformance({
  operation: reserve,
  async stage(world, operation, _outside, life) {
    await tables(world);
    if (life === 1) await sql`insert into word values (true)`.execute(world.db.kysely);
    world.operations.register(operation);
    return {
      start: () => start(world, operation),
      async observe() {
        return (await sql`select * from toy`.execute(world.db.kysely)).rows;
      },
    };
  },
});

describe('operations', () => {
  it('says what it waits on, and goes on when woken', async () => {
    const world = await createWorld();
    await tables(world);
    world.operations.register(reserve);
    await world.operations.run();
    const id = await start(world);
    await world.heard('operation.waiting');
    const activity = await world.operations.activity({ type: 'toy', id: 'a' });
    expect(activity?.waiting).toMatchObject({ on: 'somebody to say go', remedy: 'Say go.', usualSeconds: null });
    await sql`insert into word values (true)`.execute(world.db.kysely);
    world.operations.wake({ type: 'toy', id: 'a' });
    expect((await world.operations.ended(id)).state).toBe('succeeded');
    expect(await world.operations.activity({ type: 'toy', id: 'a' })).toBeNull();
    const kinds = (await world.recorder.timeline({ type: 'toy', id: 'a' })).map((event) => event.kind);
    expect(kinds).toEqual([
      'operation.started',
      'operation.step',
      'operation.waiting',
      'operation.step',
      'operation.step',
      'operation.succeeded',
    ]);
  });

  it('refuses a second operation on a busy subject in a sentence', async () => {
    const world = await createWorld();
    await tables(world);
    world.operations.register(reserve);
    await world.operations.run();
    await start(world);
    await world.heard('operation.waiting');
    await expect(start(world)).rejects.toThrow(
      /toy a is locked by the operation toy.reserve.*wait for the word.*somebody to say go/,
    );
  });

  it('ends at a deadline with the thing it waited for, and undoes', async () => {
    const world = await createWorld();
    await tables(world);
    const hasty = {
      ...reserve,
      steps: reserve.steps.map((s) => (s.name === 'await-go' ? { ...s, deadlineMs: 60 } : s)),
    };
    world.operations.register(hasty);
    await world.operations.run();
    const row = await world.operations.ended(await start(world, hasty));
    expect(row.state).toBe('failed');
    expect(row.error?.message).toMatch(
      /“wait for the word” did not end within 0 s; it was waiting for somebody to say go. Say go./,
    );
    expect((await sql`select * from toy`.execute(world.db.kysely)).rows).toEqual([]);
  });

  it('cancels a wait and undoes', async () => {
    const world = await createWorld();
    await tables(world);
    world.operations.register(reserve);
    await world.operations.run();
    const id = await start(world);
    await world.heard('operation.waiting');
    expect(await world.operations.cancel({ type: 'toy', id: 'a' }, 'the operator said so')).toBe(true);
    expect((await world.operations.ended(id)).error?.code).toBe('operation-cancelled');
    expect((await sql`select * from toy`.execute(world.db.kysely)).rows).toEqual([]);
  });

  it('retries what may be retried', async () => {
    const world = await createWorld();
    let tries = 0;
    const flaky = defineOperation<null>({
      kind: 'toy.flaky',
      definition: 1,
      title: 'flaky',
      steps: [
        {
          name: 'try',
          title: 'try',
          deadlineMs: seconds(10),
          retry: { times: 2, delayMs: 1 },
          async do() {
            tries += 1;
            if (tries < 3) throw fault('bad-request', { reason: 'not yet' });
            return done();
          },
          undo: { none: 'toy' },
        },
      ],
    });
    world.operations.register(flaky);
    await world.operations.run();
    const id = await world.db.transaction((tx) =>
      world.operations.start(tx, flaky, { subject: { type: 'toy', id: 'f' }, params: null, context: world.context }),
    );
    expect((await world.operations.ended(id)).state).toBe('succeeded');
    expect(tries).toBe(3);
  });

  it('lets a former holder commit nothing', async () => {
    const world = await createWorld();
    let stolen = false;
    const slow = defineOperation<null>({
      kind: 'toy.slow',
      definition: 1,
      title: 'slow',
      steps: [
        {
          name: 'work',
          title: 'work',
          deadlineMs: seconds(10),
          async do(run) {
            if (!stolen) {
              stolen = true;
              await sql`update core.leases set fence = fence + 1, owner = 'thief', expires_at = now() + interval '1 hour'`.execute(
                world.db.kysely,
              );
            }
            await expect(run.assertHeld(1000)).rejects.toThrow(/worked on by another process/);
            return done();
          },
          undo: { none: 'toy' },
        },
      ],
    });
    world.operations.register(slow);
    await world.operations.run();
    await world.db.transaction((tx) =>
      world.operations.start(tx, slow, { subject: { type: 'toy', id: 's' }, params: null, context: world.context }),
    );
    await world.operations.stop();
    const row = await world.operations.last({ type: 'toy', id: 's' });
    expect(row).toMatchObject({ state: 'running', step: 'work', results: {} });
  });
});
