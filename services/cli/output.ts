/**
 * What a command prints. Standard output is the result and nothing else: a table for people, JSON for programs. How things
 * go is on standard error: a block that is redrawn on a terminal, a line for each change when piped, JSON lines with --json.
 */
import { stripVTControlCharacters, styleText } from 'node:util';

export interface Output {
  readonly json: boolean;
  /** Standard error is a terminal: progress is redrawn in place. */
  readonly live: boolean;
  /** Characters of a line of the block. */
  readonly width: number;
  /** With --json: `value`; else the lines of `text`. */
  result(value: unknown, text: () => string | readonly string[]): void;
  /** One line of progress, above the block when there is one. With --json: one JSON object a line. */
  progress(line: string, fields?: Record<string, unknown>): void;
  /** Replaces the block at the terminal's end; does nothing unless live. */
  draw(lines: readonly string[]): void;
  /** Leaves the block as it stands; the next one begins below it. */
  settle(): void;
}

export interface OutputStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
}

export interface OutputStreams {
  stdout: OutputStream;
  stderr: OutputStream;
}

const eraseBelow = '\x1b[J';
const up = (lines: number): string => (lines > 0 ? `\x1b[${lines}A` : '');

export function createOutput(
  json: boolean,
  streams: OutputStreams = process,
  terminal: string | undefined = process.env.TERM,
): Output {
  const { stdout, stderr } = streams;
  const live = !json && stderr.isTTY === true && terminal !== 'dumb';
  let block: readonly string[] = [];
  const erase = (): string => (block.length > 0 ? `\r${up(block.length)}${eraseBelow}` : '');
  const shown = (): string => block.map((line) => `${line}\n`).join('');
  return {
    json,
    live,
    get width() {
      return (stderr.columns ?? 80) - 1;
    },
    result(value, text) {
      if (json) return void stdout.write(`${JSON.stringify(value, null, 2)}\n`);
      const lines = text();
      stdout.write(`${typeof lines === 'string' ? lines : lines.join('\n')}\n`);
    },
    progress(line, fields) {
      if (json) stderr.write(`${JSON.stringify({ at: new Date().toISOString(), message: line, ...fields })}\n`);
      else stderr.write(`${erase()}${line}\n${shown()}`);
    },
    draw(lines) {
      if (!live) return;
      const before = erase();
      block = fitted(lines, stderr.columns ?? 80, stderr.rows ?? 24);
      stderr.write(before + shown());
    },
    settle() {
      block = [];
    },
  };
}

/** A block taller or wider than the terminal cannot be redrawn: what scrolled away is out of reach. */
function fitted(lines: readonly string[], columns: number, rows: number): string[] {
  const room = Math.max(1, rows - 1);
  const kept = lines.length <= room ? lines : [...lines.slice(0, room - 1), `… ${lines.length - room + 1} more`];
  return kept.map((line) => clip(line, columns - 1));
}

/** Cut to the width that is seen; the escape sequences of what is cut are dropped with it. */
export function clip(line: string, width: number): string {
  if (stripVTControlCharacters(line).length <= width) return line;
  let seen = 0;
  let kept = '';
  for (const piece of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (piece.startsWith('\x1b')) {
      kept += piece;
      continue;
    }
    kept += piece.slice(0, Math.max(0, width - 1 - seen));
    seen += piece.length;
    if (seen >= width - 1) break;
  }
  return `${kept}…${kept.includes('\x1b') ? '\x1b[0m' : ''}`;
}

/** Columns as wide as their content; the header is dim on a terminal. */
export function table(
  header: readonly string[],
  rows: readonly (readonly (string | number | null | undefined)[])[],
): string[] {
  const cells = [
    header,
    ...rows.map((row) => row.map((cell) => (cell === null || cell === undefined || cell === '' ? '-' : String(cell)))),
  ];
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

/** `name   value`, one a line; what is null is left out. */
export function fields(
  pairs: readonly (readonly [name: string, value: string | number | null | undefined])[],
): string[] {
  const given = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '');
  const width = Math.max(0, ...given.map(([name]) => name.length));
  return given.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

/** `12 s`, `4 min 5 s`, `2 h 3 min`. */
export function duration(ms: number): string {
  const tenths = Math.max(0, ms) / 1000;
  if (tenths < 9.95) return `${tenths.toFixed(1)} s`;
  const seconds = Math.round(tenths);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, n)) / 3));
  return `${(n / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
