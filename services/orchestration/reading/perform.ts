/** The work of a reading thread: pure functions of what it is handed. */
import { fault } from '../../core/errors/index.ts';
import { analyse, definitionOf, updatedDefinition } from '../engine/definition.ts';
import { explained, placeIn } from '../engine/faults.ts';
import { childDefinition } from '../engine/nesting.ts';
import { propertiesOf } from '../engine/opening.ts';
import { adopt, type NodeMeans, nodeOf, ownerOf, type StackNode } from '../engine/tree.ts';
import {
  type Analysis,
  builtInCatalog,
  describeParameters,
  Fault,
  type Resource,
  references,
  registryTree,
  toPlain,
} from '../language/index.ts';
import type { Definition, Plain, StackUpdate, StackWish } from '../model.ts';
import { forecast } from '../plan/forecast.ts';
import { violations } from '../plan/policy.ts';
import { flat, plan } from '../plan/resources.ts';
import { digestOf, markOf, planFormat } from '../plan/ticket.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import { unmadeReason } from '../resources/unmade.ts';
import type { AskKind, Asks, Described, Question, Source, Stored, Tree } from './ask.ts';
import { adviceOn, nestedParameters, valuesOf } from './nested-advice.ts';
import { checkTree } from './nested-check.ts';

type Performers = { readonly [Kind in AskKind]: (ask: Asks[Kind]['ask']) => Asks[Kind]['answer'] };

/** @throws language Fault */
export function definitionFrom({ wish, present, files }: Source): Definition {
  if (wish.prepared) return wish.prepared;
  const whole = { ...wish, files };
  return present ? updatedDefinition(present, whole as StackUpdate) : definitionOf(whole as StackWish);
}

export const analysisOf = ({ definition, files, stack }: Stored): Analysis =>
  analyse({
    definition,
    files,
    types: builtInCatalog,
    stack: { id: stack.id, name: stack.name, project: stack.project_id },
  });

/** Not strict: parameters may still be missing. @throws language Fault */
export function read(source: Source, { strict } = { strict: true }): { definition: Definition; analysis: Analysis } {
  const definition = definitionFrom(source);
  const analysis = analysisOf({ definition, files: source.files, stack: source.stack });
  analysis.validate({ strict });
  if (source.present) refuseImmutable(analysisOf({ ...source, definition: source.present }), analysis);
  return { definition, analysis };
}

/** @throws language Fault, in Heat's words */
function refuseImmutable(before: Analysis, { parameters }: Analysis): void {
  const changed = parameters.immutableChanges(before.parameters);
  if (changed.length === 0) return;
  const names = changed.join(', ');
  throw new Fault(
    'ImmutableParameterModified',
    `The following parameters are immutable and may not be updated: ${names}`,
  );
}

export const descriptionOf = (analysis: Analysis): string => {
  const { template } = analysis;
  const text = template.tree.get(template.format.sections.description);
  return typeof text === 'string' && text !== '' ? text : 'No description';
};

function parametersOf(analysis: Analysis): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, parameter] of analysis.parameters.all) {
    try {
      out[name] = parameter.shown();
    } catch {
      // A parameter that was never given has nothing to show; validation told of it.
    }
  }
  return out;
}

/** Values of properties that need nothing that is not there yet. */
function knownProperties(analysis: Analysis, resource: Resource): { [name: string]: Plain } {
  const all = propertiesOf(resource);
  const known: { [name: string]: Plain } = {};
  for (const [key, node] of resource.properties.data) {
    const name = String(key);
    let pending = false;
    references(node, analysis.scope, () => {
      pending = true;
    });
    if (!pending) known[name] = all[name] ?? null;
  }
  return known;
}

export function questionsOf(analysis: Analysis, stackName: string, within: readonly string[]): Question[] {
  return [...analysis.resources.values()].flatMap((resource) => {
    const handler = handlerOf(resource.type.name);
    if (handler && (isNested(handler) || !handler.validate)) return [];
    const properties = knownProperties(analysis, resource);
    return [{ type: resource.type.name, resource: resource.name, stackName, properties, within }];
  });
}

function describe({ source, lint: wanted, nested }: Asks['describe']['ask']): Asks['describe']['answer'] {
  // As Heat's own: a parameter that is still to be given is no mistake of the template.
  const { analysis } = read(source, { strict: false });
  refuseEndless(analysis, source);
  const { parameters, environment, template } = analysis;
  const section = template.format.sections.parameterGroups;
  const groups = section === undefined ? undefined : template.tree.get(section);
  const within = nested ? nestedParameters(analysis, source.files) : undefined;
  const body = {
    Description: descriptionOf(analysis),
    Parameters: describeParameters(parameters) as unknown as Plain,
    ...(groups !== undefined && groups !== null && { ParameterGroups: toPlain(groups) }),
    ...(within && { NestedParameters: within }),
    Environment: {
      resource_registry: { resources: {}, ...(toPlain(registryTree(environment.registry)) as object) },
      parameters: toPlain(environment.parameters),
      parameter_defaults: toPlain(environment.parameterDefaults),
      event_sinks: toPlain(environment.eventSinks),
    },
  };
  const { files, stack } = source;
  const advice = wanted ? [...adviceOn(analysis, files), ...valuesOf(analysis, files, stack)] : [];
  return { body, advice: wanted ? [...advice, ...unmadeIn(analysis, source)] : advice };
}

/** A template within itself is no template, whatever its parameters will be. @throws Fault */
function refuseEndless(analysis: Analysis, { files, stack }: Source): void {
  try {
    checkTree(analysis, files, stack);
  } catch (error) {
    const { kind, details } = error as { kind?: string; details?: { kind?: string } };
    if ((kind ?? details?.kind) === 'RequestLimitExceeded') throw error;
    // Anything else may be owed to what is not given yet.
  }
}

/** Valid, and yet refused when the stack is created: said as early as anybody looks. */
function unmadeIn(analysis: Analysis, { files, stack }: Source): Described['advice'] {
  let within: Question[] = [];
  try {
    within = checkTree(analysis, files, stack);
  } catch {
    // What is given to the stacks within is not known before all parameters are; only this level is told of then.
  }
  const { template } = analysis;
  return [...questionsOf(analysis, stack.name, []), ...within]
    .filter(({ type }) => handlerOf(type) === undefined)
    .map(({ type, resource, within: path }) => ({
      message: `${[...path, resource].join('.')}: ${fault('resource-type-parsed-only', { type, why: unmadeReason(type) }).sentence} A stack with it is refused before anything is made.`,
      place: placeIn(template, [template.format.sections.resources, path[0] ?? resource]),
    }));
}

/** The tree as the engine has it, from what was handed over. */
export function nodeFrom(tree: Tree): StackNode {
  const definitions = new Map<string, Definition>();
  const means: NodeMeans = {
    types: builtInCatalog,
    definitionOf: (row) => definitions.get(row.id) as Definition,
  };
  const build = (one: Tree, parent: StackNode | null): StackNode => {
    definitions.set(one.row.id, one.definition);
    const node = nodeOf(means, { ...one.row, definition: '' }, parent, one.files);
    for (const live of one.lives) adopt(node, live);
    for (const child of one.children) {
      const own = ownerOf(node, child.row.id);
      if (own) node.children.set(own.row.id, build(child, node));
    }
    return node;
  };
  return build(tree, null);
}

function preview({ source, tree }: Asks['preview']['ask']): Asks['preview']['answer'] {
  const { definition, analysis } = read(source);
  const outputs = [...analysis.outputs.values()].map((output) => ({
    output_key: output.name,
    description: typeof output.description === 'string' ? output.description : 'No description given',
    output_value: null,
  }));
  const resources = plan(tree && nodeFrom(tree), analysis, source.files);
  return { definition, description: descriptionOf(analysis), parameters: parametersOf(analysis), outputs, resources };
}

function planned({ source, tree, usual, head, policy }: Asks['plan']['ask']): Asks['plan']['answer'] {
  const { definition, analysis } = read(source);
  const node = tree && nodeFrom(tree);
  const mark = markOf(node);
  const resources = plan(node, analysis, source.files);
  const forbidden = violations(policy, resources);
  const { order, ...expected } = forecast(resources, usual);
  const sums: { [change: string]: number } = {};
  for (const { resource } of flat(resources)) sums[resource.change] = (sums[resource.change] ?? 0) + 1;
  const readable = {
    format: planFormat,
    stack: source.stack.name,
    ...head,
    generation: tree?.row.generation ?? 0,
    changes: sums,
    order,
    at_once: Math.max(0, ...order.map((level) => level.length)),
    expected,
    violations: forbidden,
    resources: resources as unknown as Plain,
  };
  const digest = digestOf(readable as unknown as Plain);
  return { definition, text: JSON.stringify(readable), digest, mark, violations: forbidden };
}

/** The analysis of a stack within, reached through the resources that stand for it. */
function descend(analysis: Analysis, files: Source['files'], within: readonly string[]): Analysis {
  let here = analysis;
  for (const name of within) {
    const resource = here.resources.get(name);
    const handler = resource && handlerOf(resource.type.name);
    if (!resource || !handler || !isNested(handler)) return here;
    const standIn = { analysis: here } as Pick<StackNode, 'analysis'> as StackNode;
    const definition = childDefinition(standIn, resource, propertiesOf(resource), handler, [], {});
    here = analysisOf({ definition, files, stack: { id: 'None', name, project_id: '' } });
  }
  return here;
}

function place({ source, within, resource, property }: Asks['place']['ask']): string {
  const outer = analysisOf({ definition: definitionFrom(source), files: source.files, stack: source.stack });
  const { template } = descend(outer, source.files, within);
  const path = [template.format.sections.resources, resource];
  const found = placeIn(template, property ? [...path, template.format.resource.properties, property] : path);
  if (found !== '' || within.length === 0) return found;
  return placeIn(outer.template, [outer.template.format.sections.resources, within[0] as string]);
}

function graph(source: Source): Asks['graph']['answer'] {
  const { analysis } = read(source, { strict: false });
  const { graph: needs } = analysis;
  return Object.fromEntries(
    needs
      .order()
      .map((name) => [
        name,
        { type: analysis.resources.get(name)?.type.name ?? '', requires: [...needs.required(name)] },
      ]),
  );
}

const performers: Performers = {
  check(source) {
    const { definition, analysis } = read(source);
    const questions = [
      ...questionsOf(analysis, source.stack.name, []),
      ...checkTree(analysis, source.files, source.stack),
    ];
    return { definition, description: descriptionOf(analysis), questions };
  },
  describe,
  preview,
  plan: planned,
  mark: (tree) => markOf(nodeFrom(tree)),
  parameters: (stored) => parametersOf(analysisOf(stored)),
  place,
  graph,
};

/** @throws Fault of the house, language faults told as `template-invalid` */
export function perform<Kind extends AskKind>(kind: Kind, ask: Asks[Kind]['ask']): Asks[Kind]['answer'] {
  try {
    return performers[kind](ask);
  } catch (thrown) {
    throw explained(thrown as Fault);
  }
}
