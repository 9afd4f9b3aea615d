/** The tokens of a yaql expression. */
export type TokenKind = 'number' | 'string' | 'dollar' | 'function' | 'word' | 'constant' | 'operator' | 'mark' | 'end';

export interface Token {
  kind: TokenKind;
  text: string;
  /** The value of a number, string or constant. */
  value?: number | bigint | string | boolean | null;
  /** Whether a number was written with a dot. */
  fraction?: boolean;
  at: number;
}

/** A text that is no expression, and where it stops being one. */
export class YaqlSyntaxError extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.name = 'YaqlSyntaxError';
    this.at = at;
  }
}

const WORD_OPERATORS = new Set(['mod', 'in', 'not', 'and', 'or']);
const CONSTANTS: Record<string, boolean | null> = { true: true, false: false, null: null };

const SPACE = /[ \t\r\n]+/y;
const DOLLAR = /\$[\p{L}\p{N}_]*/uy;
const NUMBER = /\d+(\.?\d+)?(?![\p{L}\p{N}_])/uy;
const NAME = /(?!__)[\p{L}_][\p{L}\p{N}_]*/uy;
const STRING = /'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"|`(?:[^`\\]|\\[\s\S])*`/y;
const OPERATOR = /=>|\?\.|=~|!~|>=|<=|!=|->|[.+\-*/<>=]/y;
const MARK = /[()[\]{},]/y;

/** Cuts an expression into tokens; the last one is `end`. Throws YaqlSyntaxError. */
export function tokens(source: string): Token[] {
  const out: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  while (at < source.length) {
    const space = take(SPACE);
    if (space) {
      at += space.length;
      continue;
    }
    const token = next(source, at, take);
    if (!token) throw new YaqlSyntaxError(`Lexical error: illegal character '${source[at]}' at position ${at}`, at);
    out.push(token);
    at += token.text.length;
  }
  out.push({ kind: 'end', text: '', at });
  return out;
}

function next(source: string, at: number, take: (pattern: RegExp) => string | undefined): Token | undefined {
  let text = take(DOLLAR);
  if (text) return { kind: 'dollar', text, at };
  text = take(NUMBER);
  if (text) {
    const fraction = text.includes('.');
    const value = fraction || text.length < 16 ? Number(text) : BigInt(text);
    return { kind: 'number', text, value, fraction, at };
  }
  text = take(NAME);
  if (text) {
    // A name with its bracket is a function, whatever else the name means.
    if (source[at + text.length] === '(') return { kind: 'function', text: `${text}(`, at };
    if (WORD_OPERATORS.has(text)) return { kind: 'operator', text, at };
    if (Object.hasOwn(CONSTANTS, text)) return { kind: 'constant', text, value: CONSTANTS[text]!, at };
    return { kind: 'word', text, at };
  }
  text = take(STRING);
  if (text) return { kind: 'string', text, value: unquoted(text), at };
  text = take(OPERATOR);
  if (text) return { kind: 'operator', text, at };
  text = take(MARK);
  return text ? { kind: 'mark', text, at } : undefined;
}

const ESCAPES: Record<string, string> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
};
const ESCAPE = /\\(?:U([0-9a-fA-F]{8})|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-7]{1,3})|([\\'"abfnrtv]))/g;

function unquoted(text: string): string {
  const body = text.slice(1, -1);
  if (text.startsWith('`')) return body.replaceAll('\\`', '`');
  return body.replace(ESCAPE, (_all, long, short, byte, octal, simple) => {
    if (simple !== undefined) return ESCAPES[simple as string]!;
    const code =
      octal === undefined ? Number.parseInt((long ?? short ?? byte) as string, 16) : Number.parseInt(octal, 8);
    return String.fromCodePoint(Math.min(code, 0x10ffff));
  });
}
