import { Call, type Node, parseNode, resolve, type Scope, validateNode } from './calls.ts';
import { Fault } from './faults.ts';
import { text } from './render.ts';
import type { Template } from './template.ts';
import { typeName, type Value } from './values.ts';

const ERROR = 'Condition validation error';

/** A template's conditions, each worked out when first asked for. */
export class Conditions {
  readonly definitions = new Map<string, Node>();
  private readonly results = new Map<string, boolean | 'in progress'>();
  private readonly scope: Scope;
  private readonly section: string;

  /** Throws StackValidationFailed where the section or an expression cannot be parsed. */
  constructor(template: Template, scope: Scope) {
    this.scope = scope;
    const { conditions: section } = template.format.sections;
    this.section = section ?? 'conditions';
    const declared = section === undefined ? undefined : template.tree.get(section);
    if (declared === undefined) return;
    if (!(declared instanceof Map)) {
      throw new Fault(
        'StackValidationFailed',
        `Condition definitions must be a map. Found a ${typeName(declared)} instead`,
        { error: 'Conditions validation error', place: [this.section] },
      );
    }
    for (const [name, expression] of declared) {
      try {
        this.definitions.set(name as string, parseNode(template.format.conditionFunctions, scope, expression));
      } catch (thrown) {
        if (thrown instanceof Fault) thrown.path.unshift(this.section, text(name));
        throw thrown;
      }
    }
  }

  /** Throws StackValidationFailed where a definition is no condition. */
  validate(): void {
    for (const [name, definition] of this.definitions) {
      this.check(name, definition);
      validateNode(definition, this.scope);
    }
  }

  private check(name: string, definition: Node): void {
    if (typeof definition === 'boolean' || definition instanceof Call) return;
    throw new Fault('StackValidationFailed', `The definition of condition "${name}" is invalid: ${text(definition)}`, {
      error: ERROR,
      place: [this.section, name],
    });
  }

  /** Whether the condition holds; null stands for no condition. Throws ValueError for an unknown name. */
  holds(name: unknown): boolean {
    if (name === null || name === undefined) return true;
    if (typeof name === 'boolean') return name;
    const definition = typeof name === 'string' ? this.definitions.get(name) : undefined;
    if (definition === undefined) throw new Fault('ValueError', `Invalid condition "${text(name)}"`);
    const key = name as string;
    const known = this.results.get(key);
    if (known === 'in progress') {
      throw new Fault('StackValidationFailed', `Circular definition for condition "${key}"`, {
        error: ERROR,
        place: [this.section, key],
      });
    }
    if (known !== undefined) return known;
    this.results.set(key, 'in progress');
    const value: Value = resolve(definition, this.scope);
    this.check(key, value);
    this.results.set(key, value as boolean);
    return value as boolean;
  }
}
