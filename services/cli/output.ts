/** What a command prints: a table for people, JSON for programs, nothing else on standard output. */
import { stripVTControlCharacters, styleText } from 'node:util';

export interface Output {
  readonly json: boolean;
  /** A live terminal: colours and redrawn trees. */
  readonly live: boolean;
  /** With --json: `value`; else the lines of `text`. */
  result(value: unknown, text: () => string | readonly string[]): void;
  /** To standard error, so that standard output stays the result. With --json: one JSON object a line. */
  progress(line: string, fields?: Record<string, unknown>): void;
}

export function createOutput(json: boolean): Output {
  return {
    json,
    live: !json && process.stdout.isTTY === true && process.env.TERM !== 'dumb',
    result(value, text) {
      if (json) return void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
      const lines = text();
      process.stdout.write(`${typeof lines === 'string' ? lines : lines.join('\n')}\n`);
    },
    progress(line, fields) {
      process.stderr.write(
        `${json ? JSON.stringify({ at: new Date().toISOString(), message: line, ...fields }) : line}\n`,
      );
    },
  };
}

/** Columns as wide as their content; the header is dim on a terminal. */
export function table(
  header: readonly string[],
  rows: readonly (readonly (string | number | null | undefined)[])[],
): string[] {
  const cells = [header, ...rows].map((row) =>
    row.map((cell) => (cell === null || cell === undefined ? '-' : String(cell))),
  );
  const widths = header.map((_, column) =>
    Math.max(...cells.map((row) => stripVTControlCharacters(row[column] ?? '').length)),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - stripVTControlCharacters(cell).length))
      .join('  ')
      .trimEnd();
  const [head, ...body] = cells.map(line);
  return [styleText('dim', head ?? ''), ...body];
}

/** `12.3 s`, `4 min 5 s`, `2 h 3 min`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, n)) / 3));
  return `${(n / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
