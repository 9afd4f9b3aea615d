import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createBoard, type Row } from './board.ts';
import { bytes, clip, createOutput, duration, fields, table } from './output.ts';

function streams(tty: boolean) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written[name] += text;
    },
    isTTY: tty,
    columns: 40,
    rows: 6,
  });
  return { written, streams: { stdout: stream('stdout'), stderr: stream('stderr') } };
}

/** What a terminal shows after the text: cursor up and erase below are all that is used. */
function screen(text: string): string[] {
  const lines: string[] = [''];
  for (const piece of text.split(/(\x1b\[\d*[AJ]|\r|\n)/)) {
    if (piece === '\n') lines.push('');
    else if (piece === '\r') lines[lines.length - 1] = '';
    else if (piece.endsWith('A') && piece.startsWith('\x1b[')) {
      const up = Number(piece.slice(2, -1));
      lines.splice(lines.length - up, up);
      lines[lines.length - 1] = '';
    } else if (piece !== '\x1b[J') lines[lines.length - 1] += stripVTControlCharacters(piece);
  }
  return lines;
}

const row = (name: string, state: Row['state'], text = '', clock = ''): Row => ({
  key: name,
  name,
  state,
  text,
  clock,
});

describe('the output', () => {
  it('keeps standard output for the result', () => {
    const { written, streams: to } = streams(false);
    const output = createOutput(false, to);
    output.progress('working');
    output.draw(['not a terminal']);
    output.result({ a: 1 }, () => ['one', 'two']);
    expect(written).toEqual({ stdout: 'one\ntwo\n', stderr: 'working\n' });
  });

  it('is JSON on both sides with --json', () => {
    const { written, streams: to } = streams(true);
    const output = createOutput(true, to, 'xterm');
    output.progress('working', { step: 'x' });
    output.result({ a: 1 }, () => 'no');
    expect(JSON.parse(written.stderr)).toMatchObject({ message: 'working', step: 'x' });
    expect(JSON.parse(written.stdout)).toEqual({ a: 1 });
    expect(output.live).toBe(false);
  });

  it('redraws a block in place, with lines of progress above it', () => {
    const { written, streams: to } = streams(true);
    const output = createOutput(false, to, 'xterm');
    output.draw(['a', 'b']);
    output.progress('note');
    output.draw(['a2', 'b', 'c']);
    output.draw(['a3']);
    expect(screen(written.stderr)).toEqual(['note', 'a3', '']);
    output.settle();
    output.draw(['next']);
    expect(screen(written.stderr)).toEqual(['note', 'a3', 'next', '']);
  });

  it('never draws more than the terminal shows', () => {
    const { written, streams: to } = streams(true);
    createOutput(false, to, 'xterm').draw(Array.from({ length: 20 }, (_, n) => `${n} ${'x'.repeat(80)}`));
    const lines = screen(written.stderr);
    expect(lines).toHaveLength(6);
    expect(lines[4]).toBe('… 16 more');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(40);
  });

  it('does not redraw on a dumb terminal', () => {
    expect(createOutput(false, streams(true).streams, 'dumb').live).toBe(false);
  });

  it('cuts at what is seen and ends the colour', () => {
    const cut = clip('\x1b[31mabcdefgh\x1b[39m', 5);
    expect(stripVTControlCharacters(cut)).toBe('abcd…');
    expect(cut.endsWith('\x1b[0m')).toBe(true);
    expect(clip('short', 5)).toBe('short');
  });
});

describe('a board', () => {
  it('tells each change once when piped, and durations at the end alone', () => {
    const { written, streams: to } = streams(false);
    const board = createBoard(createOutput(false, to));
    board.show([row('a', 'running', 'waits for b', '1 s'), row('b', 'idle')]);
    board.show([row('a', 'running', 'waits for b', '2 s'), row('b', 'idle')]);
    board.show([row('a', 'done', 'made', '3 s'), row('b', 'failed', 'broken')]);
    board.end();
    expect(written.stderr.trim().split('\n')).toEqual(['… a: waits for b', '✔ a: made (3 s)', '✘ b: broken']);
  });

  it('shows clocks on a terminal and leaves the end standing', () => {
    const { written, streams: to } = streams(true);
    const board = createBoard(createOutput(false, to, 'xterm'));
    board.show([row('a', 'running', 'waits', '1 s')]);
    board.show([{ ...row('a', 'done', 'made\nin two lines', '2 s'), depth: 1 }]);
    board.end();
    expect(screen(written.stderr)).toEqual(['  ✔ a  made in two lines (2 s)', '']);
  });

  it('keeps the clock in sight behind a long sentence', () => {
    const { written, streams: to } = streams(true);
    createBoard(createOutput(false, to, 'xterm')).show([row('a', 'running', 'waits for '.repeat(9), '17 s')]);
    expect(screen(written.stderr)[0]).toMatch(/^. a {2}waits for .*… \(17 s\)$/);
    expect(screen(written.stderr)[0]?.length).toBeLessThan(40);
  });

  it('gives rows as JSON lines with their fields', () => {
    const { written, streams: to } = streams(false);
    createBoard(createOutput(true, to)).show([{ ...row('a', 'running', 'waits'), path: 'g.a', fields: { type: 'T' } }]);
    expect(JSON.parse(written.stderr)).toMatchObject({
      name: 'g.a',
      state: 'running',
      type: 'T',
      message: '… g.a: waits',
    });
  });
});

describe('words', () => {
  it('lays out tables and fields', () => {
    expect(
      table(
        ['a', 'name'],
        [
          [1, 'x'],
          ['long', null],
        ],
      ).map(stripVTControlCharacters),
    ).toEqual(['a     name', '1     x', 'long  -']);
    expect(
      fields([
        ['a', 1],
        ['long', 'x'],
        ['none', null],
      ]),
    ).toEqual(['a     1', 'long  x']);
  });

  it.each([
    [0, '0.0 s'],
    [1_240, '1.2 s'],
    [9_960, '10 s'],
    [59_600, '1 min 0 s'],
    [119_700, '2 min 0 s'],
    [245_000, '4 min 5 s'],
    [7_380_000, '2 h 3 min'],
    [-5, '0.0 s'],
  ])('tells %d ms as %s', (ms, text) => expect(duration(ms)).toBe(text));

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_500, '1.5 kB'],
    [3_200_000_000, '3.2 GB'],
  ])('tells %d bytes as %s', (n, text) => expect(bytes(n)).toBe(text));
});
