/**
 * What must hold for every operation, whatever it does. A service calls `operationConformance` from its test with a way
 * to build its world; the checks are: it succeeds; every step may be run twice; a failure at each step unwinds and leaves
 * nothing behind; a process killed before, within and after each step is taken up by the next one and ends the same.
 */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createWorld, dropDatabase, freshDatabaseUrl, type World } from '../../../test/setup/world.ts';
import type { Json, Operation, Step } from './definition.ts';
import { Killed, type Moment, type OperationRow, type Operations } from './index.ts';

export interface Stage {
  /** Starts the operation on a fresh subject and returns its id. */
  start(): Promise<string>;
  /** What the world looks like from outside, without times and ids: compared between disturbed and undisturbed runs. */
  observe(): Promise<unknown>;
}

export interface Subject<Params> {
  readonly operation: Operation<Params>;
  /** Registers `operation` (perhaps wrapped by the checks) and prepares what it works on. Called again on the same
   *  database for each life of the process; `life` is 1 for the first. Outside things (a simulated agent, a fake BMC)
   *  must live in `outside`, which survives the lives. */
  stage(world: World, operation: Operation<Params>, outside: Map<string, unknown>, life: number): Promise<Stage>;
}

interface Disturbance<Params> {
  wrap?: (step: Step<Params>) => Step<Params>;
  probe?: (moment: Moment) => void;
}

interface Played {
  row: OperationRow;
  seen: unknown;
  lives: number;
}

export function operationConformance<Params extends Json>(subject: Subject<Params>): void {
  const { operation } = subject;

  async function play(disturbance: Disturbance<Params>): Promise<Played> {
    const databaseUrl = await freshDatabaseUrl();
    try {
      return await playIn(databaseUrl, disturbance);
    } finally {
      await dropDatabase(databaseUrl);
    }
  }

  async function playIn(databaseUrl: string, options: Disturbance<Params>): Promise<Played> {
    const outside = new Map<string, unknown>();
    const played = options.wrap ? { ...operation, steps: operation.steps.map(options.wrap) } : operation;
    let id: string | null = null;
    for (let life = 1; ; life += 1) {
      let die: () => void = () => {};
      const death = new Promise<'dead'>((resolve) => {
        die = () => resolve('dead');
      });
      const probe = (moment: Moment) => {
        if (life > 1) return;
        try {
          options.probe?.(moment);
        } catch (error) {
          if (error instanceof Killed) die();
          throw error;
        }
      };
      const world = await createWorld({ databaseUrl, owner: 'conformance', probe, keep: true });
      try {
        const stage = await subject.stage(world, played, outside, life);
        await world.operations.run({ sole: true });
        id ??= await stage.start();
        const end = await Promise.race([world.operations.ended(id), death]);
        if (end === 'dead') continue;
        return { row: end, seen: await stage.observe(), lives: life };
      } finally {
        await world.close();
      }
    }
  }

  /** The undisturbed run that the others are compared with: played once. */
  let undisturbed: ReturnType<typeof play> | null = null;
  const calmly = () => {
    undisturbed ??= play({});
    return undisturbed;
  };

  describe(`${operation.kind}: what holds for every operation`, () => {
    it('succeeds undisturbed', async () => {
      const { row } = await calmly();
      expect(row.error).toBeNull();
      expect(row.state).toBe('succeeded');
    });

    it('runs each step twice and ends the same', async () => {
      const calm = await calmly();
      const twice = await play({
        wrap: (step) => ({
          ...step,
          async do(run) {
            await step.do(run);
            return step.do(run);
          },
        }),
      });
      expect(twice.row.error).toBeNull();
      expect(twice.seen).toEqual(calm.seen);
    });

    for (const step of operation.steps) {
      it(`fails at “${step.name}” and says so, with everything before it taken back`, async () => {
        const mark = `broken on purpose ${randomUUID()}`;
        const { row } = await play({
          wrap: (one) =>
            one.name !== step.name
              ? one
              : {
                  ...one,
                  when: () => true,
                  retry: { times: 0, delayMs: 0 },
                  do: () => Promise.reject(new Error(mark)),
                },
        });
        expect(row.state).toBe('failed');
        expect(row.error?.sentence).toContain(mark);
      });

      for (const at of ['before-do', 'after-do', 'after-commit'] as const) {
        it(`is killed ${at} “${step.name}” and ends as if nothing had happened`, async () => {
          const calm = await calmly();
          let killed = false;
          const disturbed = await play({
            probe(moment) {
              if (killed || moment.step !== step.name || moment.at !== at) return;
              killed = true;
              throw new Killed();
            },
          });
          expect(disturbed.row.error).toBeNull();
          expect(disturbed.row.state).toBe('succeeded');
          expect(disturbed.seen).toEqual(calm.seen);
        });
      }
    }
  });
}

export type { Operations };
