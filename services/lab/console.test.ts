import { expect, test } from 'vitest';
import { escapeReader } from './console.ts';

const type = (...chunks: string[]): { sent: string; left: boolean } => {
  const read = escapeReader();
  let sent = '';
  for (const chunk of chunks) {
    const { send, leave } = read(Buffer.from(chunk, 'latin1'));
    sent += send.toString('latin1');
    if (leave) return { sent, left: true };
  }
  return { sent, left: false };
};

test.each([
  [['ls\r'], 'ls\r', false],
  [['~.'], '', true],
  [['ls\r~.'], 'ls\r', true],
  [['ls\r', '~', '.'], 'ls\r', true],
  // Only at the start of a line.
  [['a~.'], 'a~.', false],
  [['~~.'], '~.', false],
  [['~x~.'], '~x~.', false],
  [['~\r~.'], '~\r', true],
])('typing %j sends %j, leaves: %s', (chunks, sent, left) => {
  expect(type(...chunks)).toEqual({ sent, left });
});
