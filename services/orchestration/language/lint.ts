import type { Analysis } from './analysis.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { text } from './render.ts';
import { sectionOf } from './template.ts';
import type { Value } from './values.ts';
import { locate } from './yaml/load.ts';
import type { Position } from './yaml/position.ts';

/** Something in a valid template that is probably not meant. */
export interface Advice {
  message: string;
  path: string[];
  position: Position | undefined;
}

/** What `analysis` would do but hardly should: parameters and conditions that nothing uses, deprecated types and properties. */
export function lint(analysis: Analysis): Advice[] {
  const { template } = analysis;
  const { sections } = template.format;
  const used = new Set<string>();
  for (const [section, value] of template.tree) if (section !== sections.parameters) collect(value, used);
  const out: Advice[] = [];
  const say = (message: string, path: string[]): void => {
    const position = template.source === undefined ? undefined : locate(template.source, DEFAULT_LIMITS, path);
    out.push({ message, path, position });
  };
  for (const key of sectionOf(template, sections.parameters).keys()) {
    const name = text(key);
    if (!used.has(name)) say(`The parameter ${name} is not used.`, [sections.parameters, name]);
  }
  for (const name of analysis.conditions.definitions.keys()) {
    if (!used.has(name)) say(`The condition ${name} is not used.`, [sections.conditions ?? 'conditions', name]);
  }
  for (const { name, definition, type, properties } of analysis.resources.values()) {
    const path = [sections.resources, name];
    if (outdated(type.support)) say(`The type ${definition.type} is ${word(type.support)}.`, path);
    for (const key of properties.data.keys()) {
      const { support } = properties.schemas[key as string] ?? {};
      if (!outdated(support)) continue;
      const advice = support?.message ? ` ${support.message}` : '';
      say(`The property ${text(key)} is ${word(support)}.${advice}`, [
        ...path,
        template.format.resource.properties,
        text(key),
      ]);
    }
  }
  return out;
}

interface Support {
  status?: string;
  message?: string;
}
const outdated = (support: Support | undefined): boolean =>
  support?.status !== undefined && support.status !== 'SUPPORTED';
const word = (support: Support | undefined): string =>
  support?.status === 'HIDDEN' ? 'obsolete' : (support?.status ?? '').toLowerCase();

/** Every text in a value: whatever names something is among them. */
function collect(value: Value, into: Set<string>): void {
  if (typeof value === 'string') into.add(value);
  else if (Array.isArray(value)) for (const item of value) collect(item, into);
  else if (value instanceof Map) for (const item of value.values()) collect(item, into);
}
