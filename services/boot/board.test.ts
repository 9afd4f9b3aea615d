import { expect, it } from 'vitest';
import { Reservations } from '../dhcp/reservation.ts';
import type { HeldAddress, Network } from '../network/index.ts';
import { createBoard } from './board.ts';

const node = { uuid: '11111111-1111-4111-8111-111111111111', name: 'node-1' };
const known = '52:54:00:aa:00:01';
const formerly = '52:54:00:aa:00:02';
const stranger = '52:54:00:aa:00:03';
const held = (mac: string, ip: string, kept: boolean): HeldAddress => ({
  mac,
  ip,
  subnetId: 's',
  portId: 'p',
  hostName: null,
  kept,
});

function stage(isHeard: boolean) {
  const asked: string[] = [];
  const reservations = new Reservations();
  const addresses = [held(known, '192.0.2.10', true), held(formerly, '192.0.2.11', true)];
  const network = {
    heldAddresses: async (_network: string, mac?: string) => {
      asked.push(`addresses ${mac ?? 'all'}`);
      return addresses.filter((one) => mac === undefined || one.mac === mac);
    },
    keepAddress: async (mac: string) => {
      asked.push(`keep ${mac}`);
      return held(mac, '192.0.2.12', true);
    },
  } as unknown as Network;
  const board = createBoard({
    network,
    baremetal: {
      nodeByMac: async (mac) => {
        asked.push(`node ${mac}`);
        return mac === known ? node : null;
      },
      bootIntent: async () => null,
      macs: async () => [{ mac: known, ...node }],
    },
    networkId: 'n',
    reservations,
    isHeard: () => isHeard,
    onTrouble: () => {},
    now: () => 0,
  });
  return { asked, board, reservations };
}

it('asks nobody about a DISCOVER while news is heard: not of a node, not of a stranger', async () => {
  const { asked, board, reservations } = stage(true);
  await board.load();
  asked.length = 0;
  for (const mac of [known, formerly, stranger]) await board.prepare(mac);
  expect(asked).toEqual([]);
  expect(board.nodeOf(known)).toEqual(node);
  expect(reservations.of(known)).toHaveLength(1);
  // Its address was kept for a node that is gone: it is a stranger now.
  expect([reservations.of(formerly), reservations.of(stranger)]).toEqual([[], []]);
});

it('looks each up while it is not', async () => {
  const { asked, board } = stage(false);
  await board.load();
  asked.length = 0;
  for (const mac of [known, stranger]) await board.prepare(mac);
  expect(asked).toEqual([`node ${known}`, `keep ${known}`, `node ${stranger}`, `addresses ${stranger}`]);
});
