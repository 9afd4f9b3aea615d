import { Fault } from './faults.ts';
import { text } from './render.ts';
import { didYouMean } from './suggest.ts';
import { sectionOf, type Template } from './template.ts';
import { typeName, type Value } from './values.ts';

/** Throws where the template has an unknown section, or a resource that is no map with a type (of HOT: of known keys). */
export function validateStructure(template: Template): void {
  const { format, tree } = template;
  for (const key of tree.keys()) {
    if (format.topKeys.has(key as string)) continue;
    throw new Fault('InvalidTemplateSection', `The template section is invalid: ${text(key)}`, {
      path: [text(key)],
      hint: didYouMean(text(key), format.topKeys),
    });
  }
  // Heat's classes share one table of resource keys, so the two of 2016-10-14 pass here for every version.
  const known = new Set<unknown>([...Object.values(format.resource), 'external_id', 'condition']);
  for (const [key, item] of sectionOf(template, format.sections.resources))
    validateResourceMap(template, text(key), item, known);
}

function validateResourceMap(template: Template, name: string, item: Value, known: ReadonlySet<unknown>): void {
  const { family, resource, sections } = template.format;
  const path = [sections.resources, name];
  const fail = (reason: string, at = path): Fault => new Fault('StackValidationFailed', reason, { path: at });
  const noType = `Each ${family === 'hot' ? 'resource' : 'Resource'} must contain a ${resource.type} key.`;
  if (item === null || item === '' || (item instanceof Map && item.size === 0)) throw fail(noType);
  if (!(item instanceof Map)) {
    throw fail(`"${sections.resources}" must contain a map of resource maps. Found a [${typeName(item)}] instead`);
  }
  if (family === 'hot') {
    for (const key of item.keys()) {
      if (!known.has(key))
        throw fail(`"${text(key)}" is not a valid keyword inside a resource definition`, [...path, text(key)]);
    }
  }
  if (!item.get(resource.type)) throw fail(noType);
}
