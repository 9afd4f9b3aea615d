import {
  type AttributeVisitor,
  attributeReferences,
  Call,
  type MacroParser,
  type MaybeScope,
  type Node,
  OMIT,
  type Omit,
  references,
  resolve,
  resolveNullable,
  validateNode,
} from '../calls.ts';
import { Fault } from '../faults.ts';
import { text } from '../render.ts';
import { equal, truthy, type Value } from '../values.ts';
import { typeError, unpack, valueError } from './arguments.ts';

/** Conditions and what branches on them. */

/** `if`: a macro: it chooses while the template is parsed, so that the branch not taken is never looked at. */
export class If extends Call {
  static readonly macro = true as const;
  readonly parsed: Node;

  constructor(scope: MaybeScope, name: string, args: Value, parser: MacroParser) {
    super(scope, name, args);
    const branches = this.branches(args);
    if (!branches) {
      throw valueError(`Arguments to "${name}" must be of the form: [condition_name, value_if_true, value_if_false]`);
    }
    const [expression, yes, no] = branches;
    const condition = resolve(parser.parseCondition(expression), scope);
    this.parsed = parser.parse(holds(scope, condition) ? yes : no);
  }

  /** The condition and the two branches, or undefined where the arguments have the wrong shape. */
  protected branches(args: Value): [Value | Omit, Value | Omit, Value | Omit] | undefined {
    return Array.isArray(args) && args.length === 3 ? [args[0]!, args[1]!, args[2]!] : undefined;
  }

  result(scope: MaybeScope): Value | Omit {
    return resolveNullable(this.parsed, scope);
  }
  override validate(scope: MaybeScope): void {
    validateNode(this.parsed, scope);
  }
  override references(scope: MaybeScope, found: (name: string) => void, path: string): void {
    references(this.parsed, scope, found, `${path}.${this.name}`);
  }
  override attributes(scope: MaybeScope, found: AttributeVisitor): void {
    attributeReferences(this.parsed, scope, found);
  }
}

/** `if` from 2021-04-16: without a third argument, a false condition removes the item around it. */
export class IfNullable extends If {
  protected override branches(args: Value): [Value | Omit, Value | Omit, Value | Omit] | undefined {
    if (Array.isArray(args) && args.length === 2) return [args[0]!, args[1]!, OMIT];
    return super.branches(args);
  }
}

/** `equals`: whether two values are the same, as Python sees it (1 equals 1.0 and true). */
export class Equals extends Call {
  private readonly values: Node[];

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    if (!Array.isArray(args) || args.length !== 2) {
      throw valueError(`Arguments to "${name}" must be of the form: [value_1, value_2]`);
    }
    this.values = args;
  }

  result(scope: MaybeScope): Value {
    const [first, second] = this.values.map((node) => resolve(node, scope));
    return equal(first, second);
  }
}

function holds(scope: MaybeScope, condition: Value): boolean {
  if (typeof condition === 'boolean') return condition;
  // Without a stack there is nothing that could have named a condition.
  if (!scope) throw valueError(`Invalid condition "${text(condition)}"`);
  return scope.condition(condition);
}

/** `not`: the opposite of one condition. */
export class Not extends Call {
  protected readonly condition: Node;

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    this.condition = this.read();
  }

  protected read(): Node {
    if (this.args === null) throw valueError(`Argument to "${this.name}" must be a condition`);
    return this.args;
  }

  result(scope: MaybeScope): Value {
    return !holds(scope, resolve(this.condition, scope));
  }
}

/** Fn::Not: its condition stands in a list. */
export class CfnNot extends Not {
  protected override read(): Node {
    if (!Array.isArray(this.args) || this.args.length !== 1) {
      throw valueError(`Arguments to "${this.name}" must be of the form: [condition]`);
    }
    return this.args[0]!;
  }
}

abstract class Several extends Call {
  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    if (!Array.isArray(args)) throw valueError(`Arguments to "${name}" must be a list of conditions`);
    if (args.length < 2) throw valueError(`The minimum number of condition arguments to "${name}" is 2.`);
  }

  protected conditions(scope: MaybeScope): Value[] {
    return resolve(this.args, scope) as Value[];
  }
}

/** `and`: whether all conditions hold. */
export class And extends Several {
  result(scope: MaybeScope): Value {
    return this.conditions(scope).every((condition) => holds(scope, condition));
  }
}

/** `or`: whether any condition holds. */
export class Or extends Several {
  result(scope: MaybeScope): Value {
    return this.conditions(scope).some((condition) => holds(scope, condition));
  }
}

/** `contains`: whether a value is in a list, or a text in a text. */
export class Contains extends Call {
  private readonly values: Node[];

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    if (!Array.isArray(args) || !truthy(args)) {
      throw typeError(`Incorrect arguments to "${name}" should be: "${name}" : [ "value1", [ "value1", "value2"]]`);
    }
    try {
      this.values = unpack(args, 2);
    } catch {
      throw valueError(`Arguments to "${name}" must be of the form: [value1, [value1, value2]]`);
    }
  }

  result(scope: MaybeScope): Value {
    const [value, sequence] = this.values.map((node) => resolve(node, scope)) as [Value, Value];
    if (typeof sequence === 'string') {
      if (typeof value !== 'string') throw typeError(`'in <string>' requires string as left operand`);
      return sequence.includes(value);
    }
    if (!Array.isArray(sequence)) throw typeError(`Second argument to "${this.name}" should be a sequence.`);
    return sequence.some((item) => equal(item, value));
  }
}

/** A function of the template language that the condition language lacks. */
export class Invalid extends Call {
  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    throw valueError(`The function "${name}" is invalid in this context`);
  }
  result(): Value {
    return null;
  }
}

/** A function of an older version: refused when the template is validated, a plain map until then. */
export class Removed extends Call {
  override validate(): void {
    throw new Fault(
      'InvalidTemplateVersion',
      `The template version is invalid: The function ${this.name} is not supported in this version of HOT.`,
    );
  }
  result(): Value {
    return new Map([[this.name, this.args as Value]]);
  }
}
