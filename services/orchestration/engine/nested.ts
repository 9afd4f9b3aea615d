/** Attributes of a resource that stands for a stack: outputs of a template, or what is in a group. */
import { Fault, fromPlain, selectFromAttribute, text, type Value } from '../language/index.ts';
import { handlerOf, isNested } from '../resources/index.ts';
import type { Group, Member } from './handler.ts';
import type { Live } from './state.ts';
import { analysisValue, arnOf, outputsOf, referenceOf, type StackNode, viewOf } from './tree.ts';

/** Groups number their members; members come in the order of their numbers. */
export const membersOf = (node: StackNode): [string, Live][] =>
  [...node.resources].sort(([a], [b]) => Number(a) - Number(b) || (a < b ? -1 : 1));

const memberAttribute = (child: StackNode, name: string, path: readonly Value[]): Value => {
  const view = viewOf(child, name);
  if (!view) throw new Fault('InvalidTemplateAttribute', `The Referenced Attribute (resource.${name}) is incorrect.`);
  const [first, ...rest] = path;
  return first === undefined ? view.reference() : view.attribute(first, rest);
};

/** A group's members as a group type sees them, in their order. */
const groupOf = (child: StackNode): Member[] =>
  membersOf(child).map(([name, member]) => ({
    name,
    reference: () => fromPlain(referenceOf(child, member)),
    attribute: (key, path) => memberAttribute(child, name, [key, ...path]),
  }));

export function nestedAttribute(child: StackNode, live: Live, key: Value, path: readonly Value[]): Value {
  const name = text(key);
  const handler = handlerOf(live.row.type);
  if (!handler || !isNested(handler) || !handler.attribute) return templateAttribute(child, name, path);
  // `resource.0.attribute` in one text, or as the steps of a path.
  const match = /^resource\.([^.]+)(?:\.(.+))?$/.exec(name);
  if (match) return memberAttribute(child, match[1] as string, match[2] === undefined ? path : [match[2], ...path]);
  const group: Group = {
    members: groupOf(child),
    data: live.state.data,
    outputs: () => new Map([...outputsOf(child)].map(([output, { value }]) => [output, fromPlain(value)])),
    stackName: child.row.name,
  };
  return handler.attribute(group, name, path);
}

function templateAttribute(child: StackNode, name: string, path: readonly Value[]): Value {
  if (name === 'OS::stack_id') return arnOf(child);
  const match = /^resource\.([^.]+)$/.exec(name);
  if (match) return memberAttribute(child, match[1] as string, path);
  const output = child.analysis.outputs.get(name);
  if (!output) {
    if (name === 'outputs')
      return selectFromAttribute(
        new Map([...outputsOf(child)].map(([key, { value }]) => [key, fromPlain(value)])),
        path,
      );
    throw new Fault(
      'InvalidTemplateAttribute',
      `The Referenced Attribute (${child.row.parent_resource} ${name}) is incorrect.`,
    );
  }
  return selectFromAttribute(fromPlain(analysisValue(child.analysis, output.value)), path);
}
