/** The language's faults as the house's, told where in the template they are. */
import { type ErrorCode, fault, Fault as HouseFault, toFault } from '../../core/errors/index.ts';
import { DEFAULT_LIMITS, Fault, locate, type Path, type Template } from '../language/index.ts';

/** `hello.hot.yaml:12:5: `, or nothing where the template came as data. */
export const placeOf = (position: { line: number; column: number } | undefined, file: string | undefined): string =>
  position ? `${file ?? 'template'}:${position.line}:${position.column}: ` : '';

/** Where a path leads in the template's text. */
export function placeIn(template: Template, path: Path): string {
  if (template.source === undefined) return '';
  try {
    return placeOf(locate(template.source, DEFAULT_LIMITS, path), template.file);
  } catch {
    return '';
  }
}

const remedies: Readonly<Record<string, string>> = {
  UserParameterMissing: 'Give it with --parameter NAME=VALUE or in an environment file.',
  UnknownUserParameter: 'Leave it out, or declare it under `parameters`.',
};

/** Heat calls mistakes in a template's text by their own names only inside; to clients they are one class. */
const asValidation = new Set(['ValueError', 'TypeError', 'KeyError', 'AttributeError', 'IndexError', 'AssertionError']);

/** A hint as a sentence. */
const asked = (hint: string | undefined): string => (hint ? `${hint.slice(0, 1).toUpperCase()}${hint.slice(1)}` : '');

/** Makes a Fault of the house of what the language threw; anything else passes as it is. */
export function explained(thrown: unknown, template?: Template): HouseFault {
  if (!(thrown instanceof Fault)) return toFault(thrown);
  const place = thrown.position
    ? placeOf(thrown.position, thrown.file)
    : template && thrown.path.length > 0
      ? placeIn(template, thrown.path)
      : '';
  const message = thrown.heatMessage;
  // Some of the language's texts begin with the place already.
  const known = place !== '' && message.includes(place.slice(0, -2));
  return fault('template-invalid', {
    place: known ? '' : place,
    message: /[.!?]$/.test(message) ? message : `${message}.`,
    remedy: remedies[thrown.kind] ?? asked(thrown.hint),
    kind: asValidation.has(thrown.kind) ? 'StackValidationFailed' : thrown.kind,
  });
}

export const isFault = (error: unknown, ...codes: ErrorCode[]): boolean =>
  error instanceof HouseFault && codes.includes(error.code);
