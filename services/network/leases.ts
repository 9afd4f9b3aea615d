/** The DHCP engine's lease store over PostgreSQL: commits that come together go out as one transaction. */
import { createBatch } from '../core/database/batch.ts';
import type { Database } from '../core/database/index.ts';
import { type Binding, bindingKey, type LeaseStore } from '../dhcp/index.ts';
import { findLease, pageOfLeases, writeLeases } from './store/leases.ts';

const pageSize = 5_000;

export function createLeaseStore(db: Database): LeaseStore {
  const batch = createBatch<Binding, void>(db, {
    async flush(tx, bindings) {
      // One statement cannot write a row twice; the later call wins.
      const newest = new Map(bindings.map((binding) => [bindingKey(binding), binding]));
      await writeLeases(tx.kysely, [...newest.values()]);
      return bindings.map(() => undefined);
    },
  });
  return {
    async *all() {
      let last: Binding | null = null;
      for (;;) {
        const page: Binding[] = await pageOfLeases(db.kysely, last, pageSize);
        yield* page;
        if (page.length < pageSize) return;
        last = page.at(-1) ?? null;
      }
    },
    find: (subnet, address) => findLease(db.kysely, subnet, address),
    commit: (binding) => batch.add(binding),
  };
}
