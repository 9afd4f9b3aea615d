import { type Binding, bindingKey, type LeaseStore } from './lease.ts';

/** A lease store in memory, for tests, the fake mode and subnets whose leases nobody needs tomorrow. Restarting loses it. */
export class MemoryLeaseStore implements LeaseStore {
  readonly #bindings = new Map<string, Binding>();
  /** When set, commits reject with this: a database that is away. */
  failure: Error | undefined;
  /** When set, commits wait for it: a database that is slow. */
  gate: Promise<void> | undefined;
  commits = 0;

  async *all(): AsyncIterable<Binding> {
    yield* this.#bindings.values();
  }

  async find(subnet: string, address: string): Promise<Binding | undefined> {
    return this.#bindings.get(bindingKey({ subnet, address }));
  }

  async commit(binding: Binding): Promise<void> {
    if (this.gate) await this.gate;
    if (this.failure) throw this.failure;
    this.commits++;
    this.#bindings.set(bindingKey(binding), { ...binding });
  }
}
