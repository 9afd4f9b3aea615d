/**
 * The operator's terminal while a console is open: raw, so that every key goes to the machine, and put back as it was however the
 * command ends. What the machine did to it (colours, mouse reports, another screen) is undone too.
 */
import type { Readable, Writable } from 'node:stream';

export interface TerminalStreams {
  input: Readable & { isTTY?: boolean; setRawMode?: (on: boolean) => unknown };
  output: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  notes: Writable & { isTTY?: boolean };
}

export interface ConsoleTerminal {
  readonly raw: boolean;
  readonly size: { columns: number; rows: number } | null;
  show(bytes: Buffer): void;
  /** A line of ours among the machine's. */
  note(text: string): void;
  onInput(heard: (chunk: Buffer) => void, ended: () => void): void;
  onResize(heard: () => void): void;
  restore(): void;
}

/** Attributes, cursor, wrapping, cursor keys, keypad, mouse reports, bracketed paste, character set: as after a reset. */
const plain =
  '\x1b[0m\x1b[?25h\x1b[?7h\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b(B\x0f\x1b[r';
const otherScreen = /\x1b\[\?(?:1049|1047|47)h/;

export function consoleTerminal(
  streams: TerminalStreams = { input: process.stdin, output: process.stdout, notes: process.stderr },
): ConsoleTerminal {
  const { input, output, notes } = streams;
  const raw = input.isTTY === true && input.setRawMode !== undefined;
  let restored = false;
  let column = 0;
  let otherScreenUsed = false;
  let shownAny = false;
  const leaving: (() => void)[] = [];

  const restore = () => {
    if (restored) return;
    restored = true;
    for (const leave of leaving) leave();
    if (raw) input.setRawMode?.(false);
    input.pause();
    if (output.isTTY && shownAny) output.write(`${otherScreenUsed ? '\x1b[?1049l' : ''}${plain}\r\n`);
  };
  // Also where the process is ended by something that nobody expected.
  process.on('exit', restore);
  leaving.push(() => process.off('exit', restore));
  if (raw) input.setRawMode?.(true);

  return {
    raw,
    get size() {
      const { columns, rows } = output;
      return output.isTTY && columns && rows ? { columns, rows } : null;
    },
    show(bytes) {
      shownAny = true;
      if (bytes.includes('\x1b[?') && otherScreen.test(bytes.toString('latin1'))) otherScreenUsed = true;
      const last = bytes.lastIndexOf(0x0a);
      column = last < 0 ? column + bytes.length : bytes.length - last - 1;
      output.write(bytes);
    },
    note(text) {
      const end = raw ? '\r\n' : '\n';
      const begin = column > 0 ? end : '';
      column = 0;
      notes.write(`${begin}${notes.isTTY ? '\x1b[0;2m' : ''}[${text}]${notes.isTTY ? '\x1b[0m' : ''}${end}`);
    },
    onInput(heard, ended) {
      const take = (chunk: Buffer | string) => heard(Buffer.from(chunk));
      input.on('data', take);
      input.once('end', ended);
      leaving.push(() => {
        input.off('data', take);
        input.off('end', ended);
      });
    },
    onResize(heard) {
      output.on('resize', heard);
      leaving.push(() => output.off('resize', heard));
    },
    restore,
  };
}
