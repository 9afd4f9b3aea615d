import { describe, expect, it } from 'vitest';
import { captures, seeded } from './captured.fixture.ts';
import type { DatagramPort } from './datagrams.ts';
import { ask, type Bench, bench, LAN } from './engine.fixture.ts';
import { mutate, optionFaults } from './mutate.fixture.ts';
import { type DhcpPacket, decodePacket, encodePacket } from './packet.ts';
import { type DhcpEvent, serveDhcp } from './serve.ts';

/** The whole server on a wire of memory: what is sent to it is bytes, what it answers too. */

interface Wire {
  readonly at: Bench;
  readonly events: DhcpEvent[];
  readonly answers: DhcpPacket[];
  /** From this address; resolves when everything that can be answered has been. */
  put(bytes: Uint8Array, from?: number): Promise<void>;
}

async function wire(subnets = [LAN]): Promise<Wire> {
  const at = await bench(subnets, async () => ({ filename: 'snponly.efi' }));
  const events: DhcpEvent[] = [];
  const answers: DhcpPacket[] = [];
  let receive: (bytes: Uint8Array, address: number, port: number) => void = () => {};
  const port: DatagramPort = {
    listen(received) {
      receive = received;
      return () => {};
    },
    send(bytes) {
      const decoded = decodePacket(Uint8Array.from(bytes));
      if (!decoded.ok) throw new Error(`the server sent what it cannot read: ${decoded.reason}`);
      answers.push(decoded.packet);
    },
  };
  const serving = serveDhcp({
    socket: port,
    link: 'br0',
    engine: at.engine,
    now: () => at.clock.now,
    onEvent: (event) => events.push(event),
  });
  return {
    at,
    events,
    answers,
    async put(bytes, from = 0) {
      receive(bytes, from, 68);
      // Boot and the store answer within a few turns of the microtask queue.
      for (let turns = 0; turns < 50 && serving.inFlight() > 0; turns++) await Promise.resolve();
    },
  };
}

const good = (number: number): Uint8Array =>
  encodePacket(ask('discover', { mac: `02:aa:00:00:${hex(number >> 8)}:${hex(number & 255)}` })).bytes;
const hex = (value: number): string => value.toString(16).padStart(2, '0');
const originals = captures().flatMap(({ packets }) => packets.map(({ bytes }) => bytes));
/** What the server says of itself: a handler that threw. */
const crashes = (events: readonly DhcpEvent[]): string[] =>
  events.flatMap((event) =>
    event.type === 'send-failed' && event.reason.startsWith('not answered') ? [event.reason] : [],
  );

describe('bad packets at the server', () => {
  it('each captured packet cut at each byte: nothing falls over, and a good client is answered after each packet', async () => {
    const { put, events, answers, at } = await wire();
    let clients = 0;
    for (const bytes of originals) {
      for (let length = 0; length < bytes.length; length++) await put(bytes.subarray(0, length), 0x0a000001);
      answers.length = 0;
      // An hour later: addresses that were offered before are free again.
      at.clock.now += 3_700_000;
      await put(good(clients++));
      expect(answers.map(({ yiaddr }) => yiaddr > 0)).toEqual([true]);
    }
    expect(crashes(events)).toEqual([]);
  });

  it('each option twice, empty, over-long and reaching beyond the end', async () => {
    const { put, events, answers, at } = await wire();
    let faults = 0;
    for (const bytes of originals) {
      for (const bad of optionFaults(bytes)) {
        await put(bad);
        faults++;
      }
      answers.length = 0;
      at.clock.now += 3_700_000;
      await put(good(1));
      expect(answers.map(({ yiaddr }) => yiaddr > 0)).toEqual([true]);
    }
    expect(crashes(events)).toEqual([]);
    expect(faults).toBeGreaterThan(1000);
  });

  it('10,000 mutated packets: good clients between them are all answered, and malformed ones are told once an interval', async () => {
    const { put, events, answers, at } = await wire();
    const random = seeded(20_261_121);
    let served = 0;
    for (let i = 0; i < 10_000; i++) {
      await put(mutate(originals[Math.floor(random() * originals.length)]!, random), 0x0a000001);
      if (i % 100 !== 99) continue;
      answers.length = 0;
      at.clock.now += 60_000;
      await put(good(7));
      served += answers.filter(({ chaddr }) => chaddr[1] === 0xaa).length;
    }
    expect(served).toBe(100);
    expect(crashes(events)).toEqual([]);
    // One sender, one kind: a hundred minutes have passed, and one report a minute's step is the most there can be.
    const malformed = events.filter(({ type }) => type === 'malformed');
    expect(malformed.length).toBeLessThanOrEqual(101);
    expect(malformed.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(1000);
  });
});

describe('clients and relays that lie', () => {
  it('a client that declines every address is stopped; others are answered at once', async () => {
    const { at } = await wire();
    const mac = '02:bb:00:00:00:01';
    let rested = 0;
    for (let round = 0; round < 50; round++) {
      const offer = await at.send(ask('discover', { mac }));
      if (offer.kind === 'none') break;
      const requested = offer.record.answered!.address!;
      await at.send(ask('request', { mac, requested, server: '192.0.2.1' }));
      await at.send(ask('decline', { mac, requested, server: '192.0.2.1' }));
      rested++;
    }
    expect(rested).toBeLessThanOrEqual(4);
    expect((await at.send(ask('discover', { mac: '02:bb:00:00:00:02' }))).kind).toBe('reply');
  });

  it('a pool that is used up is said once for each client, and those who have a lease keep it', async () => {
    const { put, answers, events } = await wire();
    for (let i = 0; i < 40; i++) await put(good(i));
    expect(answers.length).toBe(10);
    const silent = events.filter((event) => event.type === 'exchange' && event.outcome === 'silent');
    expect(silent.length).toBe(30);
    for (let i = 0; i < 40; i++) await put(good(i));
    expect(answers.length).toBe(20);
    expect(events.filter((event) => event.type === 'exchange' && event.outcome === 'silent').length).toBe(30);
  });

  it('a relay that names networks which are not ours, or puts itself on a wire of ours, gives nobody a false address', async () => {
    const { at } = await wire();
    const link = (address: string) => [[82, Uint8Array.of(5, 4, ...address.split('.').map(Number))]] as const;
    const strange = await at.send(ask('discover', { giaddr: '203.0.113.1' }));
    expect(strange.record.reason).toContain('a network that is not served here');
    const selected = await at.send(ask('discover', { giaddr: '192.0.2.1', options: link('203.0.113.1') }));
    expect(selected.record.reason).toContain('a network that is not served here');
    // Sub-options that do not add up are echoed and not believed; the relay's own address counts.
    const torn = await at.send(ask('discover', { giaddr: '192.0.2.200', options: [[82, Uint8Array.of(5, 9, 1)]] }));
    expect(torn.record.answered?.address).toBe('192.0.2.100');
    if (torn.kind === 'reply') expect([...torn.packet.options.get(82)!]).toEqual([5, 9, 1]);
    const endless = ask('discover', { giaddr: '192.0.2.200' });
    endless.hops = 200;
    expect((await at.send(endless)).record.reason).toContain('a loop of relays');
  });

  it('two clients with one MAC get the one address, and neither a second', async () => {
    const { at } = await wire();
    const mac = '02:cc:00:00:00:01';
    const addresses = new Set<string>();
    for (const clientId of ['01aa', '01bb', '01aa', '01bb']) {
      const offer = await at.send(ask('discover', { mac, clientId }));
      addresses.add(offer.record.answered!.address!);
    }
    expect([...addresses]).toEqual(['192.0.2.100']);
    expect(at.engine.freeAddresses('lan')).toBe(9);
  });
});

it('a hundred machines that boot at once: each packet is answered, or its sender asks again and is answered then', async () => {
  const subnet = {
    ...LAN,
    cidr: '10.0.0.0/16',
    serverAddress: '10.0.0.1',
    router: '10.0.0.1',
    dns: [],
    pools: [{ from: '10.0.1.0', to: '10.0.1.255' }],
  };
  const { at, put, answers } = await wire([subnet]);
  const random = seeded(100);
  const waiting = new Map<string, 'discover' | 'request'>();
  const given = new Map<string, number>();
  for (let i = 0; i < 100; i++) waiting.set(`02:aa:00:00:00:${hex(i)}`, 'discover');
  const offers = new Map<string, number>();
  let rounds = 0;
  for (; waiting.size > 0 && rounds < 20; rounds++) {
    // All that still wait ask within the same instant; every fifth datagram is lost, either way.
    const puts = [...waiting].map(([mac, message]) => {
      const fields = message === 'request' ? { requested: text(offers.get(mac) ?? 0), server: '10.0.0.1' } : {};
      const { bytes } = encodePacket(ask(message, { mac, vendorClass: 'PXEClient:Arch:00007:UNDI:003000', ...fields }));
      return random() < 0.2 ? Promise.resolve() : put(bytes);
    });
    await Promise.all(puts);
    for (const answer of answers.splice(0)) {
      if (random() < 0.2) continue;
      const mac = [...answer.chaddr.subarray(0, 6)].map(hex).join(':');
      const type = answer.options.get(53)?.[0];
      if (type === 2 && waiting.get(mac) === 'discover') {
        offers.set(mac, answer.yiaddr);
        waiting.set(mac, 'request');
      } else if (type === 5) {
        given.set(mac, answer.yiaddr);
        waiting.delete(mac);
      }
    }
    // Four seconds until firmware asks again (RFC 2131 section 4.1).
    at.clock.now += 4_000;
  }
  expect(waiting.size).toBe(0);
  expect(new Set(given.values()).size).toBe(100);
});

const text = (address: number): string => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');

it('does not answer to an address that cannot be on the wire', async () => {
  const { at } = await wire();
  const offer = await at.send(ask('discover', { ciaddr: '0.79.0.0' }));
  expect(offer.record.answered?.to).toBe('255.255.255.255:68');
  const ack = await at.send(ask('request', { ciaddr: '203.0.113.9', requested: '192.0.2.100', server: '192.0.2.1' }));
  expect(ack.record.answered?.to).toBe('255.255.255.255:68');
});
