import { keyError } from '../faults.ts';
import { type Key, truthy } from '../values.ts';
import { converted, type Definition, fits, overloads } from './library.ts';
import type { Expression } from './parser.ts';
import { Context, isList, Lambda, Rule, Stream, withinQuota, type Y, yaqlFault } from './runtime.ts';
import { pythonStr } from './shown.ts';

/** Evaluates an expression. Throws Fault with the class that yaql raises. */
export function evaluate(expression: Expression, context: Context): Y {
  context.step();
  switch (expression.kind) {
    case 'constant':
      return expression.value;
    case 'word':
      return expression.name;
    case 'variable':
      return context.get(expression.name);
    case 'list':
      return expression.args.map((arg) => evaluate(arg, context));
    case 'map':
      return buildMap(expression.args, context);
    case 'rule':
      return new Rule(evaluate(expression.source, context), evaluate(expression.destination, context));
    case 'index':
      return invoke('#index', undefined, [expression.value, ...expression.args], context);
    case 'unary':
      return unary(expression.operator, expression.operand, context);
    case 'binary':
      return binary(expression.operator, expression.left, expression.right, context);
    case 'call':
      return invoke(expression.name, undefined, expression.args, context);
  }
}

function buildMap(args: Expression[], context: Context): Y {
  const out = new Map<Key, Y>();
  for (const arg of args) {
    if (arg.kind !== 'rule')
      throw yaqlFault('NoMatchingFunctionException', 'No function "#map" matches supplied arguments');
    out.set(evaluate(arg.source, context) as Key, evaluate(arg.destination, context));
  }
  return out;
}

function unary(operator: string, operand: Expression, context: Context): Y {
  if (operator === 'not') return !truthy(evaluate(operand, context));
  return invoke(`#unary_${operator}`, undefined, [operand], context);
}

function binary(operator: string, left: Expression, right: Expression, context: Context): Y {
  switch (operator) {
    case 'and': {
      const value = evaluate(left, context);
      return truthy(value) ? evaluate(right, context) : value;
    }
    case 'or': {
      const value = evaluate(left, context);
      return truthy(value) ? value : evaluate(right, context);
    }
    case '.':
      return dot(evaluate(left, context), right, context);
    case '?.': {
      const value = evaluate(left, context);
      return value === null ? null : dot(value, right, context);
    }
    case '->': {
      const inner = evaluate(left, context);
      if (!(inner instanceof Context)) {
        throw yaqlFault('NoMatchingFunctionException', 'No function "#operator_->" matches supplied arguments');
      }
      return evaluate(right, inner);
    }
    default:
      return invoke(`#operator_${operator}`, undefined, [left, right], context);
  }
}

/** What follows a dot: a key of a map, the same of each item of a list, or a method. */
function dot(receiver: Y, right: Expression, context: Context): Y {
  if (right.kind === 'word') {
    if (receiver instanceof Map) {
      const value = receiver.get(right.name);
      if (value === undefined) throw keyError(right.name);
      return value;
    }
    if (isList(receiver)) {
      const list = converted('list', receiver) as Y[];
      return new Stream(mapped(list, (item) => dot(item, right, context)));
    }
    throw yaqlFault('NoFunctionRegisteredException', `Unknown function "#property#${right.name}"`);
  }
  if (right.kind === 'call') return invoke(right.name, receiver, right.args, context);
  return evaluate(right, context);
}

export function* mapped(source: Iterable<Y>, change: (item: Y) => Y): Generator<Y> {
  for (const item of source) yield change(item);
}

/** Calls a function, or a method of `receiver`, choosing among its definitions by what is given. */
export function invoke(name: string, receiver: Y | undefined, args: readonly Expression[], context: Context): Y {
  const own = receiver === undefined ? context.defined(name) : undefined;
  if (own) return own.call(args.map((arg) => evaluate(arg, context)));
  const candidates = overloads(name).filter(
    (one) => one.form === 'both' || (one.form === 'method') === (receiver !== undefined),
  );
  if (candidates.length === 0) {
    throw receiver === undefined
      ? yaqlFault('NoFunctionRegisteredException', `Unknown function "${name}"`)
      : yaqlFault('NoMethodRegisteredException', `Unknown method "${name}" for receiver ${pythonStr(receiver)}`);
  }
  const call = new Call(receiver, args, context);
  for (const candidate of candidates) {
    const values = call.bind(candidate);
    if (values) return withinQuota(candidate.run(values, context));
  }
  throw receiver === undefined
    ? yaqlFault('NoMatchingFunctionException', `No function "${name}" matches supplied arguments`)
    : yaqlFault(
        'NoMatchingMethodException',
        `No method "${name}" for receiver ${pythonStr(receiver)} matches supplied arguments`,
      );
}

/** The arguments of one call, each evaluated at most once whichever definitions are tried. */
class Call {
  private readonly receiver: Y | undefined;
  private readonly positional: Expression[];
  private readonly named = new Map<string, Expression>();
  private readonly rules: readonly Expression[];
  private readonly context: Context;
  private readonly values = new Map<Expression, Y>();

  constructor(receiver: Y | undefined, args: readonly Expression[], context: Context) {
    this.receiver = receiver;
    this.context = context;
    this.rules = args;
    this.positional = args.filter((arg) => arg.kind !== 'rule');
    for (const arg of args)
      if (arg.kind === 'rule' && arg.source.kind === 'word') this.named.set(arg.source.name, arg.destination);
  }

  /** The values for a definition's parameters, or undefined where they do not fit. */
  bind(definition: Definition): Y[] | undefined {
    const takesRules = definition.parameters.some((one) => one.kind === 'rule');
    const given: (Expression | Y)[] = takesRules ? [...this.rules] : [...this.positional];
    const named = new Map(takesRules ? [] : this.named);
    const out: Y[] = [];
    let next = 0;
    let useReceiver = this.receiver !== undefined;
    for (const parameter of definition.parameters) {
      if (parameter.rest) {
        if (useReceiver) {
          useReceiver = false;
          if (!fits(parameter.kind, this.receiver!)) return undefined;
          out.push(converted(parameter.kind, this.receiver!));
        }
        for (; next < given.length; next++) {
          const value = this.value(given[next] as Expression, parameter.kind);
          if (!fits(parameter.kind, value)) return undefined;
          out.push(converted(parameter.kind, value));
        }
        continue;
      }
      let value: Y;
      if (useReceiver) {
        useReceiver = false;
        value = this.receiver!;
      } else if (next < given.length) value = this.value(given[next++] as Expression, parameter.kind);
      else if (named.has(parameter.name)) {
        value = this.value(named.get(parameter.name)!, parameter.kind);
        named.delete(parameter.name);
      } else if (parameter.optional) {
        out.push(ABSENT);
        continue;
      } else return undefined;
      if (!fits(parameter.kind, value)) return undefined;
      out.push(converted(parameter.kind, value));
    }
    return next < given.length || named.size > 0 ? undefined : out;
  }

  private value(expression: Expression, kind: string): Y {
    if (kind === 'lambda') return this.lambda(expression);
    if (kind === 'rule' && expression.kind === 'rule') {
      return new Rule(this.lambda(expression.source), this.lambda(expression.destination));
    }
    let value = this.values.get(expression);
    if (value === undefined) {
      value = evaluate(expression, this.context);
      this.values.set(expression, value);
    }
    return value;
  }

  private lambda(expression: Expression): Lambda {
    return new Lambda((args, context) => {
      const inner = new Context(context ?? this.context);
      for (const [index, arg] of args.entries()) inner.set(String(index + 1), arg);
      return evaluate(expression, inner);
    });
  }
}

/** Stands in the argument list for an optional parameter that was not given. */
export const ABSENT: Y = undefined as unknown as Y;
