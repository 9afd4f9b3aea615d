import type { Parameter, Parameters } from './parameters.ts';
import { constraintKind } from './schema.ts';
import { type Plain, toPlain, truthy, type Value } from './values.ts';

/** What POST /validate says of parameters: CFN's words whatever the template's format. */

const TYPES: Record<string, string> = {
  String: 'String',
  Number: 'Number',
  List: 'CommaDelimitedList',
  Map: 'Json',
  Boolean: 'Boolean',
};

/** One parameter: type, default, value, constraints. Hidden values are shown as Heat does: it is the caller's own input. */
export function describeParameter(parameter: Parameter): { [key: string]: Plain } {
  const { schema } = parameter;
  const out: { [key: string]: Plain } = {
    Type: TYPES[schema.type] ?? schema.type,
    Description: truthy(schema.description) ? toPlain(schema.description) : '',
    NoEcho: schema.hidden ? 'true' : 'false',
    Label: truthy(schema.label) ? toPlain(schema.label) : parameter.name,
  };
  if (parameter.default !== null) out.Default = toPlain(parameter.default);
  if (truthy(parameter.userValue)) out.Value = toPlain(parameter.userValue);
  if (truthy(schema.tags)) out.Tags = toPlain(schema.tags);
  const descriptions: string[] = [];
  for (const constraint of schema.constraints) {
    const kind = constraintKind(constraint);
    if (constraint.description !== undefined) descriptions.push(constraint.description);
    const { range, length, modulo } = constraint;
    if (range?.min !== undefined) out.MinValue = range.min;
    if (range?.max !== undefined) out.MaxValue = range.max;
    if (length?.min !== undefined) out.MinLength = length.min;
    if (length?.max !== undefined) out.MaxLength = length.max;
    if (modulo) Object.assign(out, { Step: modulo.step, Offset: modulo.offset });
    if (kind === 'allowed_values') out.AllowedValues = (constraint.allowed_values as Value[]).map(toPlain);
    if (kind === 'allowed_pattern') out.AllowedPattern = constraint.allowed_pattern!;
    if (kind === 'custom_constraint') out.CustomConstraint = constraint.custom_constraint!;
  }
  if (descriptions.length > 0) out.ConstraintDescription = descriptions.join(' ');
  return out;
}

/** All of a template's own parameters, by name. */
export function describeParameters(parameters: Parameters): { [name: string]: Plain } {
  const out: { [name: string]: Plain } = {};
  for (const [name, parameter] of parameters.all) {
    if (!parameters.pseudoNames.has(name)) out[name] = describeParameter(parameter);
  }
  return out;
}
