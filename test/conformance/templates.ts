import { readFileSync } from 'node:fs';
import {
  Analysis,
  builtInCatalog,
  Call,
  type Dict,
  dumps,
  environmentFrom,
  Fault,
  type Node,
  OMIT,
  parseEnvironment,
  parseJson,
  parseNode,
  parseTemplate,
  type ResourceView,
  references,
  resolve,
  resolveNullable,
  selectFromAttribute,
  templateFrom,
  text,
  type Value,
} from '../../services/orchestration/language/index.ts';

/**
 * What our template language makes of the cases of a file in the oracle's format: one JSON line {id, outcome} a case.
 * Run as `node test/conformance/templates.ts FILE.json`; compare.py holds the lines against what the real Heat made.
 */

const STACK = {
  name: 'teststack',
  id: '0dd3a1ee-6c2e-4c5e-9d3f-0a0a0a0a0a0a',
  project: 'dc4b074874244f7693dd65583733a758',
};
// The oracle's own limit, so that its largest cases are read at all.
const LIMITS = { characters: 16 << 20, depth: 200, nodes: 5_000_000, stackDepth: 10, resources: 50_000 };

const get = (dict: Value | undefined, key: string): Value | undefined =>
  dict instanceof Map ? dict.get(key) : undefined;
const record = (entries: Iterable<[string, Value]>): Dict => new Map(entries);

function errorOf(stage: string, fault: Fault): Dict {
  return record([
    ['stage', stage],
    ['class', fault.kind],
    ['message', fault.toString()],
  ]);
}

function faultOf(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  throw thrown;
}

function load(item: Dict): Analysis {
  const template = item.get('template')!;
  const environment = item.get('environment') ?? null;
  const tree = typeof environment === 'string' ? parseEnvironment(environment, { limits: LIMITS }) : environment;
  const files = new Map(item.get('files') instanceof Map ? (item.get('files') as Map<string, string>) : []);
  const given = environmentFrom((tree as Dict | null) ?? new Map());
  const parsed =
    typeof template === 'string'
      ? parseTemplate(template, { limits: LIMITS })
      : templateFrom(template as Dict, { limits: LIMITS });
  return new Analysis({
    template: parsed,
    environment: given,
    files,
    types: builtInCatalog,
    stack: { ...STACK, name: (item.get('stack_name') as string | undefined) ?? STACK.name },
    availabilityZones: ['nova'],
    limits: LIMITS,
    now: Date.now(),
  });
}

/** The live data of a snippet case, as resources look to functions. */
function viewOf(name: string, data: Value): ResourceView {
  const attrs = (get(data, 'attrs') ?? new Map()) as Dict;
  return {
    name,
    action: (get(data, 'action') as string | undefined) ?? 'CREATE',
    status: (get(data, 'status') as string | undefined) ?? 'COMPLETE',
    reference: () => get(data, 'ref') ?? null,
    hasAttribute: (attribute) => attrs.has(attribute as string),
    attribute: (attribute, path) => {
      if (Array.isArray(attribute) || attribute instanceof Map) throw new Fault('TypeError', 'unhashable type');
      if (!attrs.has(attribute)) {
        throw new Fault(
          'InvalidTemplateAttribute',
          `The Referenced Attribute (${name} ${text(attribute)}) is incorrect.`,
        );
      }
      return selectFromAttribute(attrs.get(attribute)!, path);
    },
    attributes: () => new Map([...attrs].filter(([key]) => key !== 'show')),
  };
}

function snippetOutcome(item: Dict, analysis: Analysis): Dict {
  const attributes = item.get('attributes');
  const scope = analysis.live((name) =>
    get(attributes, name) === undefined ? undefined : viewOf(name, get(attributes, name)!),
  );
  const stack = (item.get('with_stack') ?? true) ? scope : null;
  const { functions, conditionFunctions } = analysis.template.format;
  try {
    const snippet = item.get('snippet')!;
    const condition = item.get('snippet_kind') === 'condition';
    const sees = condition ? scope : stack;
    const node = parseNode(condition ? conditionFunctions : functions, sees, snippet);
    return record([['result', data(resolve(node, sees), analysis)]]);
  } catch (thrown) {
    return record([['snippet_error', errorOf('snippet', faultOf(thrown))]]);
  }
}

/** What the oracle writes for a function that raises. */
function failed(thrown: unknown): Value {
  const fault = faultOf(thrown);
  return record([
    ['$error', fault.kind],
    ['message', [...fault.heatMessage].slice(0, 300).join('')],
  ]);
}

/** A node as the oracle writes it: its value, or what it waits for. */
function evaluated(node: Node, analysis: Analysis): Value {
  const names = new Set<string>();
  try {
    references(node, analysis.scope, (name) => void names.add(name));
  } catch (thrown) {
    return failed(thrown);
  }
  if (names.size === 0) {
    try {
      const value = resolveNullable(node, analysis.scope);
      return value === OMIT ? 'Ellipsis' : data(value, analysis);
    } catch (thrown) {
      return failed(thrown);
    }
  }
  if (node instanceof Call)
    return record([
      ['$unresolved', node.name],
      ['deps', [...names].sort()],
    ]);
  if (Array.isArray(node)) return node.map((item) => evaluated(item, analysis));
  if (node instanceof Map) return new Map([...node].map(([key, item]) => [key, evaluated(item, analysis)]));
  return node as Value;
}

/** A result with the calls in it worked out: functions that a version removed give their arguments back unresolved. */
function data(value: Node, analysis: Analysis): Value {
  if (value instanceof Call) return evaluated(value, analysis);
  if (Array.isArray(value)) return value.map((item) => data(item, analysis));
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [text(key), data(item, analysis)]));
  return value as Value;
}

function valid(analysis: Analysis): Dict {
  const parameters: Dict = new Map();
  for (const [name, parameter] of analysis.parameters.all) {
    const entry: Dict = record([
      ['type', parameter.schema.typeLabel],
      ['has_value', parameter.hasValue],
    ]);
    try {
      entry.set('value', parameter.value());
    } catch (thrown) {
      entry.set('error', errorOf('param', faultOf(thrown)));
    }
    parameters.set(name, entry);
  }
  const conditions: Dict = new Map();
  for (const name of analysis.conditions.definitions.keys()) {
    try {
      conditions.set(name, analysis.conditions.holds(name));
    } catch (thrown) {
      conditions.set(name, failed(thrown));
    }
  }
  const resources: Dict = new Map();
  for (const { name, definition } of analysis.resources.values()) {
    const entry: Dict = record([['type', definition.type]]);
    const { properties, metadata, updatePolicy } = definition;
    const empty = (node: Node): boolean => node === null || (node instanceof Map && node.size === 0);
    entry.set('properties', empty(properties) ? new Map() : evaluated(properties, analysis));
    if (!empty(metadata)) entry.set('metadata', evaluated(metadata, analysis));
    if (definition.deletionPolicy !== 'Delete') entry.set('deletion_policy', definition.deletionPolicy);
    if (!empty(updatePolicy)) entry.set('update_policy', evaluated(updatePolicy, analysis));
    resources.set(name, entry);
  }
  const outputs: Dict = new Map();
  for (const output of analysis.outputs.values()) {
    const entry: Dict = record([['value', evaluated(output.value, analysis)]]);
    const description = output.description === null ? null : text(output.description);
    if (description !== null && description !== 'No description given') entry.set('description', description);
    outputs.set(output.name, entry);
  }
  return new Map<string, Value>([
    ['valid', true],
    ['parameters', parameters],
    ['conditions', conditions],
    ['resources', resources],
    ['edges', analysis.graph.edges()],
    ['outputs', outputs],
  ]);
}

function outcomeOf(item: Dict): Dict {
  let analysis: Analysis;
  try {
    analysis = load(item);
  } catch (thrown) {
    return record([
      ['valid', false],
      ['error', errorOf('parse', faultOf(thrown))],
    ]);
  }
  if (item.has('snippet')) return snippetOutcome(item, analysis);
  try {
    analysis.validate();
  } catch (thrown) {
    return record([
      ['valid', false],
      ['error', errorOf('validate', faultOf(thrown))],
    ]);
  }
  return valid(analysis);
}

/** The outcome of each case of a file in the oracle's format, in its order. */
export function* outcomes(source: string): Generator<Dict> {
  for (const item of parseJson(source) as Dict[]) {
    let outcome: Dict;
    try {
      outcome = outcomeOf(item);
    } catch (thrown) {
      outcome = record([['crash', String((thrown as Error).stack)]]);
    }
    yield record([
      ['id', item.get('id')!],
      ['outcome', outcome],
    ]);
  }
}

if (import.meta.main) {
  for (const file of process.argv.slice(2)) {
    for (const line of outcomes(readFileSync(file, 'utf8'))) process.stdout.write(`${dumps(line)}\n`);
  }
}
