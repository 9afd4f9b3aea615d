import type { ResourceType, TypeCatalog } from '../catalog.ts';
import { checkValue } from '../checks.ts';
import aws from './aws.json' with { type: 'json' };
import cinder from './cinder.json' with { type: 'json' };
import constraints from './constraints.json' with { type: 'json' };
import heat from './heat.json' with { type: 'json' };
import keystone from './keystone.json' with { type: 'json' };
import neutron from './neutron.json' with { type: 'json' };
import nova from './nova.json' with { type: 'json' };
import octavia from './octavia.json' with { type: 'json' };
import other from './other.json' with { type: 'json' };

/** The resource types of Heat 19 as data (written by dump.py), the hidden ones included: old templates use them. */

type Entry = Partial<ResourceType> & { alias?: string; template?: string };

/** What the dump cannot see: what each class reads when it is made. */
const TRAITS: Record<string, Partial<ResourceType>> = {
  'OS::Heat::Value': { early: ['type'], typed_by: { property: 'value', by: 'type' } },
  'OS::Nova::Server': { early: ['user_data_format'] },
  'OS::Neutron::RBACPolicy': { early: ['object_type'] },
  'OS::Neutron::Router': { converts: { from: 'l3_agent_id', into: 'l3_agent_ids' } },
  'OS::Heat::RandomString': {
    converts: { from: 'sequence', into: 'character_classes', item: { field: 'class', rest: { min: 1 } } },
  },
};

const types = new Map<string, ResourceType>();
const aliases = new Map<string, string>();
for (const family of [aws, cinder, heat, keystone, neutron, nova, octavia, other] as unknown as Record<
  string,
  Entry
>[]) {
  for (const [name, entry] of Object.entries(family)) {
    if (entry.alias !== undefined) aliases.set(name, entry.alias);
    else types.set(name, { properties: {}, attributes: {}, ...entry, ...TRAITS[name], name });
  }
}
const known = new Set<string>(constraints);

export const builtInCatalog: TypeCatalog = {
  type: (name) => types.get(name),
  aliases: () => aliases,
  names: () => types.keys(),
  constraint: (name, value, now) => (known.has(name) ? checkValue(name, value, now) : null),
};
