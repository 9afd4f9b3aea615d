/**
 * `npm run -s conformance -- NAME`: holds what we make against what the field's own tool makes, case by case. Each matrix brings its peer from Debian. Exit code 1 when a case fails.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** One matrix: `test/conformance/NAME/matrix.ts` exports `matrix`. */
export interface CaseResult {
  name: string;
  passed: boolean;
  /** Why the case could not be tried here; it counts neither way. */
  leftOut?: string;
  /** What was seen, as lines. */
  details: string[];
}
export type Matrix = (only: readonly string[], report: (result: CaseResult) => void) => Promise<void>;

const names = readdirSync(import.meta.dirname)
  .filter((file) => existsSync(join(import.meta.dirname, file, 'matrix.ts')))
  .sort();

async function run(): Promise<void> {
  const [name, ...only] = process.argv.slice(2);
  if (!name || !names.includes(name)) {
    console.error(`npm run -s conformance -- NAME [CASE ...], where NAME is one of: ${names.join(', ')}`);
    process.exitCode = 2;
    return;
  }
  const { matrix } = (await import(`./${name}/matrix.ts`)) as { matrix: Matrix };
  let passed = 0;
  let total = 0;
  await matrix(only, (result) => {
    if (result.leftOut !== undefined) {
      console.log(`--   ${result.name}: ${result.leftOut}`);
      return;
    }
    total += 1;
    if (result.passed) passed += 1;
    console.log(`${result.passed ? 'ok  ' : 'FAIL'} ${result.name}`);
    for (const line of result.details) console.log(`       ${line}`);
  });
  console.log(`${passed} of ${total} cases hold`);
  if (passed < total || total === 0) process.exitCode = 1;
}

await run();
