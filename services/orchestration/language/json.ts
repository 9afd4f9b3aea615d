import { type Dict, float, integer, type Value } from './values.ts';
import { SyntaxFault } from './yaml/position.ts';

/**
 * JSON text into the tree. JSON.parse would do but for three things that templates show: 1.0 must stay a float, the order
 * of keys that look like numbers must be kept, and integers beyond 2^53 must keep their digits. Like Python's json, it
 * takes NaN and Infinity, and of a key written twice the last.
 */
export function parseJson(source: string, limits: { depth: number } = { depth: 200 }): Value {
  const reader = new Reader(source, limits.depth);
  const value = reader.value(0);
  reader.end();
  return value;
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORDS: [string, () => Value][] = [
  ['null', () => null],
  ['true', () => true],
  ['false', () => false],
  ['NaN', () => float(Number.NaN)],
  ['Infinity', () => float(Number.POSITIVE_INFINITY)],
  ['-Infinity', () => float(Number.NEGATIVE_INFINITY)],
];

class Reader {
  private readonly source: string;
  private readonly deepest: number;
  private at = 0;

  constructor(source: string, deepest: number) {
    this.source = source;
    this.deepest = deepest;
  }

  end(): void {
    this.space();
    if (this.at < this.source.length) this.fail('Extra data');
  }

  value(depth: number): Value {
    if (depth > this.deepest) this.fail(`Nested more than ${this.deepest} levels deep`);
    this.space();
    const c = this.source[this.at];
    if (c === '"') return this.string();
    if (c === '{') return this.map(depth);
    if (c === '[') return this.list(depth);
    for (const [word, make] of WORDS) {
      if (this.source.startsWith(word, this.at)) {
        this.at += word.length;
        return make();
      }
    }
    return this.number();
  }

  private fail(message: string): never {
    throw new SyntaxFault(`${message}: ${placeText(this.source, this.at)}`, this.at);
  }

  private space(): void {
    const c = this.source.charCodeAt(this.at);
    if (c > 32) return;
    SPACE.lastIndex = this.at;
    SPACE.test(this.source);
    this.at = SPACE.lastIndex;
  }

  private string(): string {
    STRING.lastIndex = this.at;
    if (!STRING.test(this.source)) this.fail('Unterminated string or invalid character in it, starting at');
    const from = this.at;
    this.at = STRING.lastIndex;
    const body = this.source.slice(from, this.at);
    return body.includes('\\') ? (JSON.parse(body) as string) : body.slice(1, -1);
  }

  private number(): Value {
    NUMBER.lastIndex = this.at;
    const match = NUMBER.exec(this.source);
    if (!match) this.fail('Expecting value');
    this.at = NUMBER.lastIndex;
    const [digits, fraction, exponent] = match;
    if (fraction !== undefined || exponent !== undefined) return float(Number(digits));
    return digits.length < 16 ? Number(digits) + 0 : integer(BigInt(digits));
  }

  private list(depth: number): Value[] {
    this.at++;
    const out: Value[] = [];
    this.space();
    if (this.source[this.at] === ']') {
      this.at++;
      return out;
    }
    for (;;) {
      out.push(this.value(depth + 1));
      this.space();
      const c = this.source[this.at];
      if (c !== ',' && c !== ']') this.fail("Expecting ',' delimiter");
      this.at++;
      if (c === ']') return out;
    }
  }

  private map(depth: number): Dict {
    this.at++;
    const out: Dict = new Map();
    this.space();
    if (this.source[this.at] === '}') {
      this.at++;
      return out;
    }
    for (;;) {
      this.space();
      if (this.source[this.at] !== '"') this.fail('Expecting property name enclosed in double quotes');
      const key = this.string();
      this.space();
      if (this.source[this.at] !== ':') this.fail("Expecting ':' delimiter");
      this.at++;
      out.set(key, this.value(depth + 1));
      this.space();
      const c = this.source[this.at];
      if (c !== ',' && c !== '}') this.fail("Expecting ',' delimiter");
      this.at++;
      if (c === '}') return out;
    }
  }
}

/** Python's words for a place: "line 1 column 2 (char 1)". */
function placeText(source: string, at: number): string {
  const before = source.slice(0, at).split('\n');
  return `line ${before.length} column ${before.at(-1)!.length + 1} (char ${at})`;
}
