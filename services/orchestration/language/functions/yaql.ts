import { Call, type MaybeScope, type Node, resolve, validateNode } from '../calls.ts';
import { keyError } from '../faults.ts';
import type { Value } from '../values.ts';
import { evaluateYaql, parseYaql } from '../yaql/index.ts';
import { typeError } from './arguments.ts';

/** yaql: an expression of the query language over `data`. */
export class Yaql extends Call {
  private readonly expression: Node;
  private readonly data: Node;

  constructor(scope: MaybeScope, name: string, args: Node) {
    super(scope, name, args);
    if (!(args instanceof Map)) throw typeError(`Arguments to "${name}" must be a map.`);
    const expression = args.get('expression');
    const extra = [...args.keys()].some((key) => key !== 'expression' && key !== 'data');
    if (expression === undefined || extra) {
      const example = `${name}:
              expression: $.data.var1.sum()
              data:
                var1: [3, 2, 1]`;
      throw keyError(`"${name}" syntax should be ${example}`);
    }
    this.expression = expression;
    this.data = args.get('data') ?? (args.has('data') ? null : new Map());
  }

  override validate(scope: MaybeScope): void {
    validateNode(this.args, scope);
    if (!(this.expression instanceof Call)) this.parse(this.expression as Value);
  }

  private parse(expression: Value): ReturnType<typeof parseYaql> {
    if (typeof expression !== 'string') {
      throw typeError(`The "expression" argument to ${this.name} must contain a string.`);
    }
    return parseYaql(expression);
  }

  result(scope: MaybeScope): Value {
    const statement = this.parse(resolve(this.expression, scope));
    return evaluateYaql(statement, new Map([['data', resolve(this.data, scope)]]));
  }
}
