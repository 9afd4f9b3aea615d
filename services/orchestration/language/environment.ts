import { Fault } from './faults.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { loadRegistry, type RegistryEntry } from './registry.ts';
import { text } from './render.ts';
import { parseText } from './template.ts';
import type { Dict, Value } from './values.ts';

/** What is given to a template from outside: values, defaults, what stands behind resource types. */
export interface Environment {
  parameters: Dict;
  parameterDefaults: Dict;
  /** resource_registry, read; its order is the order of precedence among equals. */
  registry: RegistryEntry;
  encryptedParameterNames: Value[];
  eventSinks: Value[];
}

const SECTIONS = [
  'parameters',
  'resource_registry',
  'parameter_defaults',
  'encrypted_param_names',
  'event_sinks',
  'parameter_merge_strategies',
];

/**
 * Reads an environment's text (JSON or YAML). Throws Fault ValueError for a text that is none, an unknown section or an
 * empty one.
 */
export function parseEnvironment(source: string, options: { file?: string; limits?: Limits } = {}): Dict {
  const file = options.file ?? 'environment';
  const tree = parseText(source, file, options.limits ?? DEFAULT_LIMITS, 'Error parsing environment');
  if (!(tree instanceof Map)) {
    throw new Fault('ValueError', 'The environment is not a valid YAML mapping data type.');
  }
  for (const [section, value] of tree) {
    if (!SECTIONS.includes(section as string)) {
      throw new Fault('ValueError', `environment has wrong section "${text(section)}"`);
    }
    if (value === null) throw new Fault('ValueError', `environment has empty section "${text(section)}"`);
  }
  return tree;
}

/** An environment from its tree (as read, or as the API got it). Throws for invalid hooks and restricted actions. */
export function environmentFrom(tree: Dict = new Map()): Environment {
  return {
    parameters: mapOf(tree, 'parameters'),
    parameterDefaults: mapOf(tree, 'parameter_defaults'),
    registry: loadRegistry(mapOf(tree, 'resource_registry')),
    encryptedParameterNames: listOf(tree, 'encrypted_param_names'),
    eventSinks: listOf(tree, 'event_sinks'),
  };
}

function mapOf(tree: Dict, section: string): Dict {
  const value = tree.get(section) ?? null;
  if (value === null) return new Map();
  if (!(value instanceof Map))
    throw new Fault('AttributeError', `The environment's "${section}" must be a map.`, { path: [section] });
  return value;
}

function listOf(tree: Dict, section: string): Value[] {
  const value = tree.get(section) ?? null;
  return Array.isArray(value) ? value : [];
}
