/** A stack's outputs for people: texts as they are, everything else as JSON. */
import type { StackOutput } from './stack-api.ts';

export const outputValues = (outputs: readonly StackOutput[]): Record<string, unknown> =>
  Object.fromEntries(outputs.map((one) => [one.output_key, one.output_value ?? null]));

export function outputLines(outputs: readonly StackOutput[]): string[] {
  const width = Math.max(0, ...outputs.map(({ output_key }) => output_key.length));
  return outputs.map((one) => {
    const { output_value: value, output_error: error } = one;
    const shown = error ? `(cannot be told: ${error})` : plain(value);
    return `${one.output_key.padEnd(width)}  ${shown}`;
  });
}

export const plain = (value: unknown): string =>
  typeof value === 'string' ? value : value === undefined || value === null ? '-' : JSON.stringify(value);
