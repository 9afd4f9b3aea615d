import { describe, expect, it } from 'vitest';
import { ask, bench, LAN, lease, line } from './engine.fixture.ts';
import { MemoryLeaseStore } from './lease-memory.ts';
import { OPTION } from './option-table.ts';
import { describeOption } from './option-values.ts';
import { BROADCAST_FLAG } from './packet.ts';

const A = '52:54:00:aa:00:01';
const B = '52:54:00:aa:00:02';
const US = '192.0.2.1';

describe('four-way exchange', () => {
  it('offers, acknowledges when durable, and renews by unicast', async () => {
    const at = await bench();
    expect(line(await at.send(ask('discover')))).toBe('OFFER 192.0.2.100 to 255.255.255.255:68');
    expect(at.store.commits).toBe(0);
    const ack = await at.send(ask('request', { requested: '192.0.2.100', server: US, flags: BROADCAST_FLAG }));
    expect(line(ack)).toBe('ACK 192.0.2.100 to 255.255.255.255:68');
    expect(ack.record).toMatchObject({ outcome: 'acknowledged', state: 'selecting', xid: '12345678', mac: A });
    expect(await at.store.find('lan', '192.0.2.100')).toMatchObject({
      state: 'leased',
      mac: A,
      // A quarter longer than the client hears.
      expiresAt: at.clock.now + 4_500_000,
    });
    expect(line(await at.send(ask('request', { requested: '192.0.2.100', server: US })))).toContain('ACK');
    expect(at.store.commits).toBe(1);
    at.clock.now += 1_800_000;
    const renewed = await at.send(ask('request', { ciaddr: '192.0.2.100' }));
    expect(line(renewed)).toBe('ACK 192.0.2.100 to 192.0.2.100:68');
    expect(renewed.record.state).toBe('renewing');
    expect(at.store.commits).toBe(2);
    if (renewed.kind !== 'reply') throw new Error('silent');
    expect(renewed.packet.ciaddr).toBe(ask('request', { ciaddr: '192.0.2.100' }).ciaddr);
    expect([51, 58, 59].map((code) => describeOption(code, renewed.packet.options.get(code)!))).toEqual([
      '3600',
      '1800',
      '3150',
    ]);
  });

  it('sends only what was asked for, everything where nothing was, and the client identifier back (RFC 6842)', async () => {
    const at = await bench([
      { ...LAN, domain: 'example.org', mtu: 1400, ntp: [US], routes: [{ destination: '169.254.169.254/32', via: US }] },
    ]);
    const some = await at.send(ask('discover', { list: [1, 3, 121], clientId: 'ff00112233' }));
    const all = await at.send(ask('discover'));
    if (some.kind !== 'reply' || all.kind !== 'reply') throw new Error('silent');
    expect([...some.packet.options.keys()].sort((a, b) => a - b)).toEqual([1, 3, 28, 51, 53, 54, 58, 59, 61, 121]);
    expect([...some.packet.options.keys()][0]).toBe(53);
    expect(describeOption(121, some.packet.options.get(121)!)).toBe(
      '0.0.0.0/0 via 192.0.2.1, 169.254.169.254/32 via 192.0.2.1',
    );
    expect([...all.packet.options.keys()].sort((a, b) => a - b)).toEqual([
      1, 3, 6, 15, 26, 28, 42, 51, 53, 54, 58, 59, 121,
    ]);
  });

  it('does not wait for one client to serve another', async () => {
    const at = await bench();
    await at.send(ask('discover', { mac: A }));
    await at.send(ask('discover', { mac: B }));
    let open = (): void => {};
    at.store.gate = new Promise((resolve) => {
      open = resolve;
    });
    let acknowledged = false;
    const first = at.send(ask('request', { mac: A, requested: '192.0.2.100', server: US })).then((decision) => {
      acknowledged = true;
      return decision;
    });
    const repeated = at.send(ask('request', { mac: A, requested: '192.0.2.100', server: US }));
    expect(line(await at.send(ask('discover', { mac: '52:54:00:aa:00:03' })))).toContain('OFFER 192.0.2.102');
    expect(acknowledged).toBe(false);
    open();
    expect(line(await first)).toContain('ACK 192.0.2.100');
    expect(line(await repeated)).toContain('ACK 192.0.2.100');
    expect(at.store.commits).toBe(1);
  });

  it('keeps an address for its client beyond the lease, until somebody else needs it', async () => {
    const at = await bench();
    expect(await lease(at, { mac: A })).toBe('192.0.2.100');
    at.clock.now += 4_000_000;
    expect(await lease(at, { mac: B })).toBe('192.0.2.101');
    expect(await lease(at, { mac: A })).toBe('192.0.2.100');
  });

  it('takes its bindings up again from the store', async () => {
    const store = new MemoryLeaseStore();
    const before = await bench([LAN], undefined, { store });
    expect(await lease(before, { mac: A })).toBe('192.0.2.100');
    const after = await bench([LAN], undefined, { store });
    expect(after.engine.freeAddresses('lan')).toBe(9);
    expect(await lease(after, { mac: B })).toBe('192.0.2.101');
    expect(line(await after.send(ask('request', { mac: A, ciaddr: '192.0.2.100' })))).toBe(
      'ACK 192.0.2.100 to 192.0.2.100:68',
    );
    // The offer of before is forgotten, but its address is still free: as good as offered.
    await before.send(ask('discover', { mac: '52:54:00:aa:00:03' }));
    expect(
      line(await after.send(ask('request', { mac: '52:54:00:aa:00:03', requested: '192.0.2.105', server: US }))),
    ).toContain('ACK 192.0.2.105');
  });
});

describe('REQUEST', () => {
  it('lets go when the client takes another server, and names that server', async () => {
    const at = await bench();
    await at.send(ask('discover'));
    expect(at.engine.freeAddresses('lan')).toBe(9);
    const decision = await at.send(ask('request', { requested: '192.0.2.200', server: '192.0.2.66' }));
    expect(decision.record).toMatchObject({
      outcome: 'chose-other',
      asked: { server: '192.0.2.66', address: '192.0.2.200' },
    });
    expect(at.engine.freeAddresses('lan')).toBe(10);
  });

  it('refuses addresses of another network, of another client, and unknown ones', async () => {
    const at = await bench();
    await lease(at, { mac: B });
    const cases = [
      [{ requested: '10.1.2.3' }, '10.1.2.3 does not belong to this network'],
      [{ requested: '192.0.2.100' }, `192.0.2.100 is leased to mac ${B}`],
      [{ requested: '192.0.2.105' }, `no lease of 192.0.2.105 to ${A} is known`],
      [{ ciaddr: '192.0.2.105' }, `no lease of 192.0.2.105 to ${A} is known`],
      [{ requested: '192.0.2.100', server: US }, `192.0.2.100 is leased to mac ${B}`],
      [{ requested: '192.0.2.50', server: US }, `192.0.2.50 was not offered to ${A}`],
    ] as const;
    for (const [fields, reason] of cases) {
      const decision = await at.send(ask('request', { mac: A, ...fields }));
      expect(line(decision)).toBe('NAK - to 255.255.255.255:68');
      expect(decision.record.reason).toBe(reason);
      if (decision.kind !== 'reply') throw new Error('silent');
      expect([decision.packet.yiaddr, decision.packet.siaddr, decision.packet.ciaddr]).toEqual([0, 0, 0]);
      expect([...decision.packet.options.keys()]).toEqual([53, 54, 56]);
    }
  });

  it('is silent about what it does not know where it is not authoritative', async () => {
    const at = await bench([{ ...LAN, authoritative: false }]);
    expect(line(await at.send(ask('request', { requested: '192.0.2.105' })))).toContain('silent: no lease');
    expect(line(await at.send(ask('request', { requested: '10.0.0.1' })))).toContain(
      'silent: 10.0.0.1 does not belong',
    );
    await lease(at);
    expect(line(await at.send(ask('request', { requested: '10.0.0.1' })))).toContain('NAK');
  });

  it('confirms an address after INIT-REBOOT', async () => {
    const at = await bench();
    await lease(at);
    const decision = await at.send(ask('request', { requested: '192.0.2.100' }));
    expect(line(decision)).toBe('ACK 192.0.2.100 to 255.255.255.255:68');
    expect(decision.record.state).toBe('init-reboot');
  });

  it('says nothing to a REQUEST that asks for nothing', async () => {
    const at = await bench();
    expect(line(await at.send(ask('request')))).toContain('without server identifier');
  });
});

describe('when the store fails', () => {
  it('sends no ACK for a new lease, and gives the address back', async () => {
    const at = await bench();
    await at.send(ask('discover'));
    at.store.failure = new Error('connection refused');
    const decision = await at.send(ask('request', { requested: '192.0.2.100', server: US }));
    expect(decision.record).toMatchObject({ outcome: 'failed', answered: null });
    expect(decision.record.reason).toContain('connection refused; no ACK was sent');
    expect(at.engine.freeAddresses('lan')).toBe(10);
    at.store.failure = undefined;
    expect(await lease(at)).toBe('192.0.2.100');
  });

  it('renews what is durable from memory: what is left of a pool lease, all of a reserved one', async () => {
    const at = await bench();
    at.engine.reservations.set({ mac: B, address: '192.0.2.20' });
    await lease(at, { mac: A });
    await lease(at, { mac: B });
    at.clock.now += 1_800_000;
    at.store.failure = new Error('away');
    const pool = await at.send(ask('request', { mac: A, ciaddr: '192.0.2.100' }));
    expect(pool.record.answered).toMatchObject({ message: 'ACK', leaseSeconds: 2700 });
    expect(pool.record.reason).toBe('renewed from memory: away');
    const reserved = await at.send(ask('request', { mac: B, ciaddr: '192.0.2.20' }));
    expect(reserved.record.answered).toMatchObject({ message: 'ACK', leaseSeconds: 3600 });
    at.clock.now += 2_650_000;
    expect((await at.send(ask('request', { mac: A, ciaddr: '192.0.2.100' }))).record.outcome).toBe('failed');
  });

  it('does not let a slow store hold a renewal', async () => {
    const waits: number[] = [];
    const at = await bench([LAN], undefined, {
      after: async (ms) => {
        waits.push(ms);
      },
    });
    await lease(at);
    at.clock.now += 1_800_000;
    at.store.gate = new Promise(() => {});
    const decision = await at.send(ask('request', { ciaddr: '192.0.2.100' }));
    expect(decision.record.reason).toBe('renewed from memory: the lease store has not answered in time');
    expect(waits).toEqual([250]);
  });
});

describe('reservations', () => {
  it('follow the MAC whatever the client identifier, and keep pools away', async () => {
    const at = await bench();
    at.engine.reservations.set({ mac: A, address: '192.0.2.100', hostName: 'node-1' });
    expect(at.engine.freeAddresses('lan')).toBe(9);
    for (const clientId of [undefined, '01525400aa0001', 'ff00aa000100020000ab11', '00deadbeef']) {
      expect(await lease(at, { mac: A, ...(clientId && { clientId }) })).toBe('192.0.2.100');
    }
    expect(await lease(at, { mac: B, requested: '192.0.2.100' })).toBe('192.0.2.101');
    at.engine.reservations.remove(A);
    at.clock.now += 3_700_000;
    expect(at.engine.freeAddresses('lan')).toBe(10);
  });

  it('move a client by NAK', async () => {
    const at = await bench();
    await lease(at);
    at.engine.reservations.set({ mac: A, address: '192.0.2.30' });
    const decision = await at.send(ask('request', { ciaddr: '192.0.2.100' }));
    expect(line(decision)).toContain('NAK');
    expect(decision.record.reason).toContain(`192.0.2.100 is not the address reserved for ${A}, which is 192.0.2.30`);
    expect(await lease(at)).toBe('192.0.2.30');
    expect(at.engine.freeAddresses('lan')).toBe(10);
  });

  it('wait for somebody who has a lease of the address', async () => {
    const at = await bench();
    await lease(at, { mac: B });
    at.engine.reservations.set({ mac: A, address: '192.0.2.100' });
    expect(await lease(at, { mac: A })).toContain(`192.0.2.100 is reserved for ${A}, but mac ${B} has it until`);
    expect(line(await at.send(ask('request', { mac: B, ciaddr: '192.0.2.100' })))).toContain('NAK');
    await at.send(ask('release', { mac: B, ciaddr: '192.0.2.100', server: US }));
    expect(await lease(at, { mac: A })).toBe('192.0.2.100');
  });

  it('refuse two MACs for one address and nonsense', async () => {
    const { engine } = await bench();
    engine.reservations.set({ mac: A, address: '192.0.2.30' });
    expect(() => engine.reservations.set({ mac: B, address: '192.0.2.30' })).toThrow(`reserved for ${A}`);
    expect(() => engine.reservations.set({ mac: 'x', address: '192.0.2.31' })).toThrow('"x" is no MAC address');
    engine.reservations.replace([{ mac: B, address: '192.0.2.30' }]);
    expect(engine.reservations.of(A)).toEqual([]);
    expect(engine.reservations.size).toBe(1);
  });

  it('alone are served in reservations-only mode; all others meet silence', async () => {
    const at = await bench([{ ...LAN, mode: 'reservations-only' }]);
    at.engine.reservations.set({ mac: A, address: '192.0.2.30' });
    expect(await lease(at, { mac: A })).toBe('192.0.2.30');
    expect(await lease(at, { mac: B })).toContain('has no reservation here');
    for (const packet of [
      ask('request', { mac: B, requested: '10.0.0.1' }),
      ask('request', { mac: B, ciaddr: '192.0.2.77' }),
      ask('inform', { mac: B, ciaddr: '192.0.2.77' }),
    ]) {
      expect((await at.send(packet)).kind).toBe('none');
    }
    expect(line(await at.send(ask('request', { mac: A, requested: '192.0.2.77' })))).toContain('NAK');
  });
});

describe('two clients with one MAC', () => {
  it('share the address by MAC, and have two by client identifier', async () => {
    const byMac = await bench();
    expect(await lease(byMac, { clientId: '01aa' })).toBe('192.0.2.100');
    expect(await lease(byMac, { clientId: '01bb' })).toBe('192.0.2.100');
    const byId = await bench([{ ...LAN, identity: 'client-id' }]);
    expect(await lease(byId, { clientId: '01aa' })).toBe('192.0.2.100');
    expect(await lease(byId, { clientId: '01bb' })).toBe('192.0.2.101');
    expect(await lease(byId)).toBe('192.0.2.102');
  });
});

describe('exhaustion, DECLINE and RELEASE', () => {
  it('says that the pool is empty, serves those who have a lease, and recovers', async () => {
    const at = await bench();
    for (let i = 0; i < 10; i++) expect(await lease(at, { mac: `02:00:00:00:00:0${i}` })).toBe(`192.0.2.10${i}`);
    expect(await lease(at)).toContain(`no address left in subnet lan for ${A}; enlarge the pool`);
    expect(await lease(at, { mac: '02:00:00:00:00:03' })).toBe('192.0.2.103');
    const released = await at.send(ask('release', { mac: '02:00:00:00:00:07', ciaddr: '192.0.2.107', server: US }));
    expect(released.record.outcome).toBe('released');
    expect((await at.store.find('lan', '192.0.2.107'))?.state).toBe('released');
    expect(await lease(at)).toBe('192.0.2.107');
  });

  it('frees offers that nobody takes', async () => {
    const at = await bench();
    for (let i = 0; i < 10; i++) await at.send(ask('discover', { mac: `02:00:00:00:00:0${i}` }));
    expect(line(await at.send(ask('discover')))).toContain('no address left');
    at.clock.now += 31_000;
    expect(line(await at.send(ask('discover')))).toContain('OFFER');
  });

  it('rests declined addresses, believes a client three times, and never runs dry of them', async () => {
    const at = await bench();
    for (let i = 0; i < 3; i++) {
      expect(await lease(at)).toBe(`192.0.2.10${i}`);
      expect((await at.send(ask('decline', { requested: `192.0.2.10${i}`, server: US }))).record.outcome).toBe(
        'declined',
      );
      expect((await at.store.find('lan', `192.0.2.10${i}`))?.state).toBe('declined');
    }
    expect(await lease(at)).toContain('declined 3 addresses within 10 minutes and gets no more');
    expect(at.engine.freeAddresses('lan')).toBe(7);
    // A storm of clients, each of which declines what it gets.
    for (let i = 0; i < 40; i++) {
      const mac = `02:00:00:00:01:${(i + 16).toString(16)}`;
      const address = await lease(at, { mac });
      expect(address).toMatch(/^192\.0\.2\.10\d$/);
      await at.send(ask('decline', { mac, requested: address, server: US }));
    }
    expect(await lease(at, { mac: B })).toMatch(/^192\.0\.2\.10\d$/);
    at.clock.now += 601_000;
    expect(await lease(at)).toMatch(/^192\.0\.2\.10\d$/);
    expect(at.engine.freeAddresses('lan')).toBe(8);
  });

  it("takes no DECLINE or RELEASE of what is not the sender's, nor of another server's", async () => {
    const at = await bench();
    await lease(at, { mac: A });
    for (const message of ['decline', 'release'] as const) {
      const where = { requested: '192.0.2.100', ciaddr: '192.0.2.100' };
      expect(line(await at.send(ask(message, { mac: B, ...where, server: US })))).toContain(
        `192.0.2.100 is not ${B}'s to ${message}`,
      );
      expect(line(await at.send(ask(message, { mac: A, ...where, server: '192.0.2.66' })))).toContain(
        'meant for server 192.0.2.66',
      );
    }
    expect(line(await at.send(ask('request', { mac: A, ciaddr: '192.0.2.100' })))).toContain('ACK');
  });

  it('keeps a reserved address with its machine though it is declined', async () => {
    const at = await bench();
    at.engine.reservations.set({ mac: A, address: '192.0.2.30' });
    await lease(at);
    const decision = await at.send(ask('decline', { requested: '192.0.2.30', server: US }));
    expect(decision.record.reason).toContain('somebody else on the link uses it');
    expect(await lease(at)).toBe('192.0.2.30');
  });
});

describe('INFORM', () => {
  it('gives options and no lease, to the address itself, also through a relay', async () => {
    const at = await bench();
    const decision = await at.send(ask('inform', { ciaddr: '192.0.2.77' }));
    expect(line(decision)).toBe('ACK - to 192.0.2.77:68');
    if (decision.kind !== 'reply') throw new Error('silent');
    expect(decision.packet.yiaddr).toBe(0);
    expect([...decision.packet.options.keys()].sort((a, b) => a - b)).toEqual([1, 3, 6, 28, 53, 54]);
    expect(at.store.commits).toBe(0);
  });
});

describe("what is nobody's request", () => {
  it('is refused with a reason', async () => {
    const at = await bench();
    const reply = ask('discover');
    reply.op = 2;
    const faceless = ask('discover');
    faceless.hlen = 0;
    const cases = [
      [reply, 'another server speaks here'],
      [ask('offer'), "OFFER is a server's message"],
      [faceless, 'nothing to know the client by'],
      [ask('discover', { mac: '00:00:00:00:00:00' }), "nobody's MAC"],
      [ask('discover', { options: [[OPTION.messageType, Uint8Array.of(99)]] }), 'BOOTP is not served'],
    ] as const;
    for (const [packet, reason] of cases) expect((await at.send(packet)).record.reason).toContain(reason);
    expect((await at.send(ask('discover'), { link: 'other' })).record.reason).toBe('no subnet is served on link other');
  });

  it('serves a client without MAC by its identifier (RFC 4390)', async () => {
    const at = await bench();
    const packet = ask('discover', { clientId: 'ff0011' });
    packet.hlen = 0;
    packet.htype = 32;
    expect(line(await at.send(packet))).toContain('OFFER 192.0.2.100');
  });
});
