import { createHash } from 'node:crypto';
import { Call, type MaybeScope, type Node, resolve } from '../calls.ts';
import { Fault, keyError } from '../faults.ts';
import { compareText, dumps, repr, text } from '../render.ts';
import { isNumber, truthy, typeName, type Value } from '../values.ts';
import { itemAt, split, toInteger, typeError, unpack, valueError } from './arguments.ts';
import { boundText } from './bounds.ts';

/** The functions that make and take apart texts. */

/** What sets the members of the str_replace family apart. */
interface ReplaceRules {
  /** Lists and maps are put in as JSON (from 2015-10-15); else they are refused. */
  json: boolean;
  /** Every placeholder must be in the template. */
  strict: boolean;
  /** No value may be null or empty. */
  full: boolean;
}

/** str_replace and Fn::Replace: placeholders in a template text replaced by values, longer placeholders first. */
export class Replace extends Call {
  protected readonly rules: ReplaceRules = { json: false, strict: false, full: false };
  private readonly mapping: Node;
  private readonly template: Node;

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    [this.mapping, this.template] = this.parseArguments();
    if (!(this.mapping instanceof Map) && !(this.mapping instanceof Call)) {
      throw typeError(`"${name}" parameters must be a mapping`);
    }
  }

  protected parseArguments(): [Node, Node] {
    if (!(this.args instanceof Map)) throw typeError(`Arguments to "${this.name}" must be a map`);
    const mapping = this.args.get('params');
    const template = this.args.get('template');
    if (mapping === undefined || template === undefined) {
      const example = `${this.name}:
              template: This is var1 template var2
              params:
                var1: a
                var2: string`;
      throw keyError(`"${this.name}" syntax should be ${example}`);
    }
    return [mapping, template];
  }

  private replacement(value: Value, param: string): string {
    const { json, full } = this.rules;
    const empty = valueError(
      `${this.name} has an undefined or empty value for param ${param}, must be a defined non-empty value`,
    );
    if (value === null) {
      if (full) throw empty;
      return '';
    }
    if (typeof value === 'string' || isNumber(value)) {
      if (full && value === '') throw empty;
      return text(value);
    }
    if (!json) {
      throw typeError(`"${this.name}" params must be strings or numbers, param ${param} is not valid`);
    }
    if (full && !truthy(value)) throw empty;
    return dumps(value, { sortKeys: true });
  }

  result(scope: MaybeScope): Value {
    const template = resolve(this.template, scope);
    const mapping = resolve(this.mapping, scope);
    const missing = new Set<string>();
    if (this.rules.strict && mapping instanceof Map) for (const key of mapping.keys()) missing.add(key as string);
    if (typeof template !== 'string') throw typeError(`"${this.name}" template must be a string`);
    if (!(mapping instanceof Map)) throw typeError(`"${this.name}" params must be a map`);
    const keys = [...mapping.keys()];
    for (const key of keys) {
      if (typeof key !== 'string') throw typeError(`"${this.name}" param placeholders must be strings`);
    }
    const ordered = longestFirst(keys as string[]);
    const replace = (subject: string, from: number): string => {
      const placeholder = ordered[from];
      if (placeholder === undefined) return subject;
      const value = this.replacement(mapping.get(placeholder)!, placeholder);
      const parts = split(subject, placeholder);
      if (parts.length > 1) missing.delete(placeholder);
      boundText(subject.length + parts.length * value.length, this.name);
      return parts.map((part) => replace(part, from + 1)).join(value);
    };
    const result = replace(template, 0);
    if (missing.size > 0) {
      const names = longestFirst([...missing]).join(',');
      throw valueError(`The following params were not found in the template: ${names}`);
    }
    return result;
  }
}

/** Python's sorted(sorted(keys), key=len, reverse=True). */
function longestFirst(keys: string[]): string[] {
  const size = (key: string): number => [...key].length;
  return keys.sort(compareText).sort((a, b) => size(b) - size(a));
}

export class ReplaceJson extends Replace {
  protected override readonly rules: ReplaceRules = { json: true, strict: false, full: false };
}
export class ReplaceJsonStrict extends Replace {
  protected override readonly rules: ReplaceRules = { json: true, strict: true, full: false };
}
export class ReplaceJsonVeryStrict extends Replace {
  protected override readonly rules: ReplaceRules = { json: true, strict: true, full: true };
}

/** Fn::Replace: the parameters and the template in a list. */
export class CfnReplace extends Replace {
  protected override parseArguments(): [Node, Node] {
    const usage = `Incorrect arguments to "${this.name}" should be: {"${this.name}": [ {"$var1": "foo", "%var2%": "bar"}, "$var1 is %var2%"]}`;
    if (typeof this.args === 'string' || this.args instanceof Map) throw typeError(usage);
    return listOf(this.args, 2, usage) as [Node, Node];
  }
}

/** Unpacks a list, with the function's own words for the wrong number. */
function listOf(args: Node, count: number, usage: string): Node[] {
  try {
    return unpack(args, count);
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.kind === 'ValueError') throw valueError(usage);
    throw thrown;
  }
}

function delimiterOf(call: Call, node: Node, scope: MaybeScope): string {
  const delimiter = resolve(node, scope);
  if (typeof delimiter !== 'string') throw typeError(`"${call.name}" delimiter must be a string`);
  return delimiter;
}

/** list_join until 2015-04-30, and Fn::Join: one list of texts. */
export class Join extends Call {
  private readonly parts: Node[];

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    const usage = `Incorrect arguments to "${name}" should be: "${name}" : [ " ", [ "str1", "str2"]]`;
    if (!Array.isArray(args)) throw typeError(usage);
    this.parts = listOf(args, 2, usage);
  }

  result(scope: MaybeScope): Value {
    const strings = resolve(this.parts[1]!, scope) ?? [];
    if (!Array.isArray(strings)) throw typeError(`"${this.name}" must operate on a list`);
    const delimiter = delimiterOf(this, this.parts[0]!, scope);
    const shown = strings.map((item) => {
      if (item === null) return '';
      if (typeof item !== 'string') throw typeError(`Items to join must be strings not ${repr(item).slice(0, 200)}`);
      return item;
    });
    boundText(
      shown.reduce((total, part) => total + part.length + delimiter.length, 0),
      this.name,
    );
    return shown.join(delimiter);
  }
}

/** list_join from 2015-10-15: any number of lists; maps and lists among the items are put in as JSON. */
export class JoinMultiple extends Call {
  private readonly lists: Node[];

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    const usage = `Incorrect arguments to "${name}" should be: "${name}" : [ " ", [ "str1", "str2"] ...]`;
    if (!Array.isArray(args)) throw typeError(usage);
    if (args.length < 2) throw valueError(usage);
    this.lists = args.slice(1);
  }

  result(scope: MaybeScope): Value {
    const items: Value[] = [];
    for (const list of resolve(this.lists, scope) as Value[]) {
      if (!truthy(list)) continue;
      if (!Array.isArray(list)) throw typeError(`"${this.name}" must operate on a list`);
      items.push(...list);
    }
    const delimiter = delimiterOf(this, (this.args as Node[])[0]!, scope);
    const shown = items.map((item) => {
      if (item === null) return '';
      if (typeof item === 'string') return item;
      if (Array.isArray(item) || item instanceof Map) return dumps(item, { sortKeys: true });
      throw typeError(`Items to join must be string, map or list not ${repr(item).slice(0, 200)}`);
    });
    boundText(
      shown.reduce((total, part) => total + part.length + delimiter.length, 0),
      this.name,
    );
    return shown.join(delimiter);
  }
}

/** Fn::Split: a text into a list. */
export class Split extends Call {
  private readonly parts: Node[];

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    const usage = `Incorrect arguments to "${name}" should be: "${name}" : [ ",", "str1,str2"]]`;
    if (typeof args === 'string' || args instanceof Map) throw typeError(usage);
    this.parts = listOf(args, 2, usage);
  }

  result(scope: MaybeScope): Value {
    const subject = resolve(this.parts[1]!, scope);
    const delimiter = this.parts[0]!;
    if (typeof delimiter !== 'string') throw typeError(`Delimiter for ${this.name} must be string`);
    if (typeof subject !== 'string') {
      throw typeError(`String to split must be string; got <class '${typeName(subject)}'>`);
    }
    return split(subject, delimiter);
  }
}

/** str_split: a text into a list, or one item of it. */
export class StrSplit extends Call {
  private readonly usage: string;

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    this.usage = `"${name}" should be: "${name}" : [ ",", "apples,pears", <index>]`;
    if (typeof args === 'string' || args instanceof Map) throw typeError(`Incorrect arguments to ${this.usage}`);
  }

  result(scope: MaybeScope): Value {
    const args = resolve(this.args, scope);
    if (!Array.isArray(args) || args.length < 2) {
      // A map has pop() too, with one argument that must be a key.
      if (args instanceof Map) throw new Fault('KeyError', '0');
      throw valueError(`Incorrect arguments to ${this.usage}`);
    }
    const [delimiter, subject, index] = args as [Value, Value, Value | undefined];
    if (subject === null) return null;
    const parts = split(subject, delimiter);
    if (index === undefined) return parts;
    let at: number | bigint;
    try {
      at = toInteger(index);
    } catch (thrown) {
      if (thrown instanceof Fault && thrown.kind === 'ValueError') throw valueError(`Incorrect index to ${this.usage}`);
      throw thrown;
    }
    const part = itemAt(parts, at);
    if (part === undefined) {
      throw valueError(`Incorrect index to "${this.name}" should be between 0 and ${parts.length - 1}`);
    }
    return part;
  }
}

/** Fn::Base64: does nothing; Heat takes user data as plain text. */
export class Base64 extends Call {
  result(scope: MaybeScope): Value {
    const value = resolve(this.args, scope);
    if (typeof value !== 'string') throw typeError(`"${this.name}" argument must be a string`);
    return value;
  }
}

/** Python's names of hashes, and Node's where they differ. */
const ALGORITHMS = new Map<string, string>([
  ...['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'ripemd160', 'sm3', 'md5-sha1'].map(
    (name): [string, string] => [name, name],
  ),
  ['sha512_224', 'sha512-224'],
  ['sha512_256', 'sha512-256'],
  ['sha3_224', 'sha3-224'],
  ['sha3_256', 'sha3-256'],
  ['sha3_384', 'sha3-384'],
  ['sha3_512', 'sha3-512'],
  ['blake2b', 'blake2b512'],
  ['blake2s', 'blake2s256'],
]);
/** Known to Python, but of no fixed length, which digest cannot give. */
const ENDLESS = ['shake_128', 'shake_256'];

/** digest: the hexadecimal hash of a text under a named algorithm. */
export class Digest extends Call {
  result(scope: MaybeScope): Value {
    const args = resolve(this.args, scope);
    if (!Array.isArray(args) || !args.every((item) => typeof item === 'string')) {
      throw typeError(`Argument to function "${this.name}" must be a list of strings`);
    }
    if (args.length !== 2) throw valueError(`Function "${this.name}" usage: ["<algorithm>", "<value>"]`);
    const [algorithm, value] = args as [string, string];
    const name = algorithm.toLowerCase();
    if (ENDLESS.includes(name)) throw typeError("hexdigest() missing required argument 'length' (pos 1)");
    const known = ALGORITHMS.get(name);
    if (!known) throw valueError(`Algorithm must be one of ${[...ALGORITHMS.keys()].sort().join(', ')}`);
    // Heat encodes as Latin-1, and fails on what that lacks.
    const wide = [...value].findIndex((c) => c.codePointAt(0)! > 255);
    if (wide !== -1) {
      throw new Fault(
        'UnicodeEncodeError',
        `'latin-1' codec can't encode character in position ${wide}: ordinal not in range(256)`,
      );
    }
    return createHash(known).update(Buffer.from(value, 'latin1')).digest('hex');
  }
}
