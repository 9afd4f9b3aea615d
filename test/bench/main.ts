/**
 * `npm run -s bench -- NAME [--full]`: our figures beside the peer's, both taken in this run. Each bench installs the peers
 * that it needs from Debian; the rows on stdout are `name ours peer ratio` (test/bench/row.ts).
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Bench, rowLine } from './row.ts';

const names = readdirSync(import.meta.dirname)
  .filter((file) => existsSync(join(import.meta.dirname, file, 'bench.ts')))
  .sort();
const { values, positionals } = parseArgs({ allowPositionals: true, options: { full: { type: 'boolean' } } });
const [name] = positionals;
if (!name || !names.includes(name) || positionals.length > 1) {
  console.error(`npm run -s bench -- NAME [--full], where NAME is one of: ${names.join(', ')}`);
  process.exit(2);
}
const { bench } = (await import(`./${name}/bench.ts`)) as { bench: Bench };
await bench((row) => console.log(rowLine(row)), { full: values.full ?? false });
