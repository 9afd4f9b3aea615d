/** Attributes of a resource that stands for a stack: outputs of a template, or what is in a group. */
import { type Dict, Fault, fromPlain, selectFromAttribute, text, type Value } from '../language/index.ts';
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

export function nestedAttribute(child: StackNode, live: Live, key: Value, path: readonly Value[]): Value {
  const name = text(key);
  if (live.row.type !== 'OS::Heat::ResourceGroup') return templateAttribute(child, name, path);
  // `resource.0.attribute` in one text, or as the steps of a path.
  const match = /^resource\.([^.]+)(?:\.(.+))?$/.exec(name);
  if (match) return memberAttribute(child, match[1] as string, match[2] === undefined ? path : [match[2], ...path]);
  const members = membersOf(child);
  const refs = () => members.map(([, member]) => fromPlain(referenceOf(child, member)));
  switch (name) {
    case 'refs':
      return selectFromAttribute(refs(), path);
    case 'refs_map':
      return selectFromAttribute(
        new Map(members.map(([id, member]) => [id, fromPlain(referenceOf(child, member))])),
        path,
      );
    case 'removed_rsrc_list':
      return fromPlain(live.state.data.removed ?? []);
    case 'attributes': {
      const [attribute, ...rest] = path;
      if (attribute === undefined) throw new Fault('KeyError', 'attributes');
      return new Map(members.map(([id]) => [id, memberAttribute(child, id, [attribute, ...rest])])) as Dict;
    }
    default:
      return members.map(([id]) => memberAttribute(child, id, [key, ...path]));
  }
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
