import { describe, expect, it } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { leaseStoreConformance } from '../dhcp/index.ts';
import { createLeaseStore } from './leases.ts';

leaseStoreConformance('PostgreSQL', { describe, it: (name, body) => it(name, body), expect }, async () => {
  const world = await createWorld({ keep: true });
  return {
    store: createLeaseStore(world.db),
    reopen: async () => createLeaseStore(world.db),
    close: () => world.close(),
  };
});
