import { Fault, type Path } from './faults.ts';
import { parseJson } from './json.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import type { Dict, Value } from './values.ts';
import { FORMATS, type TemplateFormat, VERSION_KEYS } from './versions.ts';
import { loadYaml, locate } from './yaml/load.ts';
import { positionAt, SyntaxFault } from './yaml/position.ts';

/** A template as it was read: its tree, its format, and its text for the sake of positions. */
export interface Template {
  readonly format: TemplateFormat;
  readonly version: readonly [key: string, value: string];
  readonly tree: Dict;
  /** Name of the file for messages. */
  readonly file: string;
  /** The text; undefined where the template came as data. */
  readonly source: string | undefined;
}

export interface ParseOptions {
  file?: string;
  limits?: Limits;
}

/**
 * Reads a template from its text (JSON or YAML). Throws Fault: ValueError for a text that is none or names no version,
 * InvalidTemplateVersion for an unknown one, RequestLimitExceeded beyond the limits.
 */
export function parseTemplate(source: string, options: ParseOptions = {}): Template {
  const file = options.file ?? 'template';
  const tree = parseText(source, file, options.limits ?? DEFAULT_LIMITS, 'Error parsing template');
  if (!(tree instanceof Map)) {
    throw inFile(new Fault('ValueError', 'The template is not a JSON object or YAML mapping.'), file, 1, 1);
  }
  if (!VERSION_KEYS.some((key) => tree.has(key))) {
    throw inFile(new Fault('ValueError', 'Template format version not found.'), file, 1, 1);
  }
  return located(file, source, options.limits, () => templateFrom(tree, { ...options, source }));
}

/** Makes a template of data that was read already (the API takes templates as JSON objects). Throws as parseTemplate. */
export function templateFrom(tree: Dict, options: ParseOptions & { source?: string } = {}): Template {
  const present = VERSION_KEYS.filter((key) => typeof tree.get(key) === 'string');
  if (present.length > 1) throw invalidVersion(`Ambiguous versions (${present.join(', ')})`);
  const key = present[0];
  if (key === undefined) throw invalidVersion('Template version was not provided');
  const version = tree.get(key) as string;
  const format = FORMATS.find((known) => known.versionKey === key && known.versions.includes(version));
  if (!format) {
    const known = FORMATS.filter((other) => other.versionKey === key).flatMap((other) => other.versions);
    const list = [...known].sort().join(', ');
    const advice = known.length > 1 ? `should be one of: ${list}` : `should be: ${list}`;
    throw invalidVersion(`"${key}: ${version}". "${key}" ${advice}`, [key]);
  }
  return { format, version: [key, version], tree, file: options.file ?? 'template', source: options.source };
}

function invalidVersion(explanation: string, path: Path = []): Fault {
  return new Fault('InvalidTemplateVersion', `The template version is invalid: ${explanation}`, { path });
}

/** Reads a text as JSON if it is that, else as YAML. Throws Fault ValueError with the place. */
export function parseText(source: string, file: string, limits: Limits, what: string): Value {
  if (source.length > limits.characters) {
    throw new Fault(
      'RequestLimitExceeded',
      `Request limit exceeded: Template size (${source.length} bytes) exceeds maximum allowed size (${limits.characters} bytes).`,
    );
  }
  if (/^\s*[[{"]/.test(source)) {
    try {
      return parseJson(source, limits);
    } catch (thrown) {
      if (!(thrown instanceof SyntaxFault)) throw thrown;
      // No JSON, but it may be YAML in flow style.
    }
  }
  try {
    return loadYaml(source, limits) ?? new Map();
  } catch (thrown) {
    if (!(thrown instanceof SyntaxFault)) throw thrown;
    const { line, column } = positionAt(source, thrown.offset);
    throw inFile(new Fault('ValueError', `${what} ${file}: ${thrown.message}`), file, line, column);
  }
}

function inFile(fault: Fault, file: string, line: number, column: number): Fault {
  fault.file = file;
  fault.position = { line, column };
  return fault;
}

/** Runs `work`; a Fault that it throws is told where in the template its path leads. */
export function located<T>(file: string, source: string | undefined, limits: Limits | undefined, work: () => T): T {
  try {
    return work();
  } catch (caught) {
    const thrown = caught instanceof RangeError ? tooMuch(caught) : caught;
    if (thrown instanceof Fault && thrown.position === undefined && source !== undefined) {
      thrown.file = file;
      try {
        thrown.position = locate(source, limits ?? DEFAULT_LIMITS, thrown.location);
      } catch {
        // A JSON text that YAML 1.1 cannot read (tabs): the message stands without its place.
      }
    }
    throw thrown;
  }
}

/** What V8 says where a text or the stack grows beyond its own bounds, as our kind of mistake. */
function tooMuch(error: RangeError): Fault {
  return new Fault('RequestLimitExceeded', `Request limit exceeded: the template asks for too much (${error.message})`);
}

/** A section of the template, {} where it is missing or empty. Throws AttributeError as Heat where it is no map. */
export function sectionOf(template: Template, name: string | undefined): Dict {
  const section = name === undefined ? undefined : template.tree.get(name);
  if (section === undefined || section === null || section === '' || section === false || section === 0)
    return new Map();
  if (section instanceof Map) return section;
  if (Array.isArray(section) && section.length === 0) return new Map();
  throw new Fault('AttributeError', `The section "${name}" must be a map.`, { path: [name as string] });
}
