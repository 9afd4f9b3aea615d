import { describe, expect, test } from 'vitest';
import { type PropertySchema, PropertySet, plainContext } from '../properties.ts';
import { checkConstraintFits } from '../schema.ts';
import { fromPlain, type Key, truthy, type Value } from '../values.ts';
import { builtInCatalog } from './index.ts';

const types = [...builtInCatalog.names()].map((name) => builtInCatalog.type(name)!);
const check = (name: string, value: Value): string | undefined | null => builtInCatalog.constraint(name, value);

/** Every property of a type, those within maps and lists included, with its path. */
function* all(schemas: Readonly<Record<string, PropertySchema>>, path = ''): Generator<[string, PropertySchema]> {
  for (const [name, schema] of Object.entries(schemas)) {
    yield [`${path}${name}`, schema];
    if (schema.schema) yield* all(schema.schema, `${path}${name}.`);
  }
}

describe('the catalog', () => {
  test('knows Heat’s types, its aliases and its constraints', () => {
    expect(types.length).toBeGreaterThanOrEqual(185);
    expect(builtInCatalog.type('OS::Nova::Server')!.properties.flavor!.required).toBe(true);
    expect(builtInCatalog.aliases().get('OS::Quantum*')).toBe('OS::Neutron*');
    expect(check('nova.flavor', 'm1')).toBeUndefined();
    expect(check('no.such', 'm1')).toBeNull();
  });

  // Validation looks at a default only here: a property that is not given is not looked at again.
  test.each(types.map((type) => [type.name, type] as const))(
    '%s has defaults and constraints that fit its types',
    (_name, type) => {
      for (const [path, schema] of all({ ...type.properties, ...type.update_policy })) {
        for (const constraint of schema.constraints ?? []) checkConstraintFits(constraint, schema.type, path);
        if (schema.default === undefined) continue;
        const value = fromPlain(schema.default);
        const data = new Map<Key, Value>([['it', truthy(value) ? value : null]]);
        expect(() =>
          new PropertySet({ it: { ...schema, implemented: true } }, data, plainContext(check)).validate(),
        ).not.toThrow();
      }
    },
  );

  test.each([
    ['ip_addr', '192.0.2.1', true],
    ['ip_addr', '2001:db8::1', true],
    ['ip_addr', '192.0.2.256', false],
    ['net_cidr', '192.0.2.0/24', true],
    ['net_cidr', '192.0.2.0', false],
    ['net_cidr', '2001:db8::/32', true],
    ['net_cidr', '10.0.0/8', false],
    ['ip_or_cidr', '192.0.2.1', true],
    ['mac_addr', '52:54:00:12:34:56', true],
    ['mac_addr', '52:54', false],
    ['dns_name', 'a-b.example.org', true],
    ['dns_name', '-a', false],
    ['rel_dns_name', 'host.', false],
    ['dns_domain', 'example.org.', true],
    ['dns_domain', 'example.org', false],
    ['cron_expression', '*/5 0-6 1,15 * mon', true],
    ['cron_expression', '61 * * * *', false],
    ['cron_expression', '* * *', false],
    ['timezone', 'Europe/Vienna', true],
    ['timezone', 'Mars/Olympus', false],
    ['iso_8601', '2026-01-01T00:00:00Z', true],
    ['iso_8601', 'yesterday', false],
  ])('%s takes %s: %s', (name, value, fine) => {
    expect(check(name, value) === undefined).toBe(fine);
  });

  test('an expiry is held against the moment that the caller names', () => {
    const year = Date.parse('2026-01-01T00:00:00Z');
    expect(builtInCatalog.constraint('expiration', '2027-01-01T00:00:00', year)).toBeUndefined();
    expect(builtInCatalog.constraint('expiration', '2025-01-01T00:00:00', year)).toContain('out of date');
    expect(builtInCatalog.constraint('expiration', '2025-01-01T00:00:00')).toBeUndefined();
  });
});
