import { float, integer, type Value } from '../values.ts';

/**
 * The implicit types of YAML 1.1 as PyYAML resolves them. They are not the specification's: `y` and `n` stay strings,
 * `1e3` is a string (a float needs a dot, an exponent its sign), `08` is a string, `1_000` an integer, `1:30` sexagesimal.
 * Heat adds one change: timestamps stay strings.
 */

const INTEGER =
  /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const FLOAT =
  /^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;

const WORDS = new Map<string, null | boolean>();
for (const word of ['~', 'null', 'Null', 'NULL', '']) WORDS.set(word, null);
for (const word of ['yes', 'true', 'on']) for (const form of forms(word)) WORDS.set(form, true);
for (const word of ['no', 'false', 'off']) for (const form of forms(word)) WORDS.set(form, false);

function forms(word: string): string[] {
  return [word, word[0]!.toUpperCase() + word.slice(1), word.toUpperCase()];
}

/** The value of an unquoted scalar. */
export function resolvePlain(text: string): Value {
  const first = text.charCodeAt(0);
  // Digits, signs and the dot may start a number.
  if ((first >= 48 && first <= 57) || first === 45 || first === 43 || first === 46) {
    if (INTEGER.test(text)) return parseInteger(text);
    if (FLOAT.test(text)) return parseFloatText(text);
    return text;
  }
  if (text.length <= 5) {
    const word = WORDS.get(text);
    if (word !== undefined) return word;
  }
  return text;
}

/** The value of a scalar with an explicit tag, or undefined where the tag is none that PyYAML's safe loader knows. */
export function resolveTagged(tag: string, text: string): Value | undefined {
  switch (tag) {
    case 'tag:yaml.org,2002:str':
    case 'tag:yaml.org,2002:timestamp':
      return text;
    case 'tag:yaml.org,2002:int':
      return INTEGER.test(text) ? parseInteger(text) : undefined;
    case 'tag:yaml.org,2002:float':
      return FLOAT.test(text) || /^[-+]?[0-9]+([eE][-+]?[0-9]+)?$/.test(text) ? parseFloatText(text) : undefined;
    case 'tag:yaml.org,2002:bool': {
      const word = WORDS.get(text.toLowerCase());
      return typeof word === 'boolean' ? word : undefined;
    }
    case 'tag:yaml.org,2002:null':
      return null;
  }
  return undefined;
}

function parseInteger(text: string): number | bigint {
  let digits = text.replaceAll('_', '');
  const negative = digits.startsWith('-');
  if (negative || digits.startsWith('+')) digits = digits.slice(1);
  let value: bigint;
  if (digits === '' || digits === '0') value = 0n;
  else if (digits.startsWith('0b') || digits.startsWith('0x')) value = digits.length > 2 ? BigInt(digits) : 0n;
  else if (digits.startsWith('0')) value = BigInt(`0o${digits}`);
  else if (digits.includes(':')) value = digits.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n);
  else if (digits.length < 16) return negative ? -Number(digits) : Number(digits);
  else value = BigInt(digits);
  return integer(negative ? -value : value);
}

function parseFloatText(text: string): Value {
  let digits = text.replaceAll('_', '').toLowerCase();
  const sign = digits.startsWith('-') ? -1 : 1;
  if (sign < 0 || digits.startsWith('+')) digits = digits.slice(1);
  if (digits === '.inf') return float(sign * Number.POSITIVE_INFINITY);
  if (digits === '.nan') return float(Number.NaN);
  if (digits.includes(':')) return float(sign * digits.split(':').reduce((sum, part) => sum * 60 + Number(part), 0));
  return float(sign * Number(digits));
}
