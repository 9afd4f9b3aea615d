/**
 * Things in progress, one row each: redrawn in place on a terminal, a line for each change when piped, a JSON line for each
 * change with --json. A reader of either sees the same facts; only the clocks run on a terminal alone.
 */
import { styleText } from 'node:util';
import { clip, type Output } from './output.ts';

export type RowState = 'idle' | 'running' | 'done' | 'failed' | 'skipped';

export interface Row {
  /** Stays the same for as long as the thing lives. */
  readonly key: string;
  /** Indentation on a terminal. */
  readonly depth?: number;
  readonly name: string;
  /** The name in lines that stand alone: `group.0.server`. */
  readonly path?: string;
  readonly state: RowState;
  /** A new line is written when it changes. */
  readonly text: string;
  /** What always changes: durations, bytes. On a terminal always, in lines at the end. */
  readonly clock?: string;
  /** More for --json. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

export interface Board {
  show(rows: readonly Row[]): void;
  /** Leaves the last rows on the terminal. */
  end(): void;
}

const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const marks: Readonly<Record<Exclude<RowState, 'running'>, string>> = {
  idle: '·',
  done: '✔',
  failed: '✘',
  skipped: '-',
};
const colours = { idle: 'dim', running: 'cyan', done: 'green', failed: 'red', skipped: 'dim' } as const;

const paint = (format: 'dim' | 'cyan' | 'green' | 'red', text: string): string =>
  styleText(format, text, { validateStream: true, stream: process.stderr });

export function createBoard(output: Output): Board {
  const told = new Map<string, string>();
  let frame = 0;
  let last: readonly Row[] = [];
  const drawn = (row: Row): string => {
    const mark = row.state === 'running' ? (spinner[frame % spinner.length] ?? '') : marks[row.state];
    const head = `${'  '.repeat(row.depth ?? 0)}${paint(colours[row.state], mark)} ${row.name}`;
    // A sentence of several lines would break the block; a long one must not hide how long it takes.
    const text = row.text ? `  ${row.text.replace(/\s+/g, ' ')}` : '';
    const clock = row.clock ? ` (${row.clock})` : '';
    return clip(head + text, Math.max(20, output.width - clock.length)) + paint('dim', clock);
  };
  const tell = (row: Row): void => {
    const now = `${row.state}\n${row.text}`;
    if (told.get(row.key) === now) return;
    const known = told.has(row.key);
    told.set(row.key, now);
    // What has not begun and has nothing to say is no news.
    if (row.state === 'idle' && (!row.text || !known)) return;
    const mark = row.state === 'running' ? '…' : marks[row.state];
    const clock = row.clock && (row.state === 'done' || row.state === 'failed') ? ` (${row.clock})` : '';
    output.progress(`${mark} ${row.path ?? row.name}${row.text ? `: ${row.text}` : ''}${clock}`, {
      name: row.path ?? row.name,
      state: row.state,
      ...row.fields,
    });
  };
  return {
    show(rows) {
      frame += 1;
      last = rows;
      if (output.live) output.draw(rows.map(drawn));
      else for (const row of rows) tell(row);
    },
    end() {
      if (output.live) output.draw(last.map(drawn));
      output.settle();
    },
  };
}
