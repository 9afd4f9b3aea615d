/** OS::Heat::AutoScalingGroup: as many of one resource as its capacity says; policies move the capacity. */
import type { NestedHandler } from '../engine/handler.ts';
import { selectFromAttribute } from '../language/index.ts';
import type { Plain } from '../model.ts';
import { groupAttribute } from './resource-group.ts';
import { scaledMembers, sizeOf } from './scaling-groups.ts';

const type = 'OS::Heat::AutoScalingGroup';

export const autoScalingGroup: NestedHandler = {
  type,
  nested: true,
  child({ properties, existing, removed, data }) {
    const names = scaledMembers(sizeOf(type, properties, data).now, existing, new Set(removed));
    const member = properties.resource as { [key: string]: Plain };
    const resources = Object.fromEntries(names.map((name) => [name, member]));
    return { template: { heat_template_version: '2015-04-30', resources }, file: 'scaling group', parameters: {} };
  },
  attribute(group, name, path) {
    const [attribute, ...rest] = path;
    switch (name) {
      case 'current_size':
        return group.members.length;
      case 'outputs':
        return attribute === undefined
          ? new Map()
          : new Map(group.members.map((member) => [member.name, member.attribute(attribute, rest)]));
      case 'outputs_list':
        return attribute === undefined ? [] : group.members.map((member) => member.attribute(attribute, rest));
      case 'refs':
      case 'refs_map':
        return groupAttribute(group, name, path);
      default:
        return selectFromAttribute(groupAttribute(group, name, []), path);
    }
  },
};
