import { Call, type MaybeScope, type Node, resolve, validateNode } from '../calls.ts';
import { Fault, keyError } from '../faults.ts';
import { parseJson } from '../json.ts';
import { dumps } from '../render.ts';
import { type Dict, equal, isInteger, type Key, truthy, typeName, type Value } from '../values.ts';
import { itemAt, toInteger, typeError, unpack, valueError } from './arguments.ts';
import { boundItems, sizeOf } from './bounds.ts';
import { Members } from './members.ts';

/** The functions that build and pick from lists and maps. */

/** map_merge: maps laid over each other, later ones winning. */
export class MapMerge extends Call {
  result(scope: MaybeScope): Value {
    const args = resolve(this.args, scope);
    const items = typeof args === 'string' ? [...args] : args;
    if (!Array.isArray(items)) {
      throw typeError(
        `Incorrect arguments to "${this.name}" should be: "${this.name}" : [ { "key1": "val1" }, { "key2": "val2" } ]`,
      );
    }
    const out: Dict = new Map();
    for (const item of items) {
      if (item === null) continue;
      if (!(item instanceof Map)) throw typeError('Incorrect arguments: Items to merge must be maps.');
      for (const [key, value] of item) out.set(key, value);
    }
    return out;
  }
}

/** map_replace: keys and values of a map exchanged for others. */
export class MapReplace extends Call {
  result(scope: MaybeScope): Value {
    const args = resolve(this.args, scope);
    const example = `"${this.name}" : [ { "key1": "val1" }, {"keys": {"key1": "key2"}, "values": {"val1": "val2"}}]`;
    const usage = `Incorrect arguments to "${this.name}" should be: ${example}`;
    const mapOf = (value: Value | undefined): Dict => {
      if (value === null || value === undefined) return new Map();
      if (value instanceof Map) return value;
      throw typeError(`Incorrect arguments: to "${this.name}", arguments must be a list of maps. Example:  ${example}`);
    };
    if (args instanceof Map) throw new Fault('KeyError', '0');
    if (!Array.isArray(args) || args.length < 1) throw typeError(usage);
    const source = mapOf(args[0]);
    if (args.length < 2) throw typeError(usage);
    const rules = mapOf(args[1]);
    if (args.length > 2) throw typeError(usage);
    for (const key of rules.keys()) if (key !== 'keys' && key !== 'values') throw valueError(usage);
    const keys = mapOf(rules.get('keys'));
    const values = mapOf(rules.get('values'));
    const out: Dict = new Map();
    for (const [key, value] of source) {
      const renamed = (keys.get(key) ?? null) as Value;
      if (Array.isArray(renamed) || renamed instanceof Map) throw typeError('unhashable type');
      const name: Key = renamed === null ? key : renamed;
      if (renamed !== null) {
        if (source.has(name) && !equal(name, key)) {
          throw valueError(`key replacement ${String(name)} collides with a key in the input map`);
        }
        if (out.has(name)) throw valueError(`key replacement ${String(name)} collides with a key in the output map`);
      }
      const known = typeof value !== 'object' || value === null ? values.get(value as Key) : undefined;
      out.set(name, known === undefined ? value : known);
    }
    return out;
  }
}

/** filter: a list without some values. */
export class Filter extends Call {
  private readonly parts: Node[];

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    if (!Array.isArray(args)) throw typeError(`Argument to "${name}" must be a list`);
    if (args.length !== 2) {
      throw valueError(
        `"${name}" expected 2 arguments of the form [values, sequence] but got ${args.length} arguments instead`,
      );
    }
    this.parts = args;
  }

  result(scope: MaybeScope): Value {
    const sequence = resolve(this.parts[1]!, scope);
    if (!truthy(sequence)) return sequence;
    if (!Array.isArray(sequence)) throw typeError(`"${this.name}" only works with lists`);
    const values = resolve(this.parts[0]!, scope);
    if (!truthy(values)) return sequence;
    if (!Array.isArray(values)) throw typeError(`"${this.name}" filters a list of values`);
    const unwanted = new Members(values);
    return sequence.filter((item) => !unwanted.has(item));
  }
}

/** list_concat: lists put after each other. */
export class ListConcat extends Call {
  protected readonly unique: boolean = false;

  result(scope: MaybeScope): Value {
    const args = resolve(this.args, scope);
    if (!Array.isArray(args)) {
      const example = `"${this.name}" : [ [ <value 1>, <value 2> ], [ <value 3>, <value 4> ] ]`;
      throw typeError(`Incorrect arguments to "${this.name}" should be: ${example}`);
    }
    const out: Value[] = [];
    const seen = this.unique ? new Members() : undefined;
    for (const list of args) {
      if (list === null) continue;
      if (!Array.isArray(list)) {
        throw typeError(
          `Incorrect arguments: Items to concat must be lists. ${dumps(args)} contains an item that is not a list: ${dumps(list)}`,
        );
      }
      boundItems(out.length + list.length, this.name);
      for (const item of list) if (!seen || seen.add(item)) out.push(item);
    }
    return out;
  }
}

/** list_concat_unique: the same, each value once. */
export class ListConcatUnique extends ListConcat {
  protected override readonly unique = true;
}

/** repeat: a template for each item of a list, or for each combination of the items of several. */
export class Repeat extends Call {
  private readonly forEach: Node;
  private readonly template: Node;
  /** Combines every item with every other (else they go side by side). */
  protected nested = true;

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    if (!(args instanceof Map)) throw typeError(`Arguments to "${name}" must be a map`);
    const forEach = args.get('for_each');
    const template = args.get('template');
    if (forEach === undefined || template === undefined) {
      const example = `repeat:
              template: This is %var%
              for_each:
                %var%: ['a', 'b', 'c']`;
      throw keyError(`"repeat" syntax should be ${example}`);
    }
    this.forEach = forEach;
    this.template = template;
  }

  override validate(scope: MaybeScope): void {
    validateNode(this.args, scope);
    if (!(this.forEach instanceof Call) && !(this.forEach instanceof Map)) {
      throw typeError(`The "for_each" argument to "${this.name}" must contain a map`);
    }
  }

  /** The items that a value of for_each gives. */
  protected items(value: Value): Value[] {
    if (Array.isArray(value)) return value;
    throw typeError(`The values of the "for_each" argument to "${this.name}" must be lists`);
  }

  result(scope: MaybeScope): Value {
    const forEach = resolve(this.forEach, scope);
    if (!(forEach instanceof Map)) {
      throw new Fault('AttributeError', `'${typeName(forEach)}' object has no attribute 'items'`);
    }
    if (forEach.size === 0) throw valueError('not enough values to unpack (expected 2, got 0)');
    const keys = [...forEach.keys()];
    const lists = [...forEach.values()].map((value) => (value === null ? null : this.items(value)));
    const lengths = new Set(lists.filter((list) => list !== null).map((list) => list.length));
    if (!this.nested && lengths.size > 1) {
      throw valueError(`For ${this.name}, the length of for_each values should be equal if no nested loop.`);
    }
    const template = resolve(this.template, scope);
    const columns = lists.map((list) => list ?? []);
    const rows = this.nested ? product(columns, this.name) : sideBySide(columns);
    boundItems(rows.length * sizeOf(template), this.name);
    return rows.map((row) => substitute(keys, row, template));
  }
}

/** repeat from 2016-10-14: a map gives its keys. */
export class RepeatWithMap extends Repeat {
  protected override items(value: Value): Value[] {
    if (value instanceof Map) return [...value.keys()];
    if (Array.isArray(value)) return value;
    throw typeError(`The values of the "for_each" argument to "${this.name}" must be lists or maps`);
  }
}

/** repeat from 2017-09-01: `permutations: false` goes through the lists side by side. */
export class RepeatWithNestedLoop extends RepeatWithMap {
  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    const permutations = (args as Map<Key, Node>).get('permutations') ?? true;
    if (typeof permutations !== 'boolean') {
      throw typeError(`"permutations" should be boolean type for ${name} function.`);
    }
    this.nested = permutations;
  }

  protected override items(value: Value): Value[] {
    if (!this.nested && value instanceof Map) {
      throw typeError(`The values of the "for_each" argument to "${this.name}" must be lists`);
    }
    return super.items(value);
  }
}

function product(columns: Value[][], name: string): Value[][] {
  boundItems(
    columns.reduce((total, column) => total * column.length, columns.length),
    name,
  );
  let rows: Value[][] = [[]];
  for (const column of columns) rows = rows.flatMap((row) => column.map((item) => [...row, item]));
  return rows;
}

function sideBySide(columns: Value[][]): Value[][] {
  const length = Math.min(...columns.map((column) => column.length));
  return Array.from({ length }, (_, row) => columns.map((column) => column[row]!));
}

function substitute(keys: Key[], values: Value[], template: Value): Value {
  if (typeof template === 'string') {
    let out = template;
    keys.forEach((key, i) => {
      const value = values[i];
      if (typeof key !== 'string') throw typeError(`replace() argument 1 must be str, not ${typeof key}`);
      if (typeof value !== 'string') throw typeError(`replace() argument 2 must be str, not ${pythonType(value)}`);
      out = out.replaceAll(key, () => value);
    });
    return out;
  }
  if (Array.isArray(template)) return template.map((item) => substitute(keys, values, item));
  if (template instanceof Map) {
    return new Map(
      [...template].map(([key, item]) => [substitute(keys, values, key) as Key, substitute(keys, values, item)]),
    );
  }
  return template;
}

function pythonType(value: Value | undefined): string {
  if (value === null || value === undefined) return 'NoneType';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Map) return 'dict';
  if (typeof value === 'boolean') return 'bool';
  return isInteger(value) ? 'int' : typeof value === 'string' ? 'str' : 'float';
}

/** Fn::Select: one item of a list or map, '' where there is none. */
export class Select extends Call {
  private readonly parts: Node[];

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    try {
      this.parts = unpack(args, 2);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
      throw valueError(`Arguments to "${name}" must be of the form [index, collection]`);
    }
  }

  result(scope: MaybeScope): Value {
    let index = resolve(this.parts[0]!, scope);
    let strings = resolve(this.parts[1]!, scope);
    if (strings === '') return '';
    if (typeof strings === 'string') {
      try {
        strings = parseJson(strings);
      } catch (thrown) {
        throw valueError(`"${this.name}": ${(thrown as Error).message}`);
      }
    }
    if (strings instanceof Map) {
      if (typeof index !== 'string') throw typeError(`Index to "${this.name}" must be a string`);
      return strings.get(index) ?? (strings.has(index) ? null : '');
    }
    try {
      index = toInteger(index);
    } catch {
      // Heat leaves the index as it is, and refuses it below where it matters.
    }
    if (Array.isArray(strings)) {
      if (!isInteger(index)) throw typeError(`Index to "${this.name}" must be an integer`);
      const item = itemAt(strings, toInteger(index));
      return item === undefined ? '' : item;
    }
    if (strings === null) return '';
    throw typeError(`Arguments to ${this.name} not fully resolved`);
  }
}

/** Fn::MemberListToMap: AWS's flattened lists (".member.0.Name=x") back into a map. */
export class MemberListToMap extends Call {
  private readonly parts: Node[];

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    try {
      this.parts = unpack(args, 3);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
      throw typeError(
        `Wrong Arguments try: "{'Fn::MemberListToMap': ['Name', 'Value', ['.member.0.Name=key', '.member.0.Value=door']]}"`,
      );
    }
    if (typeof this.parts[0] !== 'string') throw typeError(`${name} Key Name must be a string`);
    if (typeof this.parts[1] !== 'string') throw typeError(`${name} Value Name must be a string`);
  }

  result(scope: MaybeScope): Value {
    const list = resolve(this.parts[2]!, scope);
    const members = typeof list === 'string' ? [...list] : list instanceof Map ? [...list.keys()] : list;
    if (!Array.isArray(members)) throw typeError('Member list must be a list');
    const groups = new Map<number, Map<string, string>>();
    for (const member of members) {
      if (typeof member !== 'string') throw typeError('Member list items must be strings');
      const equals = member.indexOf('=');
      if (equals === -1) {
        throw valueError('dictionary update sequence element #0 has length 1; 2 is required');
      }
      const match = /^\.member\.([0-9]+)\.(.*)/.exec(member.slice(0, equals));
      if (!match) continue;
      const index = Number(match[1]);
      if (!groups.has(index)) groups.set(index, new Map());
      groups.get(index)!.set(match[2]!, member.slice(equals + 1));
    }
    const out: Dict = new Map();
    for (const [, group] of [...groups].sort(([a], [b]) => a - b)) {
      const [key, value] = [group.get(this.parts[0] as string), group.get(this.parts[1] as string)];
      if (key !== undefined && value !== undefined) out.set(key, value);
    }
    return out;
  }
}
