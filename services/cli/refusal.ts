/** The sentence inside an error body of any dialect: Ironic's is JSON in JSON, Heat's has an explanation, Neutron's a name of its own. */
import { type Fault, fault } from '../core/errors/index.ts';

/** Where dialects keep their sentence, the most telling first: Heat's `explanation` is only the class of the error. */
const sentenceFields = ['faultstring', 'message', 'description', 'explanation', 'detail'];
const longest = 2000;

export function refusal(status: number, text: string, url: string): Fault {
  const message = sentenceIn(text) ?? `${url} answered ${status}.`;
  return refusalOf(status, message);
}

/** A refusal whose sentence is known already. */
export const refusalOf = (status: number, message: string): Fault =>
  Object.assign(fault('cloud-refused', { message }), { status });

export function sentenceIn(text: string): string | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's page is no sentence.
    return text.trimStart().startsWith('<') ? null : text.trim().slice(0, longest) || null;
  }
  // Depth: Ironic's `error_message` is a string of JSON with an object of its own.
  for (let depth = 0; depth < 4 && body && typeof body === 'object'; depth += 1) {
    const fields = body as Record<string, unknown>;
    const inner = fields.error_message ?? fields.error;
    if (inner === undefined || typeof inner === 'number')
      for (const name of sentenceFields) {
        const value = fields[name];
        if (typeof value === 'string' && value !== '') return value.slice(0, longest);
      }
    const next = inner !== undefined && typeof inner !== 'number' ? inner : Object.values(fields)[0];
    if (typeof next !== 'string') {
      body = next;
      continue;
    }
    try {
      body = JSON.parse(next);
    } catch {
      return next.slice(0, longest) || null;
    }
  }
  return null;
}
