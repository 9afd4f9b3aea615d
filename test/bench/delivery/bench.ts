/**
 * `npm run -s bench -- delivery`: how long a rack waits for its image, in simulated time, beside a rack in which every node asks the
 * undercloud's port alone. The agents' own choice of whom to ask runs in it; what of the links is simulated: rack-simulation.ts.
 */

import { createNeighbourhoods } from '../../../services/image/neighbours.ts';
import { type RackOptions, simulateRack } from '../../agents/rack-simulation.ts';
import type { Bench } from '../row.ts';

/** The image of images/debian.yaml: 683 MiB with data, 212 MB packed. A gigabit, less its headers, to the undercloud and to each node. */
const rack: Omit<RackOptions, 'nodes'> = { chunks: 683, packed: 310_000, storePort: 117e6, nodePort: 117e6 };

export const bench: Bench = async (report) => {
  for (const nodes of [10, 100, 500]) {
    const alone = simulateRack({ ...rack, nodes });
    const together = simulateRack({
      ...{ ...rack, nodes },
      neighbourhoods: (clock, random) => createNeighbourhoods({ clock, random, token: () => 'token' }),
    });
    console.error(
      `${nodes} nodes: first ${together.first.toFixed(1)} s, median ${together.median.toFixed(1)} s, last ${together.last.toFixed(1)} s; ` +
        `${(together.fromStore / 1e9).toFixed(2)} GB from the store, ${(together.fromNeighbours / 1e9).toFixed(2)} GB from neighbours`,
    );
    report({ name: `image_${nodes}_nodes_s`, ours: together.last, peer: alone.last, better: 'lower' });
    report({
      ...{ name: `image_${nodes}_nodes_store_gb`, ours: together.fromStore / 1e9, peer: alone.fromStore / 1e9 },
      better: 'lower',
    });
  }
};
