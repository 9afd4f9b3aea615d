import { Fault } from '../faults.ts';
import type { Value } from '../values.ts';
export function parseYaql(expression: string): { text: string } {
  return { text: expression };
}
export function evaluateYaql(statement: { text: string }, _data: Value): Value {
  throw new Fault('ValueError', `yaql is not evaluated yet: ${statement.text}`);
}
