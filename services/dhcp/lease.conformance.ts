import type { Binding, LeaseStore } from './lease.ts';

/** The part of a test framework that the suite needs; vitest's own functions fit. */
export interface ConformanceFrame {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>): void;
  expect(actual: unknown): { toEqual(expected: unknown): void };
}

/**
 * What every `LeaseStore` has to keep. `open` gives an empty store; `reopen` gives a second view of the same data as a new process would see it, or
 * undefined where the adapter has no life beyond its object.
 */
export function leaseStoreConformance(
  name: string,
  frame: ConformanceFrame,
  open: () => Promise<{
    readonly store: LeaseStore;
    readonly reopen?: () => Promise<LeaseStore>;
    readonly close?: () => Promise<void>;
  }>,
): void {
  const { describe, it, expect } = frame;
  const inStore = (body: (store: LeaseStore, reopen: () => Promise<LeaseStore>) => Promise<void>) => async () => {
    const { store, reopen, close } = await open();
    try {
      await body(store, reopen ?? (async () => store));
    } finally {
      await close?.();
    }
  };

  describe(`lease store: ${name}`, () => {
    it(
      'is empty at first',
      inStore(async (store) => {
        expect(await everything(store)).toEqual([]);
        expect(await store.find('lan', '192.0.2.10')).toEqual(undefined);
      }),
    );

    it(
      'gives back what was committed, field by field, also to a new process',
      inStore(async (store, reopen) => {
        const full = binding({ clientId: '01525400aa0001', hostName: 'node-1', state: 'declined' });
        const bare = binding({ address: '192.0.2.11', mac: null, client: 'id ff00', hostName: null, clientId: null });
        await store.commit(full);
        await store.commit(bare);
        expect(await store.find('lan', '192.0.2.10')).toEqual(full);
        expect(await everything(await reopen())).toEqual([full, bare]);
      }),
    );

    it(
      'keeps one binding an address and subnet: the later commit wins, also when both are under way',
      inStore(async (store) => {
        const first = binding({ state: 'leased' });
        const second = binding({ state: 'released', expiresAt: 5_000 });
        const third = binding({ client: 'mac 52:54:00:aa:00:99', mac: '52:54:00:aa:00:99' });
        await Promise.all([store.commit(first), store.commit(second), store.commit(third)]);
        expect(await everything(store)).toEqual([third]);
      }),
    );

    it(
      'keeps the same address of two subnets apart',
      inStore(async (store) => {
        const here = binding({});
        const there = binding({ subnet: 'other' });
        await store.commit(here);
        await store.commit(there);
        expect(await store.find('other', '192.0.2.10')).toEqual(there);
        expect(await everything(store)).toEqual([here, there]);
      }),
    );

    it(
      'takes a thousand commits at once and loses none',
      inStore(async (store, reopen) => {
        const many = Array.from({ length: 1000 }, (_, i) =>
          binding({
            address: `10.0.${i >> 8}.${i & 255}`,
            client: `mac ${i}`,
            mac: null,
            grantedAt: i,
            expiresAt: 1_800_000_000_000 + i,
          }),
        );
        await Promise.all(many.map((one) => store.commit(one)));
        expect(await everything(await reopen())).toEqual([...many].sort(byKey));
      }),
    );
  });
}

function binding(change: Partial<Binding>): Binding {
  return {
    subnet: 'lan',
    address: '192.0.2.10',
    state: 'leased',
    client: 'mac 52:54:00:aa:00:01',
    mac: '52:54:00:aa:00:01',
    clientId: null,
    hostName: null,
    grantedAt: 1_795_212_090_251,
    expiresAt: 1_795_215_690_251,
    ...change,
  };
}

async function everything(store: LeaseStore): Promise<Binding[]> {
  const list: Binding[] = [];
  for await (const one of store.all()) list.push(one);
  return list.sort(byKey);
}

function byKey(a: Binding, b: Binding): number {
  const left = `${a.subnet} ${a.address}`;
  const right = `${b.subnet} ${b.address}`;
  return left < right ? -1 : left > right ? 1 : 0;
}
