import { Fault, type Path } from './faults.ts';
import type { Key, Scalar, Value } from './values.ts';

/**
 * A template's values once its functions are recognised: the tree of values with a `Call` wherever a map of one entry
 * names a function of the template's version. Calls are kept as data until what they need is known; `resolve` then gives
 * their results, `references` what they need, `validateNode` whether their arguments can ever work.
 */

/** Stands for "as if it were not written": the result of an `if` without its third argument (2021-04-16). */
export const OMIT = Symbol('omit');
export type Omit = typeof OMIT;

export type Node = Scalar | Omit | Node[] | NodeMap | Call;
export type NodeMap = Map<Key, Node>;

/** What a resource looks like to get_resource and get_attr. */
export interface ResourceView {
  readonly name: string;
  /** INIT before anything was created. */
  readonly action: string;
  readonly status: string;
  /** The result of get_resource: a physical id, a name, whatever the type says. */
  reference(): Value;
  hasAttribute(name: Value): boolean;
  /** The attribute, with the rest of the path applied; throws Fault InvalidTemplateAttribute where there is none. */
  attribute(name: Value, path: readonly Value[]): Value;
  /** All attributes but "show". */
  attributes(): Map<Key, Value>;
}

/** The facade that a nested template's resource_facade looks at: the resource in the parent stack that it implements. */
export interface Facade {
  metadata(): Value;
  deletionPolicy(): Value;
  updatePolicy(): Value;
}

/** What functions can see. `null` in its place means that there is no stack (a template on its own). */
export interface Scope {
  /** Throws Fault KeyError where the template has no such parameter. */
  parameter(name: string): Value;
  /** Whether the name is an enabled resource; throws TypeError for what cannot be a name. */
  hasResource(name: unknown): boolean;
  /** The enabled resource of this name; undefined where there is none. */
  resource(name: unknown): ResourceView | undefined;
  /** Whether a condition (by name, or already a boolean) holds. */
  condition(name: unknown): boolean;
  /** Parses a condition's expression in the template's condition language. */
  parseCondition(expression: Value, path: Path): Node;
  file(name: string): string | undefined;
  mapping(name: unknown): Value | undefined;
  availabilityZones(): Value;
  readonly facade: Facade | undefined;
}

export type MaybeScope = Scope | null;

/** Is told of each attribute that a node needs: the resource's name, the attribute ("*" for all), the path into it. */
export type AttributeVisitor = (resource: Value, attribute: Value, path: readonly Value[]) => void;

/** One use of a function in a template. */
export abstract class Call {
  readonly name: string;
  readonly args: Node;

  /** Throws Fault ValueError, TypeError or KeyError where the arguments have the wrong shape. */
  constructor(_scope: MaybeScope, name: string, args: Node) {
    this.name = name;
    this.args = args;
  }

  /** The function's value now. Throws where it has none. */
  abstract result(scope: MaybeScope): Value | Omit;

  /** Checks what can be checked before any resource exists. */
  validate(scope: MaybeScope): void {
    validateNode(this.args, scope);
  }

  /** Calls `found` for each resource that the value needs; `path` is Heat's text of where. */
  references(scope: MaybeScope, found: (name: string) => void, path: string): void {
    references(this.args, scope, found, `${path}.${this.name}`);
  }

  /** Calls `found` for each attribute that the value needs: the resource's name, the attribute, the path into it. */
  attributes(scope: MaybeScope, found: AttributeVisitor): void {
    attributeReferences(this.args, scope, found);
  }
}

/** Makes a call; a macro gets its arguments unparsed and a parser for them. */
export interface CallClass {
  new (scope: MaybeScope, name: string, args: Node): Call;
  readonly macro?: undefined;
}
export interface MacroClass {
  new (scope: MaybeScope, name: string, args: Value, parser: MacroParser): Call;
  readonly macro: true;
}
/** What a macro parses its arguments with: as part of the template, or as a condition. */
export interface MacroParser {
  parse(value: Value | Omit): Node;
  parseCondition(value: Value | Omit): Node;
}
/** Chooses the class by what the argument names (CFN's Ref: a resource or a parameter). */
export interface CallFactory {
  readonly choose: (scope: MaybeScope, args: Node) => CallClass;
  readonly macro?: undefined;
}
export type FunctionKind = CallClass | MacroClass | CallFactory;
/** The functions that a place in a template allows, and those of the conditions within it. */
export interface FunctionTable extends ReadonlyMap<string, FunctionKind> {
  readonly conditions?: FunctionTable;
}

/** Recognises the functions of `table` in a value. Throws StackValidationFailed with the path of the wrong one. */
export function parseNode(table: FunctionTable, scope: MaybeScope, value: Value | Omit): Node {
  if (value instanceof Map) {
    if (value.size === 1) {
      const [name, args] = value.entries().next().value!;
      const kind = typeof name === 'string' ? table.get(name) : undefined;
      if (kind) return parseCall(table, scope, kind, name as string, args);
    }
    const out: NodeMap = new Map();
    for (const [key, item] of value) {
      if (item === null || typeof item !== 'object') out.set(key, item);
      else
        out.set(
          key,
          at(key as string | number, () => parseNode(table, scope, item)),
        );
    }
    return out;
  }
  if (Array.isArray(value)) {
    return value.map((item, index) =>
      item === null || typeof item !== 'object' ? item : at(index, () => parseNode(table, scope, item)),
    );
  }
  return value;
}

/** Runs `work`, and puts `step` before the path of a Fault that it throws. */
export function at<T>(step: string | number, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof Fault) thrown.path.unshift(step);
    throw thrown;
  }
}

function parseCall(table: FunctionTable, scope: MaybeScope, kind: FunctionKind, name: string, args: Value): Node {
  try {
    if (kind.macro) {
      const parse = (value: Value | Omit): Node => at(name, () => parseNode(table, scope, value));
      const parseCondition = (value: Value | Omit): Node =>
        at(name, () => parseNode(table.conditions ?? table, scope, value));
      return new kind(scope, name, args, { parse, parseCondition });
    }
    const parsed = args !== null && typeof args === 'object' ? at(name, () => parseNode(table, scope, args)) : args;
    return 'choose' in kind ? new (kind.choose(scope, parsed))(scope, name, parsed) : new kind(scope, name, parsed);
  } catch (thrown) {
    if (
      thrown instanceof Fault &&
      (thrown.kind === 'ValueError' || thrown.kind === 'TypeError' || thrown.kind === 'KeyError')
    ) {
      throw new Fault('StackValidationFailed', thrown.heatMessage, {
        path: thrown.path.length > 0 ? thrown.path : [name],
      });
    }
    throw thrown;
  }
}

/** The value of a node with every function resolved; what is omitted is left out of lists and maps, and null on top. */
export function resolve(node: Node, scope: MaybeScope): Value {
  const value = resolveNullable(node, scope);
  return value === OMIT ? null : value;
}

/** As `resolve`, but keeps OMIT where the whole value is to be treated as not written. */
export function resolveNullable(node: Node, scope: MaybeScope): Value | Omit {
  if (node === null || typeof node !== 'object') return node as Value | Omit;
  if (node instanceof Call) return node.result(scope);
  if (!Array.isArray(node) && !(node instanceof Map)) return node;
  try {
    return Array.isArray(node) ? resolveList(node, scope) : resolveMap(node, scope);
  } catch (thrown) {
    // Heat resolves containers by generators, out of which Python lets no StopIteration.
    if (!(thrown instanceof Fault) || thrown.kind !== 'StopIteration') throw thrown;
    throw new Fault('RuntimeError', 'generator raised StopIteration');
  }
}

function resolveList(list: readonly Node[], scope: MaybeScope): Value[] {
  const out: Value[] = [];
  for (const item of list) {
    const value = resolveNullable(item, scope);
    if (value !== OMIT) out.push(value);
  }
  return out;
}

function resolveMap(map: NodeMap, scope: MaybeScope): Map<Key, Value> {
  const out = new Map<Key, Value>();
  for (const [key, item] of map) {
    const value = resolveNullable(item, scope);
    if (value !== OMIT) out.set(key, value);
  }
  return out;
}

/** Checks the calls in a node. Throws StackValidationFailed with the path. */
export function validateNode(node: Node, scope: MaybeScope): void {
  if (node === null || typeof node !== 'object') return;
  if (node instanceof Call) {
    try {
      node.validate(scope);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind === 'AssertionError') throw thrown;
      throw new Fault('StackValidationFailed', thrown.heatMessage, { path: [node.name] });
    }
  } else if (node instanceof Map) {
    for (const [key, item] of node) {
      if (item !== null && typeof item === 'object') at(key as string, () => validateNode(item, scope));
    }
  } else if (Array.isArray(node)) {
    node.forEach((item, index) => {
      if (item !== null && typeof item === 'object') at(index, () => validateNode(item, scope));
    });
  }
}

/** Calls `found` with the name of each resource that the node needs, in order; throws where one does not exist. */
export function references(node: Node, scope: MaybeScope, found: (name: string) => void, path = ''): void {
  if (node === null || typeof node !== 'object') return;
  if (node instanceof Call) node.references(scope, found, path);
  else if (node instanceof Map) {
    for (const [key, item] of node) {
      if (item !== null && typeof item === 'object') {
        at(key as string, () => references(item, scope, found, `${path}.${String(key)}`));
      }
    }
  } else if (Array.isArray(node)) {
    for (const [index, item] of node.entries()) {
      if (item !== null && typeof item === 'object') {
        at(index, () => references(item, scope, found, `${path}[${index}]`));
      }
    }
  }
}

/** Calls `found` for each attribute that the node needs. */
export function attributeReferences(node: Node, scope: MaybeScope, found: AttributeVisitor): void {
  if (node === null || typeof node !== 'object') return;
  if (node instanceof Call) node.attributes(scope, found);
  else if (node instanceof Map) for (const item of node.values()) attributeReferences(item, scope, found);
  else if (Array.isArray(node)) for (const item of node) attributeReferences(item, scope, found);
}

/** Whether a node holds any call. */
export function hasCall(node: Node): boolean {
  if (node === null || typeof node !== 'object') return false;
  if (node instanceof Call) return true;
  if (Array.isArray(node)) return node.some(hasCall);
  if (node instanceof Map) for (const item of node.values()) if (hasCall(item)) return true;
  return false;
}

/** The node as it was written: calls as maps of one entry again. */
export function unparse(node: Node): Value {
  if (node === OMIT) return null;
  if (node instanceof Call) return new Map([[node.name, unparse(node.args)]]);
  if (Array.isArray(node)) return node.map(unparse);
  if (node instanceof Map) return new Map([...node].map(([key, item]) => [key, unparse(item)]));
  return node as Value;
}
