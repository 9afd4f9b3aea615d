/** SQL of what boots have taught: loaders that work, and how long steps take. */
import { sql } from 'kysely';
import type { Database } from '../../core/database/index.ts';

export interface OutcomeRow {
  readonly model: string;
  readonly asker: string;
  readonly rung: string;
  readonly successes: number;
  readonly failuresInARow: number;
  readonly lastAt: Date;
}

export async function readOutcomes(db: Database): Promise<OutcomeRow[]> {
  const { rows } = await sql<{
    model: string;
    asker: string;
    rung: string;
    successes: string | number;
    failures_in_a_row: number;
    last_at: Date;
  }>`select model, asker, rung, successes, failures_in_a_row, last_at from boot.outcomes`.execute(db.kysely);
  return rows.map((row) => ({
    model: row.model,
    asker: row.asker,
    rung: row.rung,
    successes: Number(row.successes),
    failuresInARow: row.failures_in_a_row,
    lastAt: row.last_at,
  }));
}

/** Counts one boot. A success ends the row of failures. */
export async function addOutcome(
  db: Database,
  { model, asker, rung }: { readonly model: string; readonly asker: string; readonly rung: string },
  worked: boolean,
): Promise<void> {
  await sql`
    insert into boot.outcomes (model, asker, rung, successes, failures_in_a_row)
    values (${model}, ${asker}, ${rung}, ${worked ? 1 : 0}, ${worked ? 0 : 1})
    on conflict (model, asker, rung) do update set
      successes = boot.outcomes.successes + ${worked ? 1 : 0},
      failures_in_a_row = case when ${worked} then 0 else boot.outcomes.failures_in_a_row + 1 end,
      last_at = clock_timestamp()`.execute(db.kysely);
}

export interface StepTimes {
  readonly model: string;
  readonly from: string;
  readonly to: string;
  /** ms, newest last. */
  readonly samples: readonly number[];
  readonly boots: number;
}

export async function readStepTimes(db: Database): Promise<StepTimes[]> {
  const { rows } = await sql<{
    model: string;
    from_step: string;
    to_step: string;
    samples: number[];
    boots: string | number;
  }>`select model, from_step, to_step, samples, boots from boot.step_times`.execute(db.kysely);
  return rows.map((row) => ({
    model: row.model,
    from: row.from_step,
    to: row.to_step,
    samples: row.samples,
    boots: Number(row.boots),
  }));
}

/** So many of the newest boots make the usual time. */
export const keptSamples = 21;

export async function addStepTime(
  db: Database,
  { model, from, to }: { readonly model: string; readonly from: string; readonly to: string },
  ms: number,
): Promise<void> {
  await sql`
    insert into boot.step_times (model, from_step, to_step, samples, boots)
    values (${model}, ${from}, ${to}, array[${ms}]::float8[], 1)
    on conflict (model, from_step, to_step) do update set
      samples = (boot.step_times.samples || ${ms}::float8)[
        greatest(1, cardinality(boot.step_times.samples) + 2 - ${keptSamples}::int):],
      boots = boot.step_times.boots + 1`.execute(db.kysely);
}
