import { setFlagsFromString } from 'node:v8';
import { createContext, runInContext } from 'node:vm';
import { Fault } from './faults.ts';

/** Python's regular expressions in JavaScript's, matched in bounded time: patterns come from strangers' templates. */

// A pattern like (a+)+$ takes exponential time by backtracking. With this flag V8 goes over to its linear engine once a
// match backtracks too much; that engine lacks only what BACKTRACKING_ONLY names.
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
const BACKTRACKING_ONLY = /\\[1-9k]|\(\?[=!<]/;
const MAX_MILLISECONDS = 200;

const compiled = new Map<string, RegExp>();
const MOST_KEPT = 500;

/** Compiles a Python pattern, anchored at the start as re.match has it. Throws Fault "error" (Python's re.error). */
export function compilePattern(pattern: string): RegExp {
  let regexp = compiled.get(pattern);
  if (!regexp) {
    regexp = compileSearch(pattern, '', '^');
    if (compiled.size >= MOST_KEPT) compiled.clear();
    compiled.set(pattern, regexp);
  }
  return regexp;
}

/** Compiles a Python pattern to be found anywhere (or after `anchor`), with flags of i, m, s. Throws Fault "error". */
export function compileSearch(pattern: string, flags = '', anchor = ''): RegExp {
  try {
    const translated = translate(pattern);
    return new RegExp(`${anchor}(?:${translated.source})`, [...new Set(translated.flags + flags)].join(''));
  } catch (thrown) {
    throw new Fault('error', `"${pattern}" is not a regular expression: ${(thrown as Error).message}`);
  }
}

/** regexp.exec(value) in bounded time. Throws RequestLimitExceeded where the pattern takes too long. */
export function execPattern(regexp: RegExp, value: string): RegExpExecArray | null {
  if (!BACKTRACKING_ONLY.test(regexp.source)) return regexp.exec(value);
  try {
    return runInContext('regexp.exec(value)', createContext({ regexp, value }), { timeout: MAX_MILLISECONDS });
  } catch (thrown) {
    if ((thrown as { code?: string }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw thrown;
    throw new Fault(
      'RequestLimitExceeded',
      `Request limit exceeded: the pattern ${regexp.source} takes too long to match.`,
    );
  }
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
      if (next === 'A' && !inClass) source += '^';
      else if (next === 'Z' && !inClass) source += '$';
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
    } else {
      source += c;
    }
  }
  return { source, flags };
}
