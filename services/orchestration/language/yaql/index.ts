import { Fault } from '../faults.ts';
import type { Value } from '../values.ts';
import { evaluate } from './evaluate.ts';
import './changes.ts';
import './lists.ts';
import './maps.ts';
import './numbers.ts';
import './texts.ts';
import { YaqlSyntaxError } from './lexer.ts';
import { type Expression, parse } from './parser.ts';
import { Context, fromValue, toValue } from './runtime.ts';

/**
 * yaql, the query language of OpenStack, as Heat runs it: 200 elements a collection, 10 kB a result. The grammar is
 * complete but for delegates (which Heat leaves off) and skipped arguments ("[1,,2]"). Of the standard library it lacks what
 * depends on the moment or on chance (now, datetime, random), call(), characters(), replaceBy() and generateMany(). Sets
 * come out in the order in which they were filled, not in Python's, which nobody can foresee.
 */

const parsed = new Map<string, Expression>();
const MOST_KEPT = 500;

/** Parses an expression. Throws Fault ValueError in Heat's words. */
export function parseYaql(source: string): Expression {
  let expression = parsed.get(source);
  if (!expression) {
    try {
      expression = parse(source);
    } catch (thrown) {
      if (!(thrown instanceof YaqlSyntaxError)) throw thrown;
      throw new Fault('ValueError', `Bad expression ${thrown.message}.`);
    }
    if (parsed.size >= MOST_KEPT) parsed.clear();
    parsed.set(source, expression);
  }
  return expression;
}

/** Evaluates an expression with `$` as the data. Throws Fault with yaql's class for what went wrong. */
export function evaluateYaql(expression: Expression, data: Value): Value {
  const context = new Context();
  context.set('$', fromValue(data));
  try {
    return toValue(evaluate(expression, context));
  } catch (thrown) {
    if (thrown instanceof RangeError) {
      throw new Fault('RecursionError', 'maximum recursion depth exceeded in a yaql expression');
    }
    throw thrown;
  }
}
