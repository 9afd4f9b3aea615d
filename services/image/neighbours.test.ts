import { expect, it } from 'vitest';
import { createNeighbourhoods } from './neighbours.ts';

function scene() {
  let now = 0;
  let tokens = 0;
  const neighbourhoods = createNeighbourhoods({
    clock: { now: () => now },
    random: () => 0.5,
    token: () => `t${++tokens}`,
  });
  return {
    neighbourhoods,
    pass(ms: number) {
      now += ms;
    },
  };
}

it('tells each of the others, at most twelve, and never of itself', () => {
  const { neighbourhoods } = scene();
  expect(neighbourhoods.announce('image', '192.0.2.1', 9998)).toEqual({
    tokens: ['t1'],
    neighbours: [],
    again_ms: 2000,
  });
  expect(neighbourhoods.announce('image', '192.0.2.2', 9998).neighbours).toEqual([
    { address: '192.0.2.1', port: 9998 },
  ]);
  expect(neighbourhoods.announce('other', '192.0.2.3', 9998)).toMatchObject({ tokens: ['t2'], neighbours: [] });
  for (let i = 3; i < 40; i++) neighbourhoods.announce('image', `192.0.2.${i}`, 9998);
  const { neighbours } = neighbourhoods.announce('image', '192.0.2.1', 9998);
  expect(neighbours).toHaveLength(12);
  expect(new Set(neighbours.map(({ address }) => address)).size).toBe(12);
  expect(neighbours.map(({ address }) => address)).not.toContain('192.0.2.1');
});

it('forgets who says nothing any more, and is heard from less often by many', () => {
  const { neighbourhoods, pass } = scene();
  neighbourhoods.announce('image', '192.0.2.1', 9998);
  pass(6000);
  expect(neighbourhoods.announce('image', '192.0.2.2', 9998).neighbours).toHaveLength(1);
  pass(1);
  expect(neighbourhoods.announce('image', '192.0.2.3', 9998).neighbours).toEqual([
    { address: '192.0.2.2', port: 9998 },
  ]);
  for (let i = 0; i < 500; i++) neighbourhoods.announce('image', '192.0.2.9', 1000 + i);
  expect(neighbourhoods.announce('image', '192.0.2.9', 999).again_ms).toBeGreaterThan(5000);
});

it('changes the token, and takes the one before for a while', () => {
  const { neighbourhoods, pass } = scene();
  const tokens = () => neighbourhoods.announce('image', '192.0.2.1', 9998).tokens;
  expect(tokens()).toEqual(['t1']);
  pass(10 * 60_000);
  expect(tokens()).toEqual(['t2', 't1']);
  pass(30 * 60_000);
  expect(tokens()).toEqual(['t3']);
});

it('holds a bounded number of images and members, whoever announces what', () => {
  const { neighbourhoods } = scene();
  for (let port = 1; port <= 6000; port++) neighbourhoods.announce('image', '192.0.2.1', port);
  // Three intervals of 10 ms for each member that there is.
  expect(neighbourhoods.announce('image', '192.0.2.1', 7000).again_ms).toBeLessThanOrEqual(41_000);
  for (let i = 0; i < 100; i++) neighbourhoods.announce(`image ${i}`, '192.0.2.1', 1);
  expect(neighbourhoods.announce('image', '192.0.2.1', 1).neighbours).toEqual([]);
});
