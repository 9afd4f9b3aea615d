import { expect, it } from 'vitest';
import { joinWatches, joinWires } from './links.ts';
import type { ForeignServer, Watch } from './watch.ts';
import type { Wire } from './wire.ts';

/** A wire that takes `room` captures. */
function wire(room: number) {
  const macs: (readonly string[])[] = [];
  const one = {
    capture(wanted: readonly string[]) {
      if (macs.length >= room) return null;
      macs.push(wanted);
      return () => void macs.splice(macs.indexOf(wanted), 1);
    },
  };
  return { macs, wire: one as unknown as Wire };
}

it('captures a machine on every wire, or on none where one has no room', () => {
  const [a, b, full] = [wire(1), wire(1), wire(0)];
  const leave = joinWires([a.wire, b.wire])?.capture(['52:54:00:aa:00:01'], () => {});
  expect([a.macs.length, b.macs.length]).toEqual([1, 1]);
  leave?.();
  expect([a.macs.length, b.macs.length]).toEqual([0, 0]);
  expect(joinWires([a.wire, full.wire])?.capture(['52:54:00:aa:00:01'], () => {})).toBeNull();
  expect(a.macs).toEqual([]);
  expect(joinWires([])).toBeNull();
});

it('tells the foreign servers of every wire, and holds for one on any of them', () => {
  const server = { interface: 'eth2', address: '192.0.2.9' } as ForeignServer;
  const hold = { on: 'it to go', remedy: 'Stop it.' };
  const watch = (servers: ForeignServer[]) =>
    ({ current: () => servers, hold: () => (servers.length > 0 ? hold : null) }) as unknown as Watch;
  const both = joinWatches([watch([]), watch([server])]);
  expect(both?.current()).toEqual([server]);
  expect(both?.hold()).toEqual(hold);
  expect(joinWatches([watch([])])?.hold()).toBeNull();
  expect(joinWatches([])).toBeNull();
});
