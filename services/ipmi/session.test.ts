// Console half against BMC half over a simulated network: logins, losses, restarts, and what callers get to see.

import { describe, expect, it } from 'vitest';
import type { BmcReply } from './bmc.ts';
import { IpmiError } from './errors.ts';
import { bmcOf, failure, GUID, machine, SECRET, world } from './simulated-bmc.ts';
import { SimulatedNetwork } from './simulated-network.ts';
import { createIpmiTransport } from './transport.ts';

describe('sessions', () => {
  it.each([1, 2, 3, 17])('opens with cipher suite %i and commands the machine', async (suite) => {
    const { net, its, session, bmc } = world({ bmc: { suites: [suite] } });
    const it = session({ suites: [suite] });
    await expect(net.run(it.open())).resolves.toMatchObject({
      protocol: '2.0',
      suite,
      guid: { raw: GUID.toString('hex') },
    });
    await net.run(it.power('on'));
    await expect(net.run(it.chassisStatus())).resolves.toMatchObject({ power: 'on' });
    expect(its.done).toEqual(['0:2:01', '0:1:']);
    expect(bmc.sessions).toMatchObject([{ user: 'admin', privilege: 4, suite }]);
    await net.run(it.close());
    expect(bmc.sessions).toEqual([]);
  });

  it('is one datagram each way for a poll on a kept session', async () => {
    const { net, rows, session } = world();
    const it = session();
    await net.run(it.chassisStatus());
    rows.length = 0;
    for (let i = 0; i < 200; i++) await net.run(it.chassisStatus());
    expect(rows).toHaveLength(200);
    expect(rows.every((row) => row.attempts === 1 && row.command === 'Get Chassis Status' && !row.error)).toBe(true);
  });

  it('falls to the next suite where the first is refused, and remembers it', async () => {
    const { net, rows, session } = world({ bmc: { suites: [3] } });
    const it = session();
    await expect(net.run(it.open())).resolves.toMatchObject({ suite: 3 });
    expect(it.remembered).toEqual({ protocol: '2.0', suite: 3 });
    expect(rows[0]?.attempts).toBe(5);
    await net.run(it.release());
    await net.run(it.open());
    expect(rows.at(-1)?.attempts).toBe(4);
  });

  it('is not talked down to a weaker suite by the answer', async () => {
    const { net, session } = world();
    net.tap = (datagram) => {
      // Integrity algorithm of the Open Session answer becomes "none".
      if (datagram[5] === 0x11) datagram[16 + 12 + 12] = 0;
      return datagram;
    };
    expect((await failure(net.run(session({ suites: [3] }).open()))).code).toBe('suite-refused');
  });

  it('uses K_g when the BMC has one', async () => {
    const { net, session } = world({ bmc: { kg: 'the key of the house' } });
    await expect(net.run(session({ kg: 'the key of the house' }).open())).resolves.toMatchObject({ suite: 17 });
    const wrong = await failure(net.run(session({ kg: 'another key' }).open()));
    expect(wrong).toMatchObject({ code: 'bad-kg' });
    expect((await failure(net.run(session().open()))).message).toContain('set or clear kg');
  });

  it('closes everything when the transport closes', async () => {
    const { net, bmc, transport, session } = world();
    const all = [session(), session({ user: 'watcher', password: 'look', privilege: 'user' })];
    for (const one of all) await net.run(one.open());
    expect(bmc.sessions).toHaveLength(2);
    await net.run(transport.close());
    expect(bmc.sessions).toEqual([]);
    expect(transport.sessions.size).toBe(0);
    expect((await failure(all[0]!.chassisStatus())).code).toBe('closed');
  });

  it('keeps an idle session alive, and asks nothing while it is busy', async () => {
    const { net, its, session } = world();
    const it = session({ keepAlive: 30_000 });
    await net.run(it.chassisStatus());
    await net.pass(20_000);
    await net.run(it.chassisStatus());
    await net.pass(20_000);
    expect(its.done.filter((done) => done.startsWith('6:1'))).toHaveLength(0);
    await net.pass(15_000);
    expect(its.done.filter((done) => done.startsWith('6:1'))).toHaveLength(1);
    await net.run(it.close());
  });

  it('speaks to IPv6 BMCs, however their address is written', async () => {
    const net = new SimulatedNetwork(5);
    net.bmc('2001:db8::2', bmcOf(net, machine()));
    const transport = createIpmiTransport({ socket: net.socket('2001:db8::1'), timers: net.timers, random: net.bytes });
    const it = transport.session({ host: '2001:0DB8:0:0::0002', user: 'admin', password: SECRET });
    await expect(net.run(it.chassisStatus())).resolves.toMatchObject({ power: 'off' });
    await net.run(transport.close());
  });

  it('resolves names, and says when a name has no address', async () => {
    const net = new SimulatedNetwork(5);
    net.bmc('10.0.0.7', bmcOf(net, machine()));
    const lookup = async (host: string) => {
      if (host === 'bmc7') return '10.0.0.7';
      throw Object.assign(new Error('no'), { code: 'ENOTFOUND' });
    };
    const transport = createIpmiTransport({ socket: net.socket(), timers: net.timers, random: net.bytes, lookup });
    await net.run(transport.session({ host: 'bmc7', user: 'admin', password: SECRET }).open());
    const error = await failure(
      net.run(transport.session({ host: 'nowhere', user: 'admin', password: SECRET }).open()),
    );
    expect(error).toMatchObject({ code: 'unresolved', message: expect.stringContaining('nowhere') });
    await net.run(transport.close());
  });

  it('keeps 200 BMCs apart on one socket, whoever answers first', async () => {
    const net = new SimulatedNetwork(8, { loss: 0.05, duplicate: 0.1, reorder: 0.5 });
    const transport = createIpmiTransport({ socket: net.socket(), timers: net.timers, random: net.bytes });
    const fleet = Array.from({ length: 200 }, (_, i) => {
      const its = machine();
      its.on = i % 3 === 0;
      const host = `10.1.0.${i + 1}`;
      net.bmc(host, bmcOf(net, its));
      return { its, session: transport.session({ host, user: 'admin', password: SECRET, keepAlive: 0 }) };
    });
    const states = await net.run(Promise.all(fleet.map(({ session }) => session.chassisStatus({ deadline: 60_000 }))));
    expect(states.map((state) => state.power)).toEqual(fleet.map(({ its }) => (its.on ? 'on' : 'off')));
    await net.run(transport.close({ deadline: 30_000 }));
  });

  it('does not believe what another address says in a session’s name', async () => {
    const { net, its, session } = world({ bmc: { suites: [1] } });
    const it = session({ suites: [1] });
    await net.run(it.open());
    its.on = true;
    net.tap = (datagram, from, to) => {
      if (!from.startsWith('10.0.0.2 ')) return datagram;
      // Suite 1 has no integrity codes: a forger can answer, but not from the BMC's address.
      const forged = Buffer.from(datagram);
      forged[23] = 0;
      forged[26] = (forged[26]! + 1) & 0xff;
      const { tap } = net;
      net.tap = undefined;
      net.send(forged, '10.0.0.3 623', to);
      net.tap = tap;
      return datagram;
    };
    expect((await net.run(it.chassisStatus())).power).toBe('on');
  });

  it('pings', async () => {
    const { net, transport } = world();
    await expect(net.run(transport.ping('10.0.0.2'))).resolves.toMatchObject({ ipmi: true });
    expect((await failure(net.run(transport.ping('10.0.0.99')))).code).toBe('timeout');
  });
});

describe('bad networks', () => {
  const seeds = Array.from({ length: 12 }, (_, i) => i + 1);
  it.each(seeds)('every command is answered right and every reset is done once (seed %i)', async (seed) => {
    const { net, its, session, transport } = world({
      seed,
      faults: { loss: 0.2, duplicate: 0.2, reorder: 0.3 },
      bmc: { maxSessions: 16 },
    });
    const all = [session(), session({ suites: [3] }), session({ suites: [17] })];
    let expected = 0;
    for (let round = 0; round < 15; round++) {
      for (const it of all) {
        const before = its.done.filter((done) => done === '0:2:03').length;
        const outcome = await net.run(it.power('reset', { deadline: 120_000 })).catch((error: IpmiError) => error);
        const times = its.done.filter((done) => done === '0:2:03').length - before;
        // An uncertain reset may have happened or not, but never twice.
        if (outcome instanceof IpmiError) expect(outcome.code).toBe('uncertain');
        else expected++;
        expect(times).toBeLessThanOrEqual(1);
        if (!outcome) expect(times).toBe(1);
        const status = await net.run(it.chassisStatus({ deadline: 120_000 }));
        expect(status.power).toBe(its.on ? 'on' : 'off');
      }
    }
    expect(expected).toBeGreaterThan(30);
    net.faults = {};
    await net.run(transport.close());
  });

  it('leaves no session behind when RAKP 4 is lost for good', async () => {
    const { net, bmc, session } = world();
    net.tap = (datagram) => (datagram[5] === 0x15 ? undefined : datagram);
    await failure(net.run(session({ suites: [17] }).open({ deadline: 20_000 })));
    await net.pass(100);
    expect(bmc.sessions).toEqual([]);
  });

  it('repeats a request under a new session sequence number and the same rqSeq', async () => {
    const { net, session } = world();
    const it = session({ suites: [2] });
    net.faults = {};
    const { bmc } = world({ bmc: { suites: [2] } });
    net.bmc('10.0.0.2', bmc);
    await net.run(it.open());
    const sent: Buffer[] = [];
    net.tap = (datagram, _from, to) => {
      // Byte 4 is 6 for RMCP+: the look whether the BMC is awake is outside the session.
      if (!to.startsWith('10.0.0.2 ') || datagram[4] !== 6) return datagram;
      sent.push(datagram);
      return sent.length < 3 ? undefined : datagram;
    };
    await net.run(it.chassisStatus());
    expect(sent).toHaveLength(3);
    const sequences = sent.map((datagram) => datagram.readUInt32LE(10));
    expect(new Set(sequences).size).toBe(3);
    expect(new Set(sent.map((datagram) => datagram[16 + 4])).size).toBe(1);
  });

  it('reopens by itself when the BMC has forgotten the session', async () => {
    const { net, its, rows, session } = world();
    const it = session();
    await net.run(it.open());
    net.bmc('10.0.0.2', bmcOf(net, its));
    await expect(net.run(it.chassisStatus({ deadline: 30_000 }))).resolves.toMatchObject({ power: 'off' });
    expect(rows.at(-1)?.attempts).toBeGreaterThan(5);
    // Not the four seconds of a BMC that is merely silent: this one answers outside the session.
    expect(rows.at(-1)?.ms).toBeLessThan(1_500);
  });

  it('is patient with a BMC that was slow once, and keeps its session', async () => {
    const { net, its, bmc, session } = world();
    const it = session();
    await net.run(it.open());
    const late = { completionCode: 0, data: Uint8Array.of(1, 0, 0) };
    its.answer = () => new Promise((resolve) => net.timers.set(() => resolve(late), 1_600));
    await expect(net.run(it.chassisStatus({ deadline: 30_000 }))).resolves.toMatchObject({ power: 'on' });
    const [second] = bmc.sessions;
    await expect(net.run(it.chassisStatus({ deadline: 30_000 }))).resolves.toMatchObject({ power: 'on' });
    expect(bmc.sessions).toEqual([second]);
  });

  it('does not repeat a reset on a new session: it first asks whether the old one lives', async () => {
    const { net, its, session } = world();
    const it = session();
    await net.run(it.open());
    net.bmc('10.0.0.2', bmcOf(net, its));
    await net.pass(10_000);
    await net.run(it.power('reset', { deadline: 60_000 }));
    expect(its.done.filter((done) => done === '0:2:03')).toHaveLength(1);
  });

  it('calls a reset uncertain when its answers are lost', async () => {
    const { net, its, session } = world();
    const it = session();
    await net.run(it.open());
    net.tap = (datagram, from) => (from.startsWith('10.0.0.2 ') ? undefined : datagram);
    const error = await failure(net.run(it.power('cycle', { deadline: 60_000 })));
    expect(error.code).toBe('uncertain');
    expect(its.done).toEqual(['0:2:02']);
  });

  it('never carries out twice what a slow BMC answers late', async () => {
    const { net, its, session } = world();
    its.answer = (netfn, cmd) =>
      netfn === 0 && cmd === 2
        ? new Promise<BmcReply>((resolve) => net.timers.set(() => resolve({ completionCode: 0 }), 900))
        : undefined;
    await net.run(session().power('cycle'));
    expect(its.done).toEqual(['0:2:02']);
  });

  it('waits and asks again while the BMC is busy', async () => {
    const { net, its, session } = world();
    let busy = 3;
    its.answer = () => (busy-- > 0 ? { completionCode: 0xc0 } : undefined);
    await expect(net.run(session().chassisStatus())).resolves.toMatchObject({ power: 'off' });
    expect(its.done).toHaveLength(4);
  });

  it('gives up at the deadline, names the BMC, and counts the datagrams', async () => {
    const { net, rows, session } = world();
    net.bmc('10.0.0.2', undefined);
    const error = await failure(net.run(session().chassisStatus({ deadline: 3_000 })));
    expect(error.code).toBe('timeout');
    expect(error.message).toMatch(/^BMC 10\.0\.0\.2:623: .*no answer in 3000 ms to \d datagrams; check the address/);
    expect(rows.at(-1)).toMatchObject({
      bmc: '10.0.0.2:623',
      command: 'Get Chassis Status',
      error: { code: 'timeout' },
    });
    expect(rows.at(-1)!.ms).toBeCloseTo(3_000, -1);
  });

  it('lets a caller go at once, whether his call waits or runs, and serves the others', async () => {
    const { net, session } = world();
    const it = session();
    await net.run(it.open());
    const running = new AbortController();
    const waiting = new AbortController();
    const calls = [
      it.chassisStatus({ signal: running.signal }),
      it.chassisStatus({ signal: waiting.signal }),
      it.chassisStatus(),
    ];
    waiting.abort();
    running.abort();
    expect((await failure(calls[0]!)).code).toBe('aborted');
    expect((await failure(calls[1]!)).code).toBe('aborted');
    await expect(net.run(calls[2]!)).resolves.toMatchObject({ power: 'off' });
    expect((await failure(it.chassisStatus({ signal: AbortSignal.abort() }))).code).toBe('aborted');
  });

  it('does not let a dead BMC delay a living one', async () => {
    const { net, rows, session } = world();
    const dead = session({ host: '10.0.0.66' }).chassisStatus({ deadline: 5_000 });
    dead.catch(() => undefined);
    await net.run(session().chassisStatus());
    expect(rows).toHaveLength(1);
    expect(rows[0]!.ms).toBeLessThan(50);
    await failure(net.run(dead));
  });
});
