import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { captures, seeded } from './captured.fixture.ts';
import { ask, type Bench, bench, LAN } from './engine.fixture.ts';
import { decodePacket, encodePacket } from './packet.ts';
import { type DhcpEvent, type DhcpLimits, type DhcpServing, serveDhcp } from './serve.ts';

/** On loopback: the client is its own relay (giaddr 127.0.0.1 with RFC 8357's sub-option), since only relays are answered where they ask from. */
const LOOP = {
  ...LAN,
  id: 'loop',
  cidr: '127.0.0.0/24',
  link: 'lo',
  serverAddress: '127.0.0.1',
  router: '127.0.0.1',
  pools: [{ from: '127.0.0.50', to: '127.0.0.99' }],
};
const SOURCE_PORT = [[82, Uint8Array.of(19, 0)]] as const;

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function socket(): Promise<Socket> {
  const one = createSocket('udp4');
  one.bind(0, '127.0.0.1');
  await once(one, 'listening');
  open.push(one);
  return one;
}

async function world(limits: Partial<DhcpLimits> = {}): Promise<{
  client: Socket;
  send: (bytes: Uint8Array) => void;
  events: DhcpEvent[];
  until: (test: () => boolean) => Promise<void>;
  serving: DhcpServing;
  at: Bench;
}> {
  const at = await bench([LOOP]);
  const server = await socket();
  const client = await socket();
  const events: DhcpEvent[] = [];
  const waiting: (() => void)[] = [];
  const serving = serveDhcp({
    socket: server,
    link: 'lo',
    engine: at.engine,
    limits,
    onEvent: (event) => {
      events.push(event);
      for (const wake of waiting.splice(0)) wake();
    },
  });
  open.push({ close: () => serving.stop() });
  const { port } = server.address() as AddressInfo;
  return {
    at,
    client,
    serving,
    events,
    send: (bytes) => client.send(bytes, port, '127.0.0.1'),
    until: async (test) => {
      while (!test()) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

const discover = (mac: string): Uint8Array =>
  encodePacket(ask('discover', { mac, giaddr: '127.0.0.1', options: SOURCE_PORT })).bytes;

describe('serving', () => {
  it('answers a relay where it asked from, and tells the exchange', async () => {
    const { client, send, events } = await world();
    send(discover('02:00:00:00:00:01'));
    const [bytes] = (await once(client, 'message')) as [Buffer];
    const reply = decodePacket(bytes);
    expect(reply.ok && reply.packet.yiaddr).toBe(0x7f000032);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      type: 'exchange',
      count: 1,
      exchange: { link: 'lo', mac: '02:00:00:00:00:01', outcome: 'offered' },
    });
  });

  it('tells malformed packets once an interval, and goes on', async () => {
    const { client, send, events } = await world();
    for (let i = 0; i < 200; i++) send(Uint8Array.of(1, 2, 3));
    send(discover('02:00:00:00:00:01'));
    await once(client, 'message');
    expect(events.filter(({ type }) => type === 'malformed')).toEqual([
      {
        type: 'malformed',
        link: 'lo',
        source: '127.0.0.1',
        reason: '3 bytes; a DHCP packet has at least 240',
        count: 1,
      },
    ]);
  });

  it('holds one noisy client back and serves the others', async () => {
    const { client, send, events, until } = await world({ perClient: { burst: 5, perSecond: 0 } });
    for (let i = 0; i < 20; i++) send(discover('02:00:00:00:00:01'));
    await until(() => events.some(({ type }) => type === 'held-back'));
    expect(events.filter(({ type }) => type === 'held-back')).toMatchObject([
      { mac: '02:00:00:00:00:01', reason: 'this client asks too often', count: 1 },
    ]);
    const answered = new Promise<void>((resolve) => {
      client.on('message', (bytes) => {
        if (bytes[33] === 2) resolve();
      });
    });
    send(discover('02:00:00:00:00:02'));
    await answered;
  });

  it('serves machines of ours through a flood of strangers', async () => {
    const { client, send, events, until, at } = await world({ strangers: { burst: 10, perSecond: 0 } });
    at.engine.reservations.set({ mac: '02:00:00:00:ff:01', address: '127.0.0.10' });
    for (let i = 0; i < 50; i++) send(discover(`02:00:00:00:00:${i.toString(16).padStart(2, '0')}`));
    await until(() => events.some(({ type }) => type === 'held-back'));
    const answered = new Promise<number>((resolve) => {
      client.on('message', (bytes) => {
        if (bytes[32] === 0xff) resolve(bytes[19]!);
      });
    });
    send(discover('02:00:00:00:ff:01'));
    expect(await answered).toBe(10);
    expect(at.engine.freeAddresses('loop')).toBe(40);
  });

  it('survives mutated packets and stops without losing what it has in hand', async () => {
    const { client, send, serving, at } = await world({
      perClient: { burst: 1e6, perSecond: 1e6 },
      strangers: { burst: 1e6, perSecond: 1e6 },
    });
    // The mutants empty the pool; reserved machines do not notice.
    at.engine.reservations.set({ mac: '02:00:00:00:01:01', address: '127.0.0.10' });
    at.engine.reservations.set({ mac: '02:00:00:00:01:02', address: '127.0.0.12' });
    at.engine.reservations.set({ mac: '02:00:00:00:02:01', address: '127.0.0.11' });
    const random = seeded(99);
    const packets = captures().flatMap((capture) => capture.packets);
    for (let round = 0; round < 2000; round++) {
      const bytes = packets[Math.floor(random() * packets.length)]!.bytes.slice();
      for (let i = 0; i < 4; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      // Only towards ourselves: a mutated giaddr must not send anything elsewhere.
      bytes.set([127, 0, 0, 1], 24);
      send(bytes);
      if (round % 50 === 49) {
        send(discover('02:00:00:00:01:01'));
        await once(client, 'message');
      }
    }
    let release = (): void => {};
    at.store.gate = new Promise((resolve) => {
      release = resolve;
    });
    send(
      encodePacket(
        ask('request', {
          mac: '02:00:00:00:02:01',
          giaddr: '127.0.0.1',
          requested: '127.0.0.11',
          server: '127.0.0.1',
          options: SOURCE_PORT,
        }),
      ).bytes,
    );
    const answered = new Promise<void>((resolve) => {
      client.on('message', (bytes) => {
        if (bytes[33] === 2 && bytes[32] === 1) resolve();
      });
    });
    send(discover('02:00:00:00:01:02'));
    await answered;
    expect(serving.inFlight()).toBe(1);
    const stopped = serving.stop();
    release();
    await stopped;
    expect((await at.store.find('loop', '127.0.0.11'))?.mac).toBe('02:00:00:00:02:01');
  });
});
