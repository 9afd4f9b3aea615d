/**
 * The whole test run: packages, types, style, unit and protocol tests, then the lab. Prints each stage with its time and
 * ends with one line for all, `N passed, N failed`. Arguments go to vitest (`bootstrap/test --project unit services/dhcp`).
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ensurePackages } from './packages.ts';

const root = join(import.meta.dirname, '..');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);
const path = `${join(root, 'node_modules', '.bin')}:${process.env.PATH}`;

/** Runs a program with its output passed through; resolves with its exit code. */
function run(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, PATH: path },
    });
    child.once('error', () => resolve(127));
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

interface Count {
  passed: number;
  failed: number;
}

/** A check that is not made of tests counts as one. */
async function check(name: string, program: string, args: readonly string[]): Promise<Count> {
  console.log(`== ${name}`);
  const started = Date.now();
  const code = await run(program, args);
  console.log(`== ${name}: ${code === 0 ? 'well' : 'failed'} after ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 };
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { name: string; status: string; message: string; assertionResults: Assertion[] }[];
}

interface Assertion {
  fullName: string;
  status: string;
  failureMessages: string[];
}

/** What failed, said again where a reader of the output's end finds it: a long log is often cut at its beginning. */
const failures: string[] = [];

function remember(report: VitestReport): void {
  const firstLine = (text = '') => text.split('\n', 1)[0];
  for (const { name, status, message, assertionResults } of report.testResults) {
    const file = relative(root, name);
    if (status === 'failed' && assertionResults.length === 0) failures.push(`${file}: ${firstLine(message)}`);
    for (const { fullName, status: one, failureMessages } of assertionResults)
      if (one !== 'passed') failures.push(`${file}: ${fullName}: ${firstLine(failureMessages[0]) || one}`);
  }
}

/** A file that does not load has no tests to fail, and a skipped test is a promise that nobody checks: both count as failed. */
async function tests(name: string, args: readonly string[]): Promise<Count> {
  const dir = mkdtempSync(join(tmpdir(), 'uc-report-'));
  const report = join(dir, 'report.json');
  const started = Date.now();
  console.log(`== ${name}`);
  try {
    const code = await run(bin('node'), [
      join(root, 'node_modules', 'vitest', 'vitest.mjs'),
      'run',
      ...args,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ]);
    const result = JSON.parse(readFileSync(report, 'utf8')) as VitestReport;
    const empty = result.testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    ).length;
    remember(result);
    const failed = result.numFailedTests + result.numPendingTests + result.numTodoTests + empty;
    console.log(
      `== ${name}: ${result.numPassedTests} passed, ${failed} failed after ${((Date.now() - started) / 1000).toFixed(1)} s`,
    );
    return { passed: result.numPassedTests, failed: failed || (code === 0 ? 0 : 1) };
  } catch (error) {
    console.log(`== ${name}: no report: ${(error as Error).message}`);
    return { passed: 0, failed: 1 };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const chosen = process.argv.slice(2);
const counts: Count[] = [];
const installed = await ensurePackages(['undercloud', 'images', 'lab', 'tests'], () => {});
if (installed.length > 0) console.log(`== installed ${installed.length} packages: ${installed.join(' ')}`);
if (chosen.length > 0) counts.push(await tests('chosen tests', chosen));
else {
  counts.push(await check('types', bin('tsc'), ['-p', root]));
  counts.push(await check('style', bin('biome'), ['check', '--error-on-warnings']));
  counts.push(await tests('unit tests', ['--project', 'unit']));
  counts.push(await tests('lab tests', ['--project', 'lab']));
}
const passed = counts.reduce((sum, count) => sum + count.passed, 0);
const failed = counts.reduce((sum, count) => sum + count.failed, 0);
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
