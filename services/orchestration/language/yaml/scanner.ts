import { SyntaxFault } from './position.ts';
import { blockScalar, type Cursor, plainScalar, quotedScalar, skipBreak } from './scalars.ts';
import { isBreak, isGap, type Token, type TokenKind, token } from './tokens.ts';

/**
 * YAML 1.1 text into tokens, as PyYAML over libyaml 0.2.5 does it. Heat reads every template through that pair, so its
 * rules are the language's: which characters may follow which, when a line may be a key ("simple key": one line, at most
 * 1,024 characters), where tabs count as blanks. The npm package `yaml` implements the specification instead and
 * differs in just those places; it also needs 2 ms for a template of 20 resources, a tenth of which is the budget here.
 */

interface SimpleKey {
  /** Index the key's token has or will have, counted from the start of the stream. */
  token: number;
  required: boolean;
  offset: number;
  line: number;
  column: number;
}

const MAX_SIMPLE_KEY = 1024;

export class Scanner implements Cursor {
  readonly source: string;
  at = 0;
  line = 0;
  column = 0;
  flowLevel = 0;
  indent = -1;
  keyAllowed = true;
  private readonly indents: number[] = [];
  /** The token that may turn out to be a key, for each flow level. */
  private readonly keys: (SimpleKey | undefined)[] = [];
  private tokens: Token[] = [];
  private head = 0;
  private taken = 0;
  private done = false;

  constructor(source: string) {
    this.source = source;
    if (source.charCodeAt(0) === 0xfeff) this.at = 1;
  }

  peek(): Token {
    while (this.needsMore()) this.fetch();
    return this.tokens[this.head]!;
  }

  next(): Token {
    const result = this.peek();
    this.head++;
    this.taken++;
    if (this.head > 512) {
      this.tokens = this.tokens.slice(this.head);
      this.head = 0;
    }
    return result;
  }

  code(ahead = 0): number {
    return this.source.charCodeAt(this.at + ahead);
  }

  /** Moves over `count` characters that are no line breaks. */
  forward(count = 1): void {
    this.at += count;
    this.column += count;
  }

  private needsMore(): boolean {
    if (this.done) return false;
    if (this.head >= this.tokens.length) return true;
    this.dropStaleKeys();
    for (let level = 0; level < this.keys.length; level++) {
      if (this.keys[level]?.token === this.taken) return true;
    }
    return false;
  }

  private dropStaleKeys(): void {
    for (let level = 0; level < this.keys.length; level++) {
      const key = this.keys[level];
      if (!key || (key.line === this.line && this.at - key.offset <= MAX_SIMPLE_KEY)) continue;
      if (key.required) throw new SyntaxFault("could not find expected ':' after this key", key.offset);
      this.keys[level] = undefined;
    }
  }

  private saveKey(): void {
    const required = this.flowLevel === 0 && this.indent === this.column;
    if (!this.keyAllowed) return;
    this.dropKey();
    const index = this.taken + this.tokens.length - this.head;
    this.keys[this.flowLevel] = { token: index, required, offset: this.at, line: this.line, column: this.column };
  }

  private dropKey(): void {
    const key = this.keys[this.flowLevel];
    if (!key) return;
    if (key.required) throw new SyntaxFault("could not find expected ':' after this key", key.offset);
    this.keys[this.flowLevel] = undefined;
  }

  private unwind(column: number): void {
    if (this.flowLevel > 0) return;
    while (this.indent > column) {
      this.indent = this.indents.pop()!;
      this.tokens.push(token('block-end', this.at));
    }
  }

  private addIndent(column: number): boolean {
    if (this.indent >= column) return false;
    this.indents.push(this.indent);
    this.indent = column;
    return true;
  }

  private push(kind: TokenKind, length: number): void {
    this.tokens.push(token(kind, this.at));
    this.forward(length);
  }

  private fetch(): void {
    this.skipToToken();
    this.dropStaleKeys();
    this.unwind(this.column);
    const c = this.code();
    if (Number.isNaN(c)) this.fetchEnd();
    else if (!(this.column === 0 && this.fetchLineStart(c)) && !this.fetchIndicator(c)) this.fetchPlain(c);
  }

  /** A directive or document mark, which only the start of a line can be. */
  private fetchLineStart(c: number): boolean {
    if (c === 37 /* % */) {
      this.fetchDirective();
      return true;
    }
    if (c !== 45 && c !== 46) return false;
    const three = this.source.substr(this.at, 3);
    if ((three !== '---' && three !== '...') || !isGap(this.code(3))) return false;
    this.unwind(-1);
    this.dropKey();
    this.keyAllowed = false;
    this.push(three === '---' ? 'document-start' : 'document-end', 3);
    return true;
  }

  /** What begins with a character that has a meaning of its own here. */
  private fetchIndicator(c: number): boolean {
    const free = this.flowLevel > 0;
    switch (String.fromCharCode(c)) {
      case '[':
        this.fetchFlowStart('flow-sequence-start');
        break;
      case '{':
        this.fetchFlowStart('flow-mapping-start');
        break;
      case ']':
        this.fetchFlowEnd('flow-sequence-end');
        break;
      case '}':
        this.fetchFlowEnd('flow-mapping-end');
        break;
      case ',':
        this.keyAllowed = true;
        this.dropKey();
        this.push('flow-entry', 1);
        break;
      case '-':
        if (!isGap(this.code(1))) return false;
        this.fetchBlockEntry();
        break;
      case '?':
        if (!free && !isGap(this.code(1))) return false;
        this.fetchKey();
        break;
      case ':':
        if (!free && !isGap(this.code(1))) return false;
        this.fetchValue();
        break;
      case '*':
        this.fetchName('alias');
        break;
      case '&':
        this.fetchName('anchor');
        break;
      case '!':
        this.fetchTag();
        break;
      case '|':
      case '>':
        if (free) return false;
        this.keyAllowed = true;
        this.dropKey();
        this.tokens.push(blockScalar(this, c === 62));
        break;
      case "'":
      case '"':
        this.saveKey();
        this.keyAllowed = false;
        this.tokens.push(quotedScalar(this));
        break;
      default:
        return false;
    }
    return true;
  }

  private fetchPlain(c: number): void {
    if (!this.startsPlain(c)) {
      const shown = JSON.stringify(this.source[this.at]);
      throw new SyntaxFault(`found character ${shown} that cannot start any token`, this.at);
    }
    this.saveKey();
    this.keyAllowed = false;
    this.tokens.push(plainScalar(this));
  }

  private startsPlain(c: number): boolean {
    if (isGap(c)) return false;
    if (c === 45) return !isGap(this.code(1));
    if (c === 63 || c === 58) return this.flowLevel === 0 && !isGap(this.code(1));
    return !',[]{}#&*!|>\'"%@`'.includes(this.source[this.at]!);
  }

  private skipToToken(): void {
    for (;;) {
      let c = this.code();
      // libyaml takes a tab for a blank wherever no key may start.
      while (c === 32 || (c === 9 && (this.flowLevel > 0 || !this.keyAllowed))) {
        this.forward();
        c = this.code();
      }
      if (c === 35 /* # */) {
        let end = this.at;
        while (end < this.source.length && !isBreak(this.source.charCodeAt(end))) end++;
        this.forward(end - this.at);
        c = this.code();
      }
      if (!isBreak(c)) return;
      skipBreak(this);
      if (this.flowLevel === 0) this.keyAllowed = true;
    }
  }

  private fetchEnd(): void {
    this.unwind(-1);
    this.dropKey();
    this.keyAllowed = false;
    this.keys.length = 0;
    this.tokens.push(token('stream-end', this.at));
    this.done = true;
  }

  private fetchDirective(): void {
    this.unwind(-1);
    this.dropKey();
    this.keyAllowed = false;
    let end = this.at;
    while (end < this.source.length && !isBreak(this.source.charCodeAt(end))) end++;
    this.tokens.push(token('directive', this.at, this.source.slice(this.at + 1, end)));
    this.forward(end - this.at);
  }

  private fetchFlowStart(kind: TokenKind): void {
    this.saveKey();
    this.flowLevel++;
    this.keyAllowed = true;
    this.push(kind, 1);
  }

  private fetchFlowEnd(kind: TokenKind): void {
    this.dropKey();
    if (this.flowLevel > 0) this.flowLevel--;
    this.keyAllowed = false;
    this.push(kind, 1);
  }

  private fetchBlockEntry(): void {
    if (this.flowLevel === 0) {
      if (!this.keyAllowed) throw new SyntaxFault('block sequence entries are not allowed in this context', this.at);
      if (this.addIndent(this.column)) this.tokens.push(token('block-sequence-start', this.at));
    }
    this.keyAllowed = true;
    this.dropKey();
    this.push('block-entry', 1);
  }

  private fetchKey(): void {
    if (this.flowLevel === 0) {
      if (!this.keyAllowed) throw new SyntaxFault('mapping keys are not allowed in this context', this.at);
      if (this.addIndent(this.column)) this.tokens.push(token('block-mapping-start', this.at));
    }
    this.keyAllowed = this.flowLevel === 0;
    this.dropKey();
    this.push('key', 1);
  }

  private fetchValue(): void {
    const key = this.keys[this.flowLevel];
    if (key) {
      this.keys[this.flowLevel] = undefined;
      const index = key.token - this.taken + this.head;
      this.tokens.splice(index, 0, token('key', key.offset));
      if (this.flowLevel === 0 && this.addIndent(key.column)) {
        this.tokens.splice(index, 0, token('block-mapping-start', key.offset));
      }
      this.keyAllowed = false;
    } else {
      if (this.flowLevel === 0) {
        if (!this.keyAllowed) throw new SyntaxFault('mapping values are not allowed in this context', this.at);
        if (this.addIndent(this.column)) this.tokens.push(token('block-mapping-start', this.at));
      }
      this.keyAllowed = this.flowLevel === 0;
      this.dropKey();
    }
    this.push('value', 1);
  }

  private fetchName(kind: 'alias' | 'anchor'): void {
    this.saveKey();
    this.keyAllowed = false;
    NAME.lastIndex = this.at + 1;
    const name = NAME.exec(this.source)?.[0] ?? '';
    const after = this.source.charCodeAt(this.at + 1 + name.length);
    if (name === '' || !(isGap(after) || '?:,]}%@`'.includes(String.fromCharCode(after)))) {
      throw new SyntaxFault(`did not find expected alphabetic or numeric character in an ${kind}`, this.at);
    }
    this.tokens.push(token(kind, this.at, name));
    this.forward(name.length + 1);
  }

  private fetchTag(): void {
    this.saveKey();
    this.keyAllowed = false;
    TAG.lastIndex = this.at;
    const match = TAG.exec(this.source);
    const after = match ? this.source.charCodeAt(this.at + match[0].length) : Number.NaN;
    if (!match || !(isGap(after) || (this.flowLevel > 0 && after === 44))) {
      throw new SyntaxFault('did not find expected whitespace or line break after a tag', this.at);
    }
    const found = token('tag', this.at, match[1] ?? match[3] ?? '!');
    found.handle = match[1] !== undefined || match[3] === undefined ? null : `!${match[2] ?? ''}`;
    this.tokens.push(found);
    this.forward(match[0].length);
  }
}

const NAME = /[0-9A-Za-z_-]+/y;
// Verbatim, or a handle ("!", "!!", "!name!") and a suffix, or a lone "!".
const TAG = /!(?:<([^>\s]+)>|((?<=!)!|[0-9A-Za-z_-]+!)?([-;/?:@&=+$.~*'()%\w]+)|)/y;
