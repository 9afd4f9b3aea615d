import { Fault } from '../faults.ts';
import { compileSearch, execPattern } from '../pattern.ts';
import { define, items, numberOf } from './library.ts';
import { Regex, type Y } from './runtime.ts';
import { pythonRepr } from './shown.ts';

/** Texts and regular expressions. */

/** yaql's str(): null, true and false in its own words, lists as Python's tuples. */
export function shown(value: Y): string {
  if (value === null) return 'null';
  if (value === true) return 'true';
  if (value === false) return 'false';
  return typeof value === 'string' ? value : pythonRepr(value);
}

const text = (value: Y | undefined): string => value as string;
const textOr = (value: Y | undefined): string | null => (value as string | null | undefined) ?? null;

define('function', 'str', 'value:any', ([value]) => shown(value!));
define('function', 'concat', 'args:text*', (args) => args.join(''));
define('both', 'len', 'string:text', ([value]) => [...text(value)].length);
define('method', 'toUpper', 'string:text', ([value]) => text(value).toUpperCase());
define('method', 'toLower', 'string:text', ([value]) => text(value).toLowerCase());

define('method', 'split', 'string:text separator:text?= maxSplits:int=', ([value, separator, most]) =>
  splitText(text(value), textOr(separator), most === undefined ? -1 : numberOf(most)),
);
define('method', 'rightSplit', 'string:text separator:text?= maxSplits:int=', ([value, separator, most]) => {
  const reversed = (one: string): string => [...one].reverse().join('');
  const mark = textOr(separator);
  const parts = splitText(
    reversed(text(value)),
    mark === null ? null : reversed(mark),
    most === undefined ? -1 : numberOf(most),
  );
  return parts.map(reversed).reverse();
});

/** Python's str.split with a limit; without a separator, at runs of blanks. */
function splitText(value: string, separator: string | null, most: number): string[] {
  if (separator === '') throw new Fault('ValueError', 'empty separator');
  const out: string[] = [];
  let rest = separator === null ? value.trimStart() : value;
  while (most < 0 || out.length < most) {
    const found = separator === null ? /\s+/.exec(rest) : { index: rest.indexOf(separator), 0: separator };
    if (!found || found.index < 0) break;
    out.push(rest.slice(0, found.index));
    rest = rest.slice(found.index + found[0].length);
  }
  if (separator !== null || rest !== '') out.push(separator === null ? rest.trimEnd() : rest);
  return out;
}

define('method', 'join', 'sequence:list separator:text', ([list, separator]) =>
  [...items(list)].map(shown).join(text(separator)),
);
define('method', 'join', 'separator:text sequence:list', ([separator, list]) =>
  [...items(list)].map(shown).join(text(separator)),
);

function trimmed(value: string, chars: string | null, left: boolean, right: boolean): string {
  const drop = (c: string): boolean => (chars === null ? /\s/.test(c) : chars.includes(c));
  const all = [...value];
  let [from, to] = [0, all.length];
  while (left && from < to && drop(all[from]!)) from++;
  while (right && to > from && drop(all[to - 1]!)) to--;
  return all.slice(from, to).join('');
}
define('method', 'trim', 'string:text chars:text?=', ([value, chars]) =>
  trimmed(text(value), textOr(chars), true, true),
);
define('method', 'trimLeft', 'string:text chars:text?=', ([value, chars]) =>
  trimmed(text(value), textOr(chars), true, false),
);
define('method', 'trimRight', 'string:text chars:text?=', ([value, chars]) =>
  trimmed(text(value), textOr(chars), false, true),
);
define('both', 'norm', 'string:text? chars:text?=', ([value, chars]) =>
  value === null ? null : trimmed(text(value), textOr(chars), true, true) || null,
);
define('both', 'isEmpty', 'string:text? trim:bool= chars:text?=', ([value, trim, chars]) => {
  if (value === null) return true;
  return (trim === false ? text(value) : trimmed(text(value), textOr(chars), true, true)) === '';
});

/** Python's str.replace with a limit. */
function replaced(value: string, old: string, fresh: string, count: number): string {
  if (count < 0) return value.replaceAll(old, () => fresh);
  const parts = value.split(old);
  return (
    parts.slice(0, count + 1).join(fresh) +
    parts
      .slice(count + 1)
      .map((part) => old + part)
      .join('')
  );
}
define('method', 'replace', 'string:text old:text new:text count:int=', ([value, old, fresh, count]) =>
  replaced(text(value), text(old), text(fresh), count === undefined ? -1 : numberOf(count)),
);
define('method', 'replace', 'string:text replacements:map count:int=', ([value, replacements, count]) => {
  let out = text(value);
  for (const [key, item] of replacements as Map<Y, Y>) {
    out = replaced(out, shown(key as Y), shown(item as Y), count === undefined ? -1 : numberOf(count));
  }
  return out;
});
define('both', 'format', 'string:text args:any*', ([format, ...args]) => {
  let next = 0;
  return text(format).replace(/\{\{|\}\}|\{(\d*)\}/g, (all, index: string | undefined) => {
    if (all === '{{' || all === '}}') return all[0]!;
    const at = index === '' || index === undefined ? next++ : Number(index);
    const value = args[at];
    if (value === undefined) throw new Fault('IndexError', 'Replacement index out of range for positional args tuple');
    return typeof value === 'string' ? value : pythonRepr(value);
  });
});

/** Python's slice bounds. */
function bound(index: number, length: number): number {
  return Math.max(0, Math.min(length, index < 0 ? index + length : index));
}
define('method', 'substring', 'string:text start:int length:int=', ([value, start, length]) => {
  const all = [...text(value)];
  const size = length === undefined || numberOf(length) < 0 ? all.length : numberOf(length);
  const from = numberOf(start) < 0 ? numberOf(start) + all.length : numberOf(start);
  return all.slice(bound(from, all.length), bound(from + size, all.length)).join('');
});
define('method', 'indexOf', 'string:text sub:text start:int=', ([value, part, start]) =>
  text(value).indexOf(text(part), start === undefined ? 0 : bound(numberOf(start), text(value).length)),
);
define('method', 'lastIndexOf', 'string:text sub:text start:int=', ([value, part, start]) => {
  const found = text(value).lastIndexOf(text(part));
  return start !== undefined && found < bound(numberOf(start), text(value).length) ? -1 : found;
});
define('method', 'toCharArray', 'string:text', ([value]) => [...text(value)]);
define('method', 'startsWith', 'string:text prefixes:text*', ([value, ...parts]) =>
  parts.some((part) => text(value).startsWith(text(part))),
);
define('method', 'endsWith', 'string:text suffixes:text*', ([value, ...parts]) =>
  parts.some((part) => text(value).endsWith(text(part))),
);
define('function', 'isString', 'value:any', ([value]) => typeof value === 'string');
define('function', 'hex', 'num:number', ([value]) => `0x${numberOf(value).toString(16)}`);

define(
  'function',
  'regex',
  'pattern:text ignoreCase:bool= multiLine:bool= dotAll:bool=',
  ([pattern, i, m, s]) =>
    new Regex(compileSearch(text(pattern), `${i === true ? 'i' : ''}${m === true ? 'm' : ''}${s === true ? 's' : ''}`)),
);
const pattern = (value: Y | undefined): RegExp => (value as Regex).pattern;
const found = (regexp: RegExp, value: Y | undefined): boolean => execPattern(regexp, text(value)) !== null;
define('method', 'matches', 'regexp:regex string:text', ([regex, value]) => found(pattern(regex), value));
define('method', 'matches', 'string:text regexp:text', ([value, source]) => found(compileSearch(text(source)), value));
define('function', '#operator_=~', 'left:text right:regex', ([value, regex]) => found(pattern(regex), value));
define('function', '#operator_=~', 'left:text right:text', ([value, source]) =>
  found(compileSearch(text(source)), value),
);
define('function', '#operator_!~', 'left:text right:regex', ([value, regex]) => !found(pattern(regex), value));
define(
  'function',
  '#operator_!~',
  'left:text right:text',
  ([value, source]) => !found(compileSearch(text(source)), value),
);
define(
  'method',
  'search',
  'regexp:regex string:text',
  ([regex, value]) => execPattern(pattern(regex), text(value))?.[0] ?? null,
);
define('method', 'searchAll', 'regexp:regex string:text', ([regex, value]) =>
  [...text(value).matchAll(new RegExp(pattern(regex), `${pattern(regex).flags}g`))].map((match) => match[0]),
);
define('method', 'split', 'regexp:regex string:text', ([regex, value]) => text(value).split(pattern(regex)));
define('method', 'split', 'string:text regexp:regex', ([value, regex]) => text(value).split(pattern(regex)));
define('method', 'replace', 'regexp:regex string:text repl:text', ([regex, value, fresh]) =>
  text(value).replace(new RegExp(pattern(regex), `${pattern(regex).flags}g`), text(fresh).replace(/\\(\d)/g, '$$$1')),
);
define('function', 'isRegex', 'value:any', ([value]) => value instanceof Regex);
define('function', 'escapeRegex', 'string:text', ([value]) =>
  text(value).replace(/[^\w]/gu, (c) => (c.charCodeAt(0) < 128 ? `\\${c}` : c)),
);
