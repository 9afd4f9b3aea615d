/** The supervisor as a process; it loads as little as it can, for all else waits for it. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { supervise } from './supervisor.ts';

const { values } = parseArgs({ options: { state: { type: 'string' } } });
try {
  if (!values.state) throw new Error('--state is missing');
  await supervise(resolve(values.state));
  process.exit(0);
} catch (error) {
  process.stderr.write(`${new Date().toISOString()} ${(error as Error).message}\n`);
  process.exit(1);
}
