import { describe, expect, test } from 'vitest';
import { parseEnvironment } from './environment.ts';
import {
  type BuiltIn,
  breakpoints,
  childRegistry,
  findType,
  loadRegistry,
  type RegistryEntry,
  registryTree,
} from './registry.ts';
import { type Dict, toPlain } from './values.ts';

const builtIn: BuiltIn = {
  hasType: (name) => ['OS::Nova::Server', 'OS::Neutron::Port', 'OS::Heat::None'].includes(name),
  aliases: () => new Map([['OS::Quantum*', 'OS::Neutron*']]),
};

function registry(yaml: string): RegistryEntry {
  return loadRegistry(parseEnvironment(`resource_registry:\n${yaml}`).get('resource_registry') as Dict);
}

describe('the resource registry', () => {
  test('finds types, mappings, wildcards, aliases and templates', () => {
    const root = registry(
      '  My::Server: OS::Nova::Server\n  My::Net::*: OS::Neutron::*\n  Our::*: OS::Heat::None\n  X::Y: x.yaml\n',
    );
    expect(findType(root, builtIn, 'My::Server')).toEqual({ kind: 'type', name: 'OS::Nova::Server' });
    expect(findType(root, builtIn, 'My::Net::Port')).toEqual({ kind: 'type', name: 'OS::Neutron::Port' });
    expect(findType(root, builtIn, 'Our::Any')).toEqual({ kind: 'type', name: 'OS::Heat::None' });
    expect(findType(root, builtIn, 'OS::Quantum::Port')).toEqual({ kind: 'type', name: 'OS::Neutron::Port' });
    expect(findType(root, builtIn, 'X::Y')).toMatchObject({ kind: 'template', file: 'x.yaml' });
    expect(findType(root, builtIn, 'direct.yaml')).toMatchObject({ kind: 'template', file: 'direct.yaml' });
    expect(() => findType(root, builtIn, 'No::Such')).toThrow('The Resource Type (No::Such) could not be found.');
  });

  test('prefers a mapping for the resource’s name, and the user’s over the product’s', () => {
    const root = registry('  OS::Nova::Server: a.yaml\n  resources:\n    db:\n      OS::Nova::Server: b.yaml\n');
    expect(findType(root, builtIn, 'OS::Nova::Server', 'web')).toMatchObject({ file: 'a.yaml' });
    expect(findType(root, builtIn, 'OS::Nova::Server', 'db')).toMatchObject({ file: 'b.yaml' });
  });

  test('refuses mappings that lead in a circle', () => {
    expect(() => findType(registry('  A: B\n  B: A\n'), builtIn, 'A')).toThrow('mapped in a circle');
  });

  test('reads hooks and restricted actions, and refuses unknown ones', () => {
    const root = registry(
      '  resources:\n    "*_db":\n      hooks: [pre-create, post-delete]\n    my_db: {restricted_actions: replace}\n',
    );
    expect(breakpoints(root, 'my_db', 'hooks')).toEqual(new Set(['pre-create', 'post-delete']));
    expect(breakpoints(root, 'my_db', 'restricted_actions')).toEqual(new Set(['replace']));
    expect(breakpoints(root, 'web', 'hooks').size).toBe(0);
    expect(() => registry('  resources: {a: {hooks: never}}\n')).toThrow('Invalid hook type "never"');
    expect(() => registry('  resources: {a: {restricted_actions: [never]}}\n')).toThrow(
      'Invalid restricted_action type',
    );
  });

  test('narrows the registry for a nested stack, without the type that it implements', () => {
    const root = registry(
      '  OS::Nova::Server: a.yaml\n  resources:\n    grp:\n      "0": {hooks: pre-create}\n    other:\n      x: {hooks: pre-create}\n',
    );
    const found = findType(root, builtIn, 'OS::Nova::Server', 'grp');
    const child = childRegistry(root, 'grp', found);
    expect(toPlain(registryTree(child))).toEqual({ resources: { '0': { hooks: 'pre-create' } } });
    expect(findType(child, builtIn, 'OS::Nova::Server')).toEqual({ kind: 'type', name: 'OS::Nova::Server' });
  });
});
