import { float } from '../values.ts';
import { type Token, tokens, YaqlSyntaxError } from './lexer.ts';
import type { Y } from './runtime.ts';

/** A parsed expression. */
export type Expression =
  | { kind: 'constant'; value: Y }
  | { kind: 'word'; name: string }
  | { kind: 'variable'; name: string }
  | { kind: 'call'; name: string; args: Expression[] }
  | { kind: 'binary'; operator: string; left: Expression; right: Expression }
  | { kind: 'unary'; operator: string; operand: Expression }
  | { kind: 'index'; value: Expression; args: Expression[] }
  | { kind: 'list'; args: Expression[] }
  | { kind: 'map'; args: Expression[] }
  | { kind: 'rule'; source: Expression; destination: Expression };

/** How tightly operators bind: higher numbers bind tighter. yaql puts "." above "[]", so $.a.b[0] is ($.a.b)[0]. */
const BINARY: Record<string, number> = {
  '.': 110,
  '?.': 110,
  '=~': 80,
  '!~': 80,
  '*': 70,
  '/': 70,
  mod: 70,
  '+': 60,
  '-': 60,
  '>': 50,
  '<': 50,
  '>=': 50,
  '<=': 50,
  '!=': 50,
  '=': 50,
  in: 50,
  and: 30,
  or: 20,
  '->': 10,
};
const INDEX = 100;
const UNARY: Record<string, number> = { '+': 90, '-': 90, not: 40 };
const RIGHT_ASSOCIATIVE = new Set(['->']);

/** Deepest nesting of an expression: brackets within brackets. */
const MAX_DEPTH = 100;

/** Parses an expression. Throws YaqlSyntaxError. */
export function parse(source: string): Expression {
  return new Parser(tokens(source)).whole();
}

class Parser {
  private readonly tokens: Token[];
  private at = 0;
  private depth = 0;

  constructor(list: Token[]) {
    this.tokens = list;
  }

  whole(): Expression {
    const expression = this.expression(0);
    if (this.peek().kind !== 'end') this.fail();
    return expression;
  }

  private peek(): Token {
    return this.tokens[this.at]!;
  }

  private isMark(text: string): boolean {
    const token = this.peek();
    return token.kind === 'mark' && token.text === text;
  }

  private fail(): never {
    const token = this.peek();
    if (token.kind === 'end') throw new YaqlSyntaxError('Parse error: unexpected end of statement', token.at);
    throw new YaqlSyntaxError(`Parse error: unexpected '${token.text}' at position ${token.at}`, token.at);
  }

  private expect(text: string): void {
    if (!this.isMark(text)) this.fail();
    this.at++;
  }

  private expression(floor: number): Expression {
    if (++this.depth > MAX_DEPTH) throw new YaqlSyntaxError('Parse error: nested too deep', this.peek().at);
    let left = this.prefix();
    for (;;) {
      const token = this.peek();
      if (this.isMark('[')) {
        if (INDEX <= floor) break;
        this.at++;
        left = { kind: 'index', value: left, args: this.args(']') };
        continue;
      }
      const power = token.kind === 'operator' ? BINARY[token.text] : undefined;
      if (power === undefined || power <= floor) break;
      this.at++;
      const right = this.expression(RIGHT_ASSOCIATIVE.has(token.text) ? power - 1 : power);
      left = { kind: 'binary', operator: token.text, left, right };
    }
    this.depth--;
    return left;
  }

  private prefix(): Expression {
    const token = this.peek();
    switch (token.kind) {
      case 'number':
        this.at++;
        return { kind: 'constant', value: token.fraction ? float(token.value as number) : (token.value as number) };
      case 'string':
      case 'constant':
        this.at++;
        return { kind: 'constant', value: token.value as string };
      case 'word':
        this.at++;
        return { kind: 'word', name: token.text };
      case 'dollar':
        this.at++;
        return { kind: 'variable', name: token.text };
      case 'function':
        this.at++;
        return { kind: 'call', name: token.text.slice(0, -1), args: this.args(')') };
      case 'operator': {
        const power = UNARY[token.text];
        if (power === undefined) return this.fail();
        this.at++;
        return { kind: 'unary', operator: token.text, operand: this.expression(power) };
      }
      case 'mark':
        return this.bracketed(token.text);
      default:
        return this.fail();
    }
  }

  private bracketed(open: string): Expression {
    this.at++;
    if (open === '[') return { kind: 'list', args: this.args(']') };
    if (open === '{') return { kind: 'map', args: this.args('}') };
    this.at--;
    if (open !== '(') return this.fail();
    this.at++;
    const inner = this.expression(0);
    this.expect(')');
    return inner;
  }

  /** Arguments up to a closing bracket; those by name come last. */
  private args(close: string): Expression[] {
    const out: Expression[] = [];
    while (!this.isMark(close)) {
      if (out.length > 0) this.expect(',');
      const value = this.expression(0);
      const token = this.peek();
      if (token.kind === 'operator' && token.text === '=>') {
        this.at++;
        out.push({ kind: 'rule', source: value, destination: this.expression(0) });
      } else {
        if (out.at(-1)?.kind === 'rule') this.fail();
        out.push(value);
      }
    }
    this.at++;
    return out;
  }
}
