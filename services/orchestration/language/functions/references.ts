import {
  type AttributeVisitor,
  Call,
  type CallFactory,
  type MaybeScope,
  type Node,
  type ResourceView,
  resolve,
  type Scope,
} from '../calls.ts';
import { Fault, keyError } from '../faults.ts';
import { repr, text } from '../render.ts';
import { isInteger, type Key, truthy, typeName, type Value } from '../values.ts';
import { itemAt, toInteger, typeError, unpack, valueError } from './arguments.ts';

/** The functions that look outside their own arguments: at parameters, resources, files, the facade. */

function stackOf(scope: MaybeScope): Scope {
  if (!scope) throw new Fault('AssertionError', 'No stack definition in Function');
  return scope;
}

/** get_param: a parameter's value, or what a path in it leads to; '' where the path leads nowhere. */
export class GetParam extends Call {
  result(scope: MaybeScope): Value {
    const stack = stackOf(scope);
    const args = resolve(this.args, scope);
    if (!truthy(args)) throw valueError(`Function "${this.name}" must have arguments`);
    if (typeof args !== 'string' && !Array.isArray(args)) {
      throw typeError(`Argument to "${this.name}" must be string or list`);
    }
    const [name, path] = typeof args === 'string' ? [args, []] : [args[0]!, args.slice(1)];
    if (typeof name !== 'string') throw typeError(`Parameter name in "${this.name}" must be string`);
    let value: Value;
    try {
      value = stack.parameter(name);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'KeyError') throw thrown;
      throw new Fault('UserParameterMissing', `The Parameter (${name}) was not provided.`);
    }
    for (const step of path) {
      const next = stepInto(value, step);
      if (next === undefined) return '';
      value = next;
    }
    return value;
  }
}

/** One step of get_param's path; texts count as lists of their characters, and digits as indexes of lists. */
function stepInto(value: Value, step: Value): Value | undefined {
  if (value instanceof Map) {
    return typeof step === 'string' || typeof step === 'number' ? (value.get(step) as Value | undefined) : undefined;
  }
  const list = typeof value === 'string' ? [...value] : value;
  if (!Array.isArray(list)) return undefined;
  if (typeof step !== 'string' && typeof step !== 'number' && typeof step !== 'boolean') return undefined;
  try {
    return itemAt<Value>(list, toInteger(step));
  } catch {
    return undefined;
  }
}

function resourceOf(scope: MaybeScope, name: Value, path = 'unknown'): ResourceView {
  if (!scope) throw typeError("'NoneType' object is not subscriptable");
  if (Array.isArray(name) || name instanceof Map) {
    throw typeError(`unhashable type: '${Array.isArray(name) ? 'list' : 'dict'}'`);
  }
  const found = scope.resource(name);
  if (!found) {
    throw new Fault('InvalidTemplateReference', `The specified reference "${text(name)}" (in ${path}) is incorrect.`);
  }
  return found;
}

/** get_resource: a resource's reference id. */
export class GetResource extends Call {
  override references(scope: MaybeScope, found: (name: string) => void, path: string): void {
    super.references(scope, found, path);
    found(resourceOf(scope, resolve(this.args, scope), path).name);
  }

  result(scope: MaybeScope): Value {
    return resourceOf(scope, resolve(this.args, scope)).reference();
  }
}

const READY = new Set(['CREATE', 'ADOPT', 'SUSPEND', 'RESUME', 'UPDATE', 'ROLLBACK', 'SNAPSHOT', 'CHECK']);
const READY_ALL = new Set(['CREATE', 'ADOPT', 'SUSPEND', 'RESUME', 'UPDATE', 'CHECK', 'SNAPSHOT']);

/** get_attr of 2013-05-23: the attribute is fetched whole, and the path applied afterwards. */
export class GetAttThenSelect extends Call {
  readonly resourceName: Node;
  readonly attribute: Node;
  readonly path: Node[];

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    [this.resourceName, this.attribute, this.path] = this.parseArguments();
  }

  protected parseArguments(): [Node, Node, Node[]] {
    if (!Array.isArray(this.args)) throw typeError(`Argument to "${this.name}" must be a list`);
    if (this.args.length < 2) {
      throw valueError(`Arguments to "${this.name}" must be of the form [resource_name, attribute, (path), ...]`);
    }
    return [this.args[0]!, this.args[1]!, this.args.slice(2)];
  }

  protected allAttributes(): boolean {
    return false;
  }

  override references(scope: MaybeScope, found: (name: string) => void, path: string): void {
    super.references(scope, found, path);
    found(this.view(scope, path).name);
  }

  override attributes(scope: MaybeScope, found: AttributeVisitor): void {
    super.attributes(scope, found);
    let needed: [Value, Value, Value[]];
    try {
      const name = resolve(this.resourceName, scope);
      needed = this.allAttributes() ? [name, '*', []] : [name, resolve(this.attribute, scope), this.pathNow(scope)];
    } catch (thrown) {
      // A name that cannot be worked out yet needs nothing yet.
      if (thrown instanceof Fault) return;
      throw thrown;
    }
    found(...needed);
  }

  protected view(scope: MaybeScope, path?: string): ResourceView {
    return resourceOf(scope, resolve(this.resourceName, scope), path);
  }

  protected pathNow(scope: MaybeScope): Value[] {
    return resolve(this.path, scope) as Value[];
  }

  override validate(scope: MaybeScope): void {
    super.validate(scope);
    const view = this.view(scope);
    if (this.allAttributes()) return;
    const attribute = resolve(this.attribute, scope);
    if (!view.hasAttribute(attribute)) {
      const name = text(resolve(this.resourceName, scope));
      throw new Fault(
        'InvalidTemplateAttribute',
        `The Referenced Attribute (${name} ${text(attribute)}) is incorrect.`,
      );
    }
  }

  result(scope: MaybeScope): Value {
    const attribute = resolve(this.attribute, scope);
    const view = this.view(scope);
    if (!READY.has(view.action)) return null;
    const value = view.attribute(attribute, []);
    return value === null ? null : selectFromAttribute(value, this.pathNow(scope));
  }
}

/** get_attr from 2014-10-16: the path goes to the resource. */
export class GetAtt extends GetAttThenSelect {
  override result(scope: MaybeScope): Value {
    const path = this.pathNow(scope);
    const attribute = resolve(this.attribute, scope);
    const view = this.view(scope);
    return READY.has(view.action) ? view.attribute(attribute, path) : null;
  }
}

/** get_attr from 2015-10-15: without an attribute it gives all of them. */
export class GetAttAllAttributes extends GetAtt {
  protected override parseArguments(): [Node, Node, Node[]] {
    const { args } = this;
    if (args instanceof Call) throw typeError(`Argument to "${this.name}" must be a list`);
    if (!truthy(args)) {
      throw valueError(
        `Arguments to "${this.name}" can be of the next forms: [resource_name] or [resource_name, attribute, (path), ...]`,
      );
    }
    const list = typeof args === 'string' ? [...args] : args;
    if (!Array.isArray(list)) throw typeError(`Argument to "${this.name}" must be a list`);
    return list.length > 1 ? super.parseArguments() : [list[0]!, null, []];
  }

  protected override allAttributes(): boolean {
    return this.attribute === null;
  }

  override result(scope: MaybeScope): Value {
    if (!this.allAttributes()) return super.result(scope);
    const view = this.view(scope);
    const ready = (view.status === 'IN_PROGRESS' || view.status === 'COMPLETE') && READY_ALL.has(view.action);
    return ready ? view.attributes() : null;
  }
}

/** CFN's Fn::GetAtt: exactly a resource and an attribute. */
export class CfnGetAtt extends GetAttThenSelect {
  protected override parseArguments(): [Node, Node, Node[]] {
    try {
      const [resource, attribute] = unpack(this.args, 2);
      return [resource!, attribute!, []];
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
      throw valueError(`Arguments to "${this.name}" must be of the form [resource_name, attribute]`);
    }
  }
}

/** What a path in an attribute's value leads to; null where it leads nowhere. */
export function selectFromAttribute(value: Value, path: readonly Value[]): Value {
  for (const step of path) {
    let next: Value | undefined;
    if (value instanceof Map) next = isKey(step) ? value.get(step as Key) : undefined;
    else if (typeof step === 'number' && (Array.isArray(value) || typeof value === 'string')) {
      next = itemAt<Value>(typeof value === 'string' ? [...value] : value, step);
    }
    if (next === undefined) return null;
    value = next;
  }
  return value;
}

function isKey(step: Value): boolean {
  return typeof step === 'string' || typeof step === 'number' || typeof step === 'boolean';
}

/** CFN's Ref of a parameter. */
export class ParamRef extends Call {
  result(scope: MaybeScope): Value {
    const stack = stackOf(scope);
    const name = resolve(this.args, scope);
    if (Array.isArray(name) || name instanceof Map) {
      throw typeError(`unhashable type: '${Array.isArray(name) ? 'list' : 'dict'}'`);
    }
    try {
      return stack.parameter(name as string);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'KeyError') throw thrown;
      throw new Fault('InvalidTemplateReference', `The specified reference "${text(name)}" (in unknown) is incorrect.`);
    }
  }
}

/** CFN's Ref: of a resource where there is one of that name, else of a parameter. */
export const Ref: CallFactory = {
  choose: (scope, args) => (scope === null || scope.hasResource(args) ? GetResource : ParamRef),
};

/** get_file: the text of a file that came with the template. */
export class GetFile extends Call {
  result(scope: MaybeScope): Value {
    const stack = stackOf(scope);
    const name = resolve(this.args, scope);
    if (typeof name !== 'string') throw typeError(`Argument to "${this.name}" must be a string`);
    const content = stack.file(name);
    if (content === undefined) {
      throw valueError(`No content found in the "files" section for ${this.name} path: ${name}`);
    }
    return content;
  }
}

/** Fn::FindInMap: a value of the Mappings section. */
export class FindInMap extends Call {
  private readonly keys: Node[];

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    try {
      this.keys = unpack(args, 3);
    } catch (thrown) {
      if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
      throw keyError(thrown.reason);
    }
  }

  result(scope: MaybeScope): Value {
    if (!scope) throw new Fault('AttributeError', "'NoneType' object has no attribute 't'");
    const [map, key, item] = this.keys.map((node) => resolve(node, scope));
    let value: Value | undefined = scope.mapping(map);
    if (value === undefined) throw missing(map);
    for (const step of [key, item]) value = picked(value, step ?? null);
    return value;
  }
}

/** Python's value[step]. */
function picked(value: Value, step: Value): Value {
  if (value instanceof Map) {
    const found = value.get(step as Key);
    if (found === undefined) throw missing(step);
    return found;
  }
  const list = typeof value === 'string' ? [...value] : value;
  if (!Array.isArray(list)) throw typeError(`'${typeName(value)}' object is not subscriptable`);
  if (!isInteger(step)) throw typeError(`list indices must be integers or slices, not ${typeName(step)}`);
  const found = itemAt<Value>(list, toInteger(step));
  if (found === undefined) throw new Fault('IndexError', 'list index out of range');
  return found;
}

function missing(key: Value | undefined): Fault {
  if (Array.isArray(key) || key instanceof Map) return typeError(`unhashable type: '${typeName(key)}'`);
  return new Fault('KeyError', repr(key ?? null));
}

/** Fn::GetAZs: the availability zones. */
export class GetAZs extends Call {
  result(scope: MaybeScope): Value {
    return scope ? scope.availabilityZones() : ['nova'];
  }
}

/** resource_facade: a field of the resource in the parent's template that this template implements. */
class Facade extends Call {
  protected readonly fields: readonly string[] = ['metadata', 'deletion_policy', 'update_policy'];

  protected check(scope: MaybeScope): void {
    if (!this.fields.includes(this.asked(scope))) {
      throw valueError(`Incorrect arguments to "${this.name}" should be one of: ${this.fields.join(', ')}`);
    }
  }

  /** The field's name; a function in its place is worked out at once, as comparing it makes Heat do. */
  private asked(scope: MaybeScope): string {
    if (!(this.args instanceof Call)) return typeof this.args === 'string' ? this.args : '';
    try {
      return text(resolve(this.args, scope));
    } catch (thrown) {
      if (thrown instanceof Fault && (thrown.kind === 'TypeError' || thrown.kind === 'ValueError')) return '';
      throw thrown;
    }
  }

  result(scope: MaybeScope): Value {
    const index = this.fields.indexOf(this.asked(scope));
    if (!scope) throw new Fault('AttributeError', "'NoneType' object has no attribute 'parent_resource'");
    const { facade } = scope;
    if (!facade)
      throw new Fault('AttributeError', `'NoneType' object has no attribute '${index === 0 ? 'metadata_get' : 't'}'`);
    return index === 0 ? facade.metadata() : index === 1 ? facade.deletionPolicy() : facade.updatePolicy();
  }
}

export class ResourceFacade extends Facade {
  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    this.check(scope);
  }
}

export class CfnResourceFacade extends Facade {
  protected override readonly fields = ['Metadata', 'DeletionPolicy', 'UpdatePolicy'];
  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    this.check(scope);
  }
}
