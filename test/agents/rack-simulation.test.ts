import { expect, it } from 'vitest';
import { createNeighbourhoods } from '../../services/image/neighbours.ts';
import { type RackOptions, simulateRack } from './rack-simulation.ts';

/** A gigabit to the undercloud and to each node; an image of 700 MiB that packs to 0.3 of it. */
const rack: Omit<RackOptions, 'nodes'> = { chunks: 700, packed: 320_000, storePort: 117e6, nodePort: 117e6 };
const together = (options: Pick<RackOptions, 'nodes' | 'silent' | 'seed'>) =>
  simulateRack({
    ...rack,
    ...options,
    neighbourhoods: (clock, random) => createNeighbourhoods({ clock, random, token: () => 'token' }),
  });

it('images 100 nodes in less than an eighth of the time that the undercloud’s port alone would take', () => {
  const alone = simulateRack({ ...rack, nodes: 100 });
  expect(alone.last).toBeGreaterThan(alone.storeAlone * 0.99);
  const { last, fromStore, fromNeighbours } = together({ nodes: 100 });
  expect(last).toBeLessThan(alone.last / 8);
  expect(fromStore).toBeLessThan(alone.fromStore / 8);
  expect(fromNeighbours).toBeGreaterThan(0);
});

it('is hardly slower where one of twenty does not answer', () => {
  const well = together({ nodes: 60 });
  expect(together({ nodes: 60, silent: 3 }).last).toBeLessThan(well.last * 1.5);
});

it('does not make two nodes wait for each other, and comes out alike each time', () => {
  const two = together({ nodes: 2 });
  // Of these up to five seconds are between the two power buttons.
  expect(two.last).toBeLessThan(simulateRack({ ...rack, nodes: 2 }).last + 2);
  expect(together({ nodes: 2 })).toEqual(two);
  expect(together({ nodes: 2, seed: 2 })).not.toEqual(two);
});
