import { expect, it } from 'vitest';
import { createCrowd } from './crowd.ts';

function stage() {
  const told: string[] = [];
  let second = () => {};
  const crowd = createCrowd({
    perSecond: 2,
    one: (event) => told.push(`one ${event.outcome}`),
    many: (outcome, count) => told.push(`${count} ${outcome}`),
    after: (_ms, then) => {
      second = then;
      return () => {};
    },
  });
  const add = (outcome: 'offered' | 'acknowledged') =>
    crowd.add({
      type: 'exchange',
      mac: null,
      outcome,
      tookMs: 0,
      count: 1,
      get exchange(): never {
        throw new Error('a record was made of an exchange that is only counted');
      },
    });
  return { told, add, second: () => second(), crowd };
}

it('tells the first of a second one by one, counts the others, and begins anew', () => {
  const { told, add, second } = stage();
  for (let i = 0; i < 5; i++) add('offered');
  add('acknowledged');
  expect(told).toEqual(['one offered', 'one offered']);
  second();
  expect(told.slice(2)).toEqual(['3 offered', '1 acknowledged']);
  add('acknowledged');
  expect(told.at(-1)).toBe('one acknowledged');
});

it('loses no count when it is stopped', () => {
  const { told, add, crowd } = stage();
  for (let i = 0; i < 3; i++) add('offered');
  crowd.stop();
  expect(told.at(-1)).toBe('1 offered');
});
