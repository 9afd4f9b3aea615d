import type { AttributeSchema, ResourceType } from './catalog.ts';
import { Fault } from './faults.ts';
import type { Limits } from './limits.ts';
import { type ParameterSchema, parameterSchema } from './parameter-schema.ts';
import type { PropertySchema } from './properties.ts';
import { text } from './render.ts';
import { checkConstraintFits } from './schema.ts';
import type { Files } from './scope.ts';
import { parseTemplate, sectionOf, type Template } from './template.ts';
import type { Dict, Value } from './values.ts';

/** A resource type made from a template: its parameters are the properties, its outputs the attributes. */
export interface TemplateType {
  readonly type: ResourceType;
  readonly file: string;
  /** Undefined where the template could not be read; `problem` says why. */
  readonly template: Template | undefined;
  readonly problem: Fault | undefined;
}

/**
 * Reads a template type from the files that came with the stack. A missing or unreadable template is kept as `problem`
 * (Heat reports it when the resource is validated); a wrong declaration in it throws.
 */
export function templateType(file: string, files: Files, defaults: Dict, limits: Limits): TemplateType {
  const source = files.get(file);
  let template: Template | undefined;
  let problem: Fault | undefined;
  try {
    if (source === undefined) {
      throw new Fault('NotFound', `Could not fetch remote template "${file}": it is not among the files of the stack`);
    }
    template = parseTemplate(source, { file, limits });
  } catch (thrown) {
    if (!(thrown instanceof Fault) || (thrown.kind !== 'NotFound' && thrown.kind !== 'ValueError')) throw thrown;
    problem = thrown;
  }
  const type: ResourceType = {
    name: file,
    description: template ? text(template.tree.get(template.format.sections.description) ?? '') : '',
    properties: template ? propertiesOf(template, defaults) : {},
    attributes: template ? attributesOf(template) : {},
    any_attribute: true,
    nested: true,
  };
  return { type, file, template, problem };
}

function propertiesOf(template: Template, defaults: Dict): Record<string, PropertySchema> {
  const out: Record<string, PropertySchema> = {};
  for (const [key, declared] of sectionOf(template, template.format.sections.parameters)) {
    const name = text(key);
    const schema = parameterSchema(name, withDefault(template, declared, name, defaults), template.format.parameters);
    out[name] = propertyOf(schema);
  }
  return out;
}

/** A declaration with the environment's default in place of its own; a null there takes the default away. */
function withDefault(template: Template, declared: Value, name: string, defaults: Dict): Value {
  const value = defaults.get(name);
  if (value === undefined || !(declared instanceof Map)) return declared;
  return new Map(declared).set(template.format.family === 'hot' ? 'default' : 'Default', value);
}

/** The property that a parameter makes. Throws InvalidSchemaError where its constraints do not fit a property. */
export function propertyOf(schema: ParameterSchema): PropertySchema {
  for (const constraint of schema.constraints) checkConstraintFits(constraint, schema.type, schema.type);
  return {
    type: schema.type,
    required: schema.default === null,
    constraints: schema.constraints,
    update_allowed: true,
    allow_conversion: schema.type === 'Map' || schema.type === 'List',
    ...(typeof schema.description === 'string' ? { description: schema.description } : {}),
  };
}

function attributesOf(template: Template): Record<string, AttributeSchema> {
  const { outputs } = template.format.sections;
  const declared = sectionOf(template, outputs);
  if (template.format.family === 'hot') checkOutputs(template, declared);
  const out: Record<string, AttributeSchema> = {};
  for (const [name, output] of declared) {
    if (!(output instanceof Map))
      throw new Fault('AttributeError', `The output ${text(name)} must be a map.`, { path: [outputs, text(name)] });
    out[text(name)] = {};
  }
  return out;
}

/** HOT's check of the section that serves as attributes: each output a map with a value, of known keys. */
function checkOutputs(template: Template, declared: Dict): void {
  const { output, sections } = template.format;
  for (const [name, item] of declared) {
    const path = [sections.outputs, text(name)];
    const fail = (reason: string): Fault => new Fault('StackValidationFailed', reason, { path });
    if (item === null || (item instanceof Map && item.size === 0)) throw fail('Each output must contain a value key.');
    if (!(item instanceof Map))
      throw fail(`"outputs" must contain a map of output maps. Found a [${typeof item}] instead`);
    for (const key of item.keys()) {
      if (key !== output.value && key !== output.description && key !== output.condition) {
        throw fail(`"${text(key)}" is not a valid keyword inside a output definition`);
      }
    }
    if (!item.has(output.value)) throw fail('Each output must contain a value key.');
  }
}
