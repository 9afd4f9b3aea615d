/** OS::Heat::RandomString: a text of the asked classes, made once and kept sealed. */
import { randomInt } from 'node:crypto';
import { done, type Handler } from '../engine/handler.ts';
import type { Properties } from '../engine/state.ts';

const lower = 'abcdefghijklmnopqrstuvwxyz';
const upper = lower.toUpperCase();
const digits = '0123456789';
const classes: Readonly<Record<string, string>> = {
  lettersdigits: upper + lower + digits,
  letters: upper + lower,
  lowercase: lower,
  uppercase: upper,
  digits,
  hexdigits: `${digits}ABCDEF`,
  octdigits: '01234567',
};

interface Wish {
  readonly from: string;
  readonly min: number;
}

function wishes(properties: Properties): Wish[] {
  if (typeof properties.sequence === 'string') return [{ from: classes[properties.sequence] ?? '', min: 1 }];
  const listed = (name: string, key: string, of: (text: string) => string): Wish[] =>
    ((properties[name] ?? []) as { [key: string]: string | number | null }[]).map((item) => ({
      from: of(String(item[key])),
      min: Number(item.min ?? 1),
    }));
  const sequences = listed('character_sequences', 'sequence', (text) => text);
  const named = listed('character_classes', 'class', (name) => classes[name] ?? '');
  return sequences.length > 0 && !properties.character_classes ? sequences : [...named, ...sequences];
}

const pick = (from: string): string => from[randomInt(from.length)] as string;

export function randomText(properties: Properties): string {
  const length = Number(properties.length ?? 32);
  const from = wishes(properties);
  const out = from.flatMap(({ from, min }) => Array.from({ length: min }, () => pick(from)));
  const any = from.map((wish) => wish.from).join('');
  while (out.length < length) out.push(pick(any));
  for (let i = out.length - 1; i > 0; i--) {
    const j = randomInt(i + 1);
    [out[i], out[j]] = [out[j] as string, out[i] as string];
  }
  return out.join('');
}

export const randomString: Handler = {
  type: 'OS::Heat::RandomString',
  named: true,
  create(work) {
    work.data.value ??= randomText(work.properties);
    return done;
  },
  attributes: ({ data }) => ({ value: data.value ?? null }),
  reference: ({ data, name }) => data.value ?? name,
};
