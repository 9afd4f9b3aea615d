import { type Node, parseNode, resolve, validateNode } from './calls.ts';
import { Fault, within } from './faults.ts';
import { text } from './render.ts';
import type { StackScope } from './scope.ts';
import { sectionOf } from './template.ts';
import { type Dict, typeName, type Value } from './values.ts';

export interface Output {
  readonly name: string;
  /** Null where a condition switches the output off. */
  readonly value: Node;
  readonly description: Value;
}

/** Reads the outputs section. Throws StackValidationFailed with the path. */
export function readOutputs(scope: StackScope): Map<string, Output> {
  const { template } = scope;
  const { format } = template;
  const section = format.sections.outputs;
  const out = new Map<string, Output>();
  for (const [key, declared] of sectionOf(template, section)) {
    const name = text(key);
    const path = [section, name];
    const fail = (reason: string): Fault =>
      new Fault('StackValidationFailed', reason, { error: 'Output validation error', path });
    if (!(declared instanceof Map))
      throw fail(`Output definitions must be a map. Found a ${typeName(declared)} instead`);
    const expression = declared.get(format.output.value);
    if (expression === undefined) throw fail(`Each output definition must contain a ${format.output.value} key.`);
    const description = declared.get(format.output.description) ?? null;
    try {
      const enabled = format.output.condition === undefined || outputEnabled(scope, declared, format.output.condition);
      out.set(name, { name, value: enabled ? parseNode(format.functions, scope, expression) : null, description });
    } catch (thrown) {
      if (thrown instanceof Fault) thrown.path.unshift(...path, format.output.value);
      throw thrown;
    }
  }
  return out;
}

function outputEnabled(scope: StackScope, declared: Dict, key: string): boolean {
  const expression = scope.parseCondition(declared.get(key) ?? null, []);
  try {
    return scope.condition(resolve(expression, scope));
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.kind !== 'ValueError') throw thrown;
    throw new Fault('StackValidationFailed', thrown.reason);
  }
}

/** Throws StackValidationFailed where the output's value can never be worked out. */
export function validateOutput(scope: StackScope, output: Output): void {
  try {
    validateNode(output.value, scope);
  } catch (thrown) {
    if (!(thrown instanceof Fault) || thrown.kind !== 'StackValidationFailed') throw thrown;
    const { sections, output: keys } = scope.template.format;
    throw within(thrown, [sections.outputs, output.name, keys.value]);
  }
}
