import { SyntaxFault } from './position.ts';
import { isBlank, isBreak, isGap, type Token, token } from './tokens.ts';

/** What the scalar rules need of the scanner: where it stands, and what surrounds it. */
export interface Cursor {
  readonly source: string;
  at: number;
  line: number;
  column: number;
  readonly flowLevel: number;
  readonly indent: number;
  keyAllowed: boolean;
  code(ahead?: number): number;
  forward(count?: number): void;
}

/** Moves over one line break and returns how it reads: CR, LF, CRLF and NEL as "\n", the Unicode separators as they are. */
export function skipBreak(cursor: Cursor): string {
  const c = cursor.code();
  cursor.at += c === 13 && cursor.code(1) === 10 ? 2 : 1;
  cursor.line++;
  cursor.column = 0;
  return c === 0x2028 || c === 0x2029 ? String.fromCharCode(c) : '\n';
}

function atDocumentMark(cursor: Cursor): boolean {
  if (cursor.column !== 0) return false;
  const three = cursor.source.substr(cursor.at, 3);
  return (three === '---' || three === '...') && isGap(cursor.code(3));
}

/** Folds line breaks: one becomes a space, each further one is kept. */
function folded(first: string, rest: string): string {
  if (first !== '\n') return first + rest;
  return rest === '' ? ' ' : rest;
}

/** A plain scalar, which may run over lines that are indented deeper than its parent. */
export function plainScalar(cursor: Cursor): Token {
  const start = cursor.at;
  const { source, flowLevel } = cursor;
  const indent = cursor.indent + 1;
  let text = '';
  let gap = '';
  let leading = false;
  for (;;) {
    if (atDocumentMark(cursor) || cursor.code() === 35) break;
    const from = cursor.at;
    let at = from;
    for (;;) {
      const c = source.charCodeAt(at);
      if (isGap(c)) break;
      if (c === 58) {
        const after = source.charCodeAt(at + 1);
        if (isGap(after) || (flowLevel > 0 && isFlowMark(after))) break;
      } else if (flowLevel > 0 && isFlowMark(c)) break;
      at++;
    }
    if (at === from) break;
    cursor.keyAllowed = false;
    text += gap + source.slice(from, at);
    cursor.forward(at - from);
    gap = '';
    leading = false;
    let first = '';
    let rest = '';
    for (let c = cursor.code(); isBlank(c) || isBreak(c); c = cursor.code()) {
      if (isBlank(c)) {
        if (leading && cursor.column < indent && c === 9) {
          throw new SyntaxFault('found a tab character that violates indentation', cursor.at);
        }
        if (!leading) gap += source[cursor.at];
        cursor.forward();
      } else if (leading) {
        rest += skipBreak(cursor);
      } else {
        gap = '';
        first = skipBreak(cursor);
        leading = true;
      }
    }
    if (leading) gap = folded(first, rest);
    if (flowLevel === 0 && cursor.column < indent) break;
    if (Number.isNaN(cursor.code())) break;
  }
  if (leading) cursor.keyAllowed = true;
  return token('scalar', start, text, true);
}

// , [ ] { }
function isFlowMark(c: number): boolean {
  return c === 44 || c === 91 || c === 93 || c === 123 || c === 125;
}

const ESCAPES: Record<string, string> = {
  '0': '\0',
  a: '\x07',
  b: '\b',
  t: '\t',
  '\t': '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\x1b',
  ' ': ' ',
  '"': '"',
  '\\': '\\',
  '/': '/',
  N: '\x85',
  _: '\xa0',
  L: '\u2028',
  P: '\u2029',
};
const HEX_LENGTH: Record<string, number> = { x: 2, u: 4, U: 8 };

/** A scalar in single or double quotes. */
export function quotedScalar(cursor: Cursor): Token {
  const start = cursor.at;
  const { source } = cursor;
  const quote = cursor.code();
  const double = quote === 34;
  let text = '';
  cursor.forward();
  for (;;) {
    if (atDocumentMark(cursor))
      throw new SyntaxFault('found unexpected document indicator in a quoted text', cursor.at);
    // Characters that mean themselves.
    let at = cursor.at;
    for (;;) {
      const c = source.charCodeAt(at);
      if (isGap(c) || c === quote || (double && c === 92)) break;
      at++;
    }
    text += source.slice(cursor.at, at);
    cursor.forward(at - cursor.at);
    const c = cursor.code();
    if (Number.isNaN(c)) throw new SyntaxFault('found unexpected end of stream in a quoted text', start);
    if (c === quote) {
      cursor.forward();
      if (double || cursor.code() !== 39) break;
      text += "'";
      cursor.forward();
    } else if (c === 92) {
      text += escaped(cursor);
    } else {
      text += spaces(cursor);
    }
  }
  return token('scalar', start, text);
}

function escaped(cursor: Cursor): string {
  cursor.forward();
  const c = cursor.source[cursor.at] ?? '';
  const simple = ESCAPES[c];
  if (simple !== undefined) {
    cursor.forward();
    return simple;
  }
  const length = HEX_LENGTH[c];
  if (length !== undefined) {
    const digits = cursor.source.substr(cursor.at + 1, length);
    const code = /^[0-9A-Fa-f]+$/.test(digits) && digits.length === length ? Number.parseInt(digits, 16) : -1;
    if (code < 0 || code > 0x10ffff) throw new SyntaxFault('did not find expected hexadecimal number', cursor.at);
    cursor.forward(length + 1);
    return String.fromCodePoint(code);
  }
  if (!isBreak(cursor.code())) throw new SyntaxFault('found unknown escape character', cursor.at);
  skipBreak(cursor);
  let breaks = '';
  for (let code = cursor.code(); isBlank(code) || isBreak(code); code = cursor.code()) {
    if (isBlank(code)) cursor.forward();
    else breaks += skipBreak(cursor);
  }
  return breaks;
}

/** Blanks inside quotes: kept within a line, folded around line breaks. */
function spaces(cursor: Cursor): string {
  let blanks = '';
  while (isBlank(cursor.code())) {
    blanks += cursor.source[cursor.at];
    cursor.forward();
  }
  if (!isBreak(cursor.code())) return blanks;
  const first = skipBreak(cursor);
  let rest = '';
  for (let c = cursor.code(); isBlank(c) || isBreak(c); c = cursor.code()) {
    if (atDocumentMark(cursor)) break;
    if (isBlank(c)) cursor.forward();
    else rest += skipBreak(cursor);
  }
  return folded(first, rest);
}

/** A literal (|) or folded (>) block scalar with its indentation and chomping indicators. */
export function blockScalar(cursor: Cursor, fold: boolean): Token {
  const start = cursor.at;
  const { source } = cursor;
  HEADER.lastIndex = cursor.at + 1;
  const header = HEADER.exec(source);
  if (!header) throw new SyntaxFault('did not find expected chomping or indentation indicators or a line break', start);
  const chomp = header[1] ?? header[4] ?? '';
  const increment = Number(header[2] ?? header[3] ?? 0);
  cursor.forward(header[0].length + 1);
  if (isBreak(cursor.code())) skipBreak(cursor);
  const floor = Math.max(cursor.indent, 0);
  let indent = increment > 0 ? floor + increment : 0;
  let breaks = '';
  // Finds the indentation where the header does not give it: the first line's that is not empty, at least the parent's.
  const leadingBreaks = (): void => {
    let deepest = 0;
    breaks = '';
    for (;;) {
      while ((indent === 0 || cursor.column < indent) && cursor.code() === 32) cursor.forward();
      if (cursor.column > deepest) deepest = cursor.column;
      if ((indent === 0 || cursor.column < indent) && cursor.code() === 9) {
        throw new SyntaxFault('found a tab character where an indentation space is expected', cursor.at);
      }
      if (!isBreak(cursor.code())) break;
      breaks += skipBreak(cursor);
    }
    if (indent === 0) indent = Math.max(deepest, cursor.indent + 1, 1);
  };
  leadingBreaks();
  let text = '';
  let pending = '';
  let blankBefore = false;
  while (cursor.column === indent && !Number.isNaN(cursor.code())) {
    const blank = isBlank(cursor.code());
    if (fold && pending === '\n' && !blankBefore && !blank) text += breaks === '' ? ' ' : '';
    else text += pending;
    text += breaks;
    blankBefore = blank;
    let at = cursor.at;
    while (at < source.length && !isBreak(source.charCodeAt(at))) at++;
    text += source.slice(cursor.at, at);
    cursor.forward(at - cursor.at);
    pending = isBreak(cursor.code()) ? skipBreak(cursor) : '';
    leadingBreaks();
  }
  if (chomp !== '-') text += pending;
  if (chomp === '+') text += breaks;
  return token('scalar', start, text);
}

// Chomping and indentation in either order, blanks, and a comment.
const HEADER =
  /(?:([-+])([1-9])?|([1-9])([-+])?)?[ \t]*(?:(?<=[ \t])#[^\n\r\x85\u2028\u2029]*)?(?=$|[\n\r\x85\u2028\u2029])/y;
