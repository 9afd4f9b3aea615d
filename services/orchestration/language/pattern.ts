import { Fault } from './faults.ts';

/** Python's regular expressions in JavaScript's: anchored at the start, the way re.match reads them. */

const compiled = new Map<string, RegExp>();
const MOST_KEPT = 500;

/**
 * Compiles a Python pattern so that `exec(value)` is re.match(pattern, value). Throws Fault "error" (Python's re.error)
 * where it is no pattern, or uses what JavaScript lacks.
 */
export function compilePattern(pattern: string): RegExp {
  let regexp = compiled.get(pattern);
  if (!regexp) {
    try {
      const { source, flags } = translate(pattern);
      regexp = new RegExp(`^(?:${source})`, flags);
    } catch (thrown) {
      throw new Fault('error', `"${pattern}" is not a regular expression: ${(thrown as Error).message}`);
    }
    if (compiled.size >= MOST_KEPT) compiled.clear();
    compiled.set(pattern, regexp);
  }
  return regexp;
}

/** Rewrites what Python spells differently: (?P<n>), (?P=n), \A, \Z, leading flags, "]" first in a class. */
export function translate(pattern: string): { source: string; flags: string } {
  let flags = '';
  let rest = pattern;
  const leading = /^\(\?([aiLmsux]+)\)/.exec(rest);
  if (leading) {
    rest = rest.slice(leading[0].length);
    for (const flag of 'ims') if (leading[1]!.includes(flag)) flags += flag;
  }
  let source = '';
  let inClass = false;
  for (let i = 0; i < rest.length; i++) {
    const c = rest[i]!;
    if (c === '\\') {
      const next = rest[++i] ?? '';
      if (next === 'A' && !inClass) source += '(?<![\\s\\S])';
      else if (next === 'Z' && !inClass) source += '(?![\\s\\S])';
      else source += c + next;
    } else if (inClass) {
      if (c === ']') inClass = false;
      source += c === '[' ? '\\[' : c;
    } else if (c === '[') {
      inClass = true;
      source += c;
      if (rest[i + 1] === '^') source += rest[++i];
      if (rest[i + 1] === ']') {
        source += '\\]';
        i++;
      }
    } else if (rest.startsWith('(?P<', i)) {
      source += '(?<';
      i += 3;
    } else if (rest.startsWith('(?P=', i)) {
      const end = rest.indexOf(')', i);
      source += `\\k<${rest.slice(i + 4, end)}>`;
      i = end;
    } else if (c === '$') {
      // Python's $ also matches before a final line break.
      source += flags.includes('m') ? '$' : '(?=\\n?(?![\\s\\S]))';
    } else {
      source += c;
    }
  }
  return { source, flags };
}
