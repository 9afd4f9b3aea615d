/** How many statements commits become, by how fast they come. The clock is the test's; PostgreSQL is one that answers in 2 ms. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Database } from '../core/database/index.ts';
import type { Binding } from '../dhcp/index.ts';
import { createLeaseStore } from './leases.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function statements() {
  const rows: number[] = [];
  const client = {
    query: ({ values }: { values: string[] }) => {
      rows.push((values[1] ?? '').split(',').length);
      return new Promise((resolve) => setTimeout(resolve, 2));
    },
    release: () => {},
  };
  const database = { pool: { connect: async () => client } };
  return { store: createLeaseStore(database as unknown as Database), rows };
}

const binding = (number: number): Binding => ({
  subnet: 'lan',
  address: `10.0.${number >> 8}.${number & 255}`,
  state: 'leased',
  client: `id ${number}`,
  mac: null,
  clientId: null,
  hostName: null,
  grantedAt: 1_795_212_090_251,
  expiresAt: 1_795_215_690_251,
});

/** So many come at once each `everyMs`; the longest that one waited, after the first of these groups. */
async function come(group: number, everyMs: number, groups: number) {
  const { store, rows } = statements();
  let longest = 0;
  for (let i = 0; i < groups; i++) {
    const at = performance.now();
    for (let k = 0; k < group; k++)
      store.commit(binding(i * group + k)).then(() => {
        longest = Math.max(longest, performance.now() - at);
      });
    await vi.advanceTimersByTimeAsync(everyMs);
  }
  await vi.advanceTimersByTimeAsync(1000);
  expect(rows.reduce((sum, one) => sum + one, 0)).toBe(group * groups);
  return { rows, longest };
}

it('writes a lone lease at once, also when another one comes every now and then', async () => {
  const { rows, longest } = await come(1, 50, 20);
  expect(rows).toHaveLength(20);
  expect(longest).toBeLessThanOrEqual(3);
});

it('gathers what comes at two thousand a second, also when each statement ends before more comes', async () => {
  const { rows, longest } = await come(16, 8, 125);
  expect(rows.length).toBeLessThan(65);
  expect(longest).toBeLessThanOrEqual(25);
});

it('gathers no longer than it takes for some fifty to come', async () => {
  const { rows } = await come(20, 1, 500);
  const later = rows.slice(5);
  expect(Math.max(...later)).toBeLessThanOrEqual(120);
});

it('tells of what has been written in pieces, so that no burst of ACKs leaves', async () => {
  const { store } = statements();
  const told: number[] = [];
  for (let k = 0; k < 300; k++) store.commit(binding(k)).then(() => told.push(performance.now()));
  await vi.advanceTimersByTimeAsync(1000);
  const counts = new Map<number, number>();
  for (const at of told) counts.set(at, (counts.get(at) ?? 0) + 1);
  expect([told.length, Math.max(...counts.values())]).toEqual([300, 64]);
});
