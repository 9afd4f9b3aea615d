import { equal, type Value } from '../../services/orchestration/language/index.ts';

/** Which parts of two outcomes differ, by the rules of the oracle's own comparison; empty where they agree. */
export function differences(want: Value, got: Value): string[] {
  if (!(want instanceof Map) || !(got instanceof Map)) return ['no outcome'];
  const snippet = want.get('snippet_error');
  if (snippet !== undefined)
    return equal(field(snippet, 'class'), field(got.get('snippet_error'), 'class')) ? [] : ['snippet_error'];
  if (want.has('result')) return got.has('result') && equal(want.get('result'), got.get('result')) ? [] : ['result'];
  if (want.get('valid') !== got.get('valid')) return ['valid'];
  if (!want.get('valid')) {
    return equal(field(want.get('error'), 'class'), field(got.get('error'), 'class')) ? [] : ['error.class'];
  }
  const parts: [string, (outcome: Map<unknown, Value>) => Value][] = [
    ['parameters', (outcome) => picked(outcome.get('parameters'), ['value', 'has_value'])],
    ['conditions', (outcome) => outcome.get('conditions') ?? new Map()],
    ['resources', (outcome) => picked(outcome.get('resources'), RESOURCE_FIELDS)],
    ['edges', (outcome) => edges(outcome.get('edges'))],
    ['outputs', (outcome) => outcome.get('outputs') ?? new Map()],
  ];
  return parts.filter(([, part]) => !equal(part(want), part(got))).map(([name]) => name);
}

const RESOURCE_FIELDS = ['type', 'properties', 'metadata', 'deletion_policy', 'update_policy'];

function field(value: Value | undefined, name: string): Value {
  return value instanceof Map ? (value.get(name) ?? null) : null;
}

function picked(entries: Value | undefined, fields: readonly string[]): Value {
  if (!(entries instanceof Map)) return new Map();
  return new Map([...entries].map(([name, entry]) => [name, fields.map((one) => field(entry, one))]));
}

function edges(value: Value | undefined): Value {
  return Array.isArray(value) ? value.map((edge) => (edge as string[]).join('\0')).sort() : [];
}
