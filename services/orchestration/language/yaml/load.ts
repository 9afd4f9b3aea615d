import type { Dict, Key, Value } from '../values.ts';
import { type Position, positionAt, SyntaxFault } from './position.ts';
import { resolvePlain, resolveTagged } from './resolve.ts';
import { Scanner } from './scanner.ts';
import type { Token, TokenKind } from './tokens.ts';

/** Bounds that keep a hostile text from taking memory or stack: PyYAML has none, Heat falls over. */
export interface LoadLimits {
  /** Deepest nesting of lists and maps. */
  depth: number;
  /** Most nodes, each alias counted as all that it stands for (ten lines of "billion laughs" stand for 10^9). */
  nodes: number;
}

/** Where each map and list of the tree, and each key and item in it, stands in the text. */
export type Places = Map<object, Map<Key, number>>;

const DEFAULT_TAGS: Record<string, string> = { '!': '!', '!!': 'tag:yaml.org,2002:' };
const MERGE = Symbol('<<');

interface Anchored {
  value: Value | typeof MERGE;
  nodes: number;
}

/**
 * Reads one YAML 1.1 document into the tree, as PyYAML's CSafeLoader with Heat's two changes (all strings are text,
 * timestamps stay strings). Duplicate keys: the last wins. An empty text is null. Throws SyntaxFault.
 */
export function loadYaml(source: string, limits: LoadLimits, places?: Places): Value {
  return new Loader(source, limits, places).document();
}

/** The position of the value (or, with `key`, of the map's key) that `path` leads to, or of the nearest parent. */
export function locate(source: string, limits: LoadLimits, path: readonly (string | number)[]): Position {
  const places: Places = new Map();
  let node: Value | undefined = loadYaml(source, limits, places);
  let offset = 0;
  for (const part of path) {
    const here: Map<Key, number> | undefined = typeof node === 'object' && node !== null ? places.get(node) : undefined;
    const found = here?.get(part);
    if (found === undefined) continue;
    offset = found;
    node = Array.isArray(node) ? node[part as number] : (node as Dict).get(part);
  }
  return positionAt(source, offset);
}

class Loader {
  private readonly scanner: Scanner;
  private readonly source: string;
  private readonly limits: LoadLimits;
  private readonly places: Places | undefined;
  private readonly anchors = new Map<string, Anchored>();
  private tags = DEFAULT_TAGS;
  private nodes = 0;
  private depth = 0;

  constructor(source: string, limits: LoadLimits, places: Places | undefined) {
    this.scanner = new Scanner(source);
    this.source = source;
    this.limits = limits;
    this.places = places;
  }

  document(): Value {
    const bad = FORBIDDEN.exec(this.source);
    if (bad) throw new SyntaxFault('control characters are not allowed', bad.index);
    while (this.is('document-end')) this.scanner.next();
    if (this.is('stream-end')) return null;
    const directives = this.directives();
    if (this.is('document-start')) this.scanner.next();
    else if (directives) this.unexpected("'<document start>'");
    let value: Value = null;
    if (!this.is('document-start') && !this.is('document-end') && !this.is('stream-end')) {
      value = this.plainOf(this.node(true, false));
    }
    while (this.is('document-end')) this.scanner.next();
    if (this.is('stream-end')) return value;
    if (this.is('document-start') || this.is('directive')) {
      throw new SyntaxFault('expected a single document in the stream, but found another', this.scanner.peek().offset);
    }
    return this.unexpected("'<document start>'");
  }

  private directives(): boolean {
    let any = false;
    while (this.is('directive')) {
      const { text, offset } = this.scanner.next();
      any = true;
      const [name, first, second] = text.split(/[ \t]+/);
      if (name === 'YAML' && !/^1\.\d+$/.test(first ?? ''))
        throw new SyntaxFault('found incompatible YAML document', offset);
      if (name === 'TAG') this.tags = { ...this.tags, [first ?? '']: second ?? '' };
    }
    return any;
  }

  private is(kind: TokenKind): boolean {
    return this.scanner.peek().kind === kind;
  }

  private unexpected(expected: string): never {
    const found = this.scanner.peek();
    throw new SyntaxFault(`expected ${expected}, but found '<${found.kind.replaceAll('-', ' ')}>'`, found.offset);
  }

  private count(nodes: number, offset: number): void {
    this.nodes += nodes;
    if (this.nodes > this.limits.nodes) {
      throw new SyntaxFault(`more than ${this.limits.nodes} nodes once its aliases are expanded`, offset);
    }
  }

  private plainOf(value: Value | typeof MERGE): Value {
    return value === MERGE ? '<<' : value;
  }

  /** One node of any kind; `block` and `indentless` say which collections may start here. */
  private node(block: boolean, indentless: boolean): Value | typeof MERGE {
    let found = this.scanner.peek();
    if (found.kind === 'alias') {
      this.scanner.next();
      const anchored = this.anchors.get(found.text);
      if (!anchored) throw new SyntaxFault(`found undefined alias '${found.text}'`, found.offset);
      this.count(anchored.nodes, found.offset);
      return anchored.value;
    }
    const { offset } = found;
    let anchor: Token | undefined;
    let tag: Token | undefined;
    for (; found.kind === 'anchor' || found.kind === 'tag'; found = this.scanner.peek()) {
      if (found.kind === 'anchor' ? anchor : tag) break;
      if (found.kind === 'anchor') anchor = this.scanner.next();
      else tag = this.scanner.next();
    }
    const before = this.nodes;
    this.count(1, offset);
    const value = this.content(
      block,
      indentless,
      tag && this.tagOf(tag),
      anchor !== undefined || tag !== undefined,
      offset,
    );
    if (anchor) this.anchors.set(anchor.text, { value, nodes: this.nodes - before });
    return value;
  }

  private tagOf(found: Token): string {
    if (found.handle === null || found.handle === undefined) return found.text;
    const prefix = this.tags[found.handle];
    if (prefix === undefined) throw new SyntaxFault(`found undefined tag handle '${found.handle}'`, found.offset);
    return prefix + found.text;
  }

  private content(
    block: boolean,
    indentless: boolean,
    tag: string | undefined,
    empty: boolean,
    offset: number,
  ): Value | typeof MERGE {
    const found = this.scanner.peek();
    switch (found.kind) {
      case 'scalar':
        this.scanner.next();
        return this.scalar(found, tag, offset);
      case 'flow-sequence-start':
        return this.collection(offset, tag, 'seq', () => this.flowSequence());
      case 'flow-mapping-start':
        return this.collection(offset, tag, 'map', () => this.flowMapping());
      case 'block-sequence-start':
        if (!block) break;
        return this.collection(offset, tag, 'seq', () => this.blockSequence());
      case 'block-mapping-start':
        if (!block) break;
        return this.collection(offset, tag, 'map', () => this.blockMapping());
      case 'block-entry':
        if (!indentless) break;
        return this.collection(offset, tag, 'seq', () => this.indentlessSequence());
    }
    if (empty) return tag === undefined || tag === '!' ? (tag === '!' ? '' : null) : this.tagged(tag, '', offset);
    return this.unexpected('the node content');
  }

  private scalar(found: Token, tag: string | undefined, offset: number): Value | typeof MERGE {
    if (tag === undefined || tag === '!') {
      if (!found.plain || tag === '!') return found.text;
      return found.text === '<<' ? MERGE : resolvePlain(found.text);
    }
    return this.tagged(tag, found.text, offset);
  }

  private tagged(tag: string, text: string, offset: number): Value {
    const value = resolveTagged(tag, text);
    if (value === undefined) {
      throw new SyntaxFault(`could not determine a constructor for the tag '${tag}'`, offset);
    }
    return value;
  }

  private collection<T extends Value>(offset: number, tag: string | undefined, kind: 'seq' | 'map', read: () => T): T {
    if (tag !== undefined && tag !== '!' && tag !== `tag:yaml.org,2002:${kind}`) {
      throw new SyntaxFault(`could not determine a constructor for the tag '${tag}'`, offset);
    }
    this.depth++;
    if (this.depth > this.limits.depth) {
      throw new SyntaxFault(`nested more than ${this.limits.depth} levels deep`, offset);
    }
    const value = read();
    this.depth--;
    return value;
  }

  private item(list: Value[], read: () => Value | typeof MERGE): void {
    this.place(list, list.length, this.scanner.peek().offset);
    list.push(this.plainOf(read()));
  }

  private place(container: object, key: Key, offset: number): void {
    if (!this.places) return;
    const here = this.places.get(container) ?? new Map<Key, number>();
    this.places.set(container, here.set(key, offset));
  }

  private blockSequence(): Value[] {
    this.scanner.next();
    const list: Value[] = [];
    while (this.is('block-entry')) {
      this.scanner.next();
      if (this.is('block-entry') || this.is('block-end')) this.item(list, () => null);
      else this.item(list, () => this.node(true, false));
    }
    if (!this.is('block-end')) this.unexpected('<block end>');
    this.scanner.next();
    return list;
  }

  private indentlessSequence(): Value[] {
    const list: Value[] = [];
    while (this.is('block-entry')) {
      this.scanner.next();
      const { kind } = this.scanner.peek();
      if (kind === 'block-entry' || kind === 'key' || kind === 'value' || kind === 'block-end')
        this.item(list, () => null);
      else this.item(list, () => this.node(true, false));
    }
    return list;
  }

  private blockMapping(): Dict {
    this.scanner.next();
    const builder = new MapBuilder();
    while (this.is('key') || this.is('value')) {
      let key: Value | typeof MERGE = null;
      const offset = this.scanner.peek().offset;
      if (this.is('key')) {
        this.scanner.next();
        key = this.blockEntryIsEmpty() ? null : this.node(true, true);
      }
      let value: Value | typeof MERGE = null;
      if (this.is('value')) {
        this.scanner.next();
        value = this.blockEntryIsEmpty() ? null : this.node(true, true);
      }
      this.entry(builder, key, value, offset);
    }
    if (!this.is('block-end')) this.unexpected('<block end>');
    this.scanner.next();
    return builder.finish();
  }

  private blockEntryIsEmpty(): boolean {
    const { kind } = this.scanner.peek();
    return kind === 'key' || kind === 'value' || kind === 'block-end';
  }

  private flowSequence(): Value[] {
    const start = this.scanner.next().offset;
    const list: Value[] = [];
    while (!this.is('flow-sequence-end')) {
      if (list.length > 0) {
        if (!this.is('flow-entry')) throw new SyntaxFault("did not find expected ',' or ']' of the list", start);
        this.scanner.next();
        if (this.is('flow-sequence-end')) break;
      }
      if (this.is('key')) this.item(list, () => this.flowPair());
      else this.item(list, () => this.node(false, false));
    }
    this.scanner.next();
    return list;
  }

  /** `[a: b]`: a map of one entry inside a list. */
  private flowPair(): Dict {
    const builder = new MapBuilder();
    const offset = this.scanner.next().offset;
    const key = this.flowEntryIsEmpty('flow-sequence-end') ? null : this.node(false, false);
    let value: Value | typeof MERGE = null;
    if (this.is('value')) {
      this.scanner.next();
      if (!this.is('flow-entry') && !this.is('flow-sequence-end')) value = this.node(false, false);
    }
    this.entry(builder, key, value, offset);
    return builder.finish();
  }

  private flowEntryIsEmpty(end: TokenKind): boolean {
    return this.is('value') || this.is('flow-entry') || this.is(end);
  }

  private flowMapping(): Dict {
    const start = this.scanner.next().offset;
    const builder = new MapBuilder();
    let first = true;
    while (!this.is('flow-mapping-end')) {
      if (!first) {
        if (!this.is('flow-entry')) throw new SyntaxFault("did not find expected ',' or '}' of the map", start);
        this.scanner.next();
        if (this.is('flow-mapping-end')) break;
      }
      first = false;
      const offset = this.scanner.peek().offset;
      if (this.is('key')) {
        this.scanner.next();
        const key = this.flowEntryIsEmpty('flow-mapping-end') ? null : this.node(false, false);
        let value: Value | typeof MERGE = null;
        if (this.is('value')) {
          this.scanner.next();
          if (!this.is('flow-entry') && !this.is('flow-mapping-end')) value = this.node(false, false);
        }
        this.entry(builder, key, value, offset);
      } else {
        this.entry(builder, this.node(false, false), null, offset);
      }
    }
    this.scanner.next();
    return builder.finish();
  }

  private entry(builder: MapBuilder, key: Value | typeof MERGE, value: Value | typeof MERGE, offset: number): void {
    if (key === MERGE) {
      builder.merge(this.plainOf(value), offset);
      return;
    }
    if (typeof key === 'object' && key !== null && (Array.isArray(key) || key instanceof Map)) {
      throw new SyntaxFault('found an unhashable key: a list or map cannot be the key of a map', offset);
    }
    builder.own.set(key, this.plainOf(value));
    this.place(builder.own, key, offset);
  }
}

/** Gathers a map's entries; merged ones come first and give way to its own, as PyYAML's flatten_mapping has it. */
class MapBuilder {
  readonly own: Dict = new Map();
  private merged: Dict[] | undefined;

  merge(value: Value, offset: number): void {
    const sources = Array.isArray(value) ? [...value].reverse() : [value];
    for (const source of sources) {
      if (!(source instanceof Map)) throw new SyntaxFault('expected a map or list of maps for merging', offset);
      this.merged ??= [];
      this.merged.push(source);
    }
  }

  finish(): Dict {
    if (!this.merged) return this.own;
    const own = [...this.own];
    this.own.clear();
    for (const source of this.merged) for (const [key, value] of source) this.own.set(key, value);
    for (const [key, value] of own) this.own.set(key, value);
    return this.own;
  }
}

// What PyYAML's reader refuses: C0 controls but tab, LF, CR; DEL; C1 but NEL; lone surrogates are not text at all.
const FORBIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufffe\uffff]/;
