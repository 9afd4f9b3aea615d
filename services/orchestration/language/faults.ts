import type { Position } from './yaml/position.ts';

/**
 * What can be wrong with a template. `kind` is the name of the exception that Heat raises for the same mistake: clients
 * see it in the API's error type, and Heat's own control flow distinguishes by it (a ValueError in an argument becomes a
 * StackValidationFailed of the function that got it).
 */
export type FaultKind =
  | 'AttributeError'
  | 'AssertionError'
  | 'CircularDependencyException'
  | 'ConflictingMergeStrategyForParam'
  | 'EntityNotFound'
  | 'IndexError'
  | 'InvalidBreakPointHook'
  | 'InvalidExternalResourceDependency'
  | 'InvalidMergeStrategyForParam'
  | 'InvalidRestrictedAction'
  | 'InvalidSchemaError'
  | 'InvalidTemplateAttribute'
  | 'InvalidTemplateReference'
  | 'InvalidTemplateSection'
  | 'InvalidTemplateVersion'
  | 'KeyError'
  | 'NotFound'
  | 'RequestLimitExceeded'
  | 'StackValidationFailed'
  | 'TypeError'
  | 'UnknownUserParameter'
  | 'UserParameterMissing'
  | 'ImmutableParameterModified'
  | 'ValueError'
  | (string & {});

/** Heat's own exceptions; all others are Python's (or yaql's), which validation turns into a StackValidationFailed. */
const OWN = new Set([
  'CircularDependencyException',
  'ConflictingMergeStrategyForParam',
  'EntityNotFound',
  'InvalidBreakPointHook',
  'InvalidExternalResourceDependency',
  'InvalidMergeStrategyForParam',
  'InvalidRestrictedAction',
  'InvalidSchemaError',
  'InvalidTemplateAttribute',
  'InvalidTemplateReference',
  'InvalidTemplateSection',
  'InvalidTemplateVersion',
  'NotFound',
  'RequestLimitExceeded',
  'StackValidationFailed',
  'UnknownUserParameter',
  'UserParameterMissing',
  'ImmutableParameterModified',
]);

export type Path = (string | number)[];

export interface FaultOptions {
  /** Heat's prefix of the message ("Property error"). */
  error?: string | undefined;
  /** Heat's path of the message: ["resources", "r", "properties", "name"]. */
  path?: readonly (string | number)[];
  /** Where it is, if Heat's message does not say so. */
  place?: readonly (string | number)[];
  /** A remedy in a few words: 'did you mean "length"?'. */
  hint?: string | undefined;
}

/**
 * One mistake in a template, an environment or the values given to them.
 * `path` leads from the template's root to the place (as far as it is known); `position` and `file` say where that is in
 * the text, once `located` has been called. `message` has the same sense as Heat's.
 */
export class Fault extends Error {
  readonly kind: FaultKind;
  readonly error: string | undefined;
  /** The message without prefix and path. */
  readonly reason: string;
  path: Path;
  /** A remedy in a few words, beside Heat's message. */
  readonly hint: string | undefined;
  private readonly place: Path | undefined;
  file: string | undefined;
  position: Position | undefined;

  constructor(kind: FaultKind, reason: string, options: FaultOptions = {}) {
    super(reason);
    this.name = kind;
    this.kind = kind;
    this.reason = reason;
    this.error = options.error;
    this.path = options.path ? [...options.path] : [];
    this.hint = options.hint;
    this.place = options.place ? [...options.place] : undefined;
  }

  /** Heat's full message: prefix, path and reason joined by ": ". */
  get heatMessage(): string {
    if (this.kind !== 'StackValidationFailed') return this.reason;
    return [this.error ?? '', pathText(this.path), this.reason].filter((part) => part !== '').join(': ');
  }

  /** Whether this is one of Python's own exceptions, not one of Heat's. */
  get isPlain(): boolean {
    return !OWN.has(this.kind);
  }

  /** The path to look up in the text. */
  get location(): Path {
    return this.place ?? this.path;
  }

  /** "file:line:column: kind: message", the parts that are known. */
  override toString(): string {
    const where = this.position ? `${this.file ?? 'template'}:${this.position.line}:${this.position.column}: ` : '';
    return `${where}${this.kind}: ${this.heatMessage}${this.hint ? ` (${this.hint})` : ''}`;
  }
}

/** Heat's text of a path: names joined by dots, a number as an index of what stands before it. */
export function pathText(path: readonly (string | number)[]): string {
  let out = '';
  for (const part of path) {
    if (typeof part === 'number') out += `[${part}]`;
    else if (part !== '') out += out === '' ? part : `.${part}`;
  }
  return out;
}

/** The same mistake seen from further up: `prefix` is put before its path, an error prefix kept or set. */
export function within(fault: Fault, prefix: readonly (string | number)[], error?: string): Fault {
  const outer = new Fault('StackValidationFailed', fault.reason, {
    error: fault.error ?? error,
    path: [...prefix, ...fault.path],
    hint: fault.hint,
  });
  outer.file = fault.file;
  outer.position = fault.position;
  return outer;
}

/** Throws what is not a Fault (our own bugs) unchanged, and returns the Fault otherwise. */
export function asFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  throw thrown;
}

/** Python's KeyError; its text is the key as repr() shows it. */
export function keyError(key: string): Fault {
  return new Fault(
    'KeyError',
    key.includes("'") && !key.includes('"') ? `"${key}"` : `'${key.replaceAll("'", "\\'")}'`,
  );
}
