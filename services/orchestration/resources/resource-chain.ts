/** OS::Heat::ResourceChain: resources of the listed types with the same properties, each after the one before. */
import type { NestedHandler } from '../engine/handler.ts';
import type { Plain } from '../model.ts';
import { groupAttribute } from './resource-group.ts';

export const resourceChain: NestedHandler = {
  type: 'OS::Heat::ResourceChain',
  nested: true,
  child({ properties }) {
    const types = ((properties.resources ?? []) as Plain[]).map(String);
    const shared = properties.resource_properties ?? null;
    const inTurn = properties.concurrent !== true;
    const resources = Object.fromEntries(
      types.map((type, place) => [
        String(place),
        {
          type,
          ...(shared !== null && { properties: shared }),
          ...(inTurn && place > 0 && { depends_on: [String(place - 1)] }),
        } as { [key: string]: Plain },
      ]),
    );
    return { template: { heat_template_version: '2016-04-08', resources }, file: 'resource chain', parameters: {} };
  },
  attribute: groupAttribute,
};
