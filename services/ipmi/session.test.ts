// Console half against BMC half over a simulated network: logins, losses, restarts, refusals, and what callers get to see.

import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type BmcOptions, type BmcReply, createBmcSession } from './bmc.ts';
import { IpmiError } from './errors.ts';
import type { Exchange } from './requests.ts';
import { type NetworkFaults, SimulatedNetwork } from './simulated-network.ts';
import { createIpmiTransport, type SessionOptions } from './transport.ts';

const GUID = Buffer.from('4c4c4544000040008000000000000003', 'hex');
const SECRET = 'a secret of 20 bytes';

interface Machine {
  on: boolean;
  /** Every command carried out, `netfn:cmd:data`. */
  done: string[];
  answer?: (netfn: number, cmd: number, data: Buffer) => BmcReply | Promise<BmcReply> | undefined;
}

function machine(): Machine {
  return { on: false, done: [] };
}

function bmcOf(net: SimulatedNetwork, its: Machine, options: Partial<BmcOptions> = {}) {
  return createBmcSession({
    guid: GUID,
    users: () => [
      { name: 'admin', password: SECRET, privilege: 'administrator' },
      { name: 'watcher', password: 'look', privilege: 'user' },
    ],
    random: net.bytes,
    handle(netfn, cmd, data, privilege) {
      its.done.push(`${netfn}:${cmd}:${data.toString('hex')}`);
      const special = its.answer?.(netfn, cmd, data);
      if (special) return special;
      if (netfn === 0 && cmd === 1) return { completionCode: 0, data: Uint8Array.of(its.on ? 0x01 : 0x00, 0, 0) };
      if (netfn === 0 && cmd === 2) {
        if (privilege < 3) return { completionCode: 0xd4 };
        its.on = data[0] !== 0;
        return { completionCode: 0 };
      }
      if (netfn === 6 && cmd === 1)
        return { completionCode: 0, data: Buffer.from('200101029f029f911200020f', 'hex').subarray(1) };
      return { completionCode: 0xc1 };
    },
    ...options,
  });
}

function world(options: { seed?: number; faults?: NetworkFaults; bmc?: Partial<BmcOptions> } = {}) {
  const net = new SimulatedNetwork(options.seed ?? 1, options.faults);
  const its = machine();
  const bmc = bmcOf(net, its, options.bmc);
  net.bmc('10.0.0.2', bmc);
  const rows: Exchange[] = [];
  const transport = createIpmiTransport({
    socket: net.socket(),
    timers: net.timers,
    random: net.bytes,
    onExchange: (row) => rows.push(row),
  });
  const session = (more: Partial<SessionOptions> = {}) =>
    transport.session({ host: '10.0.0.2', user: 'admin', password: SECRET, keepAlive: 0, ...more });
  return { net, its, bmc, rows, transport, session };
}

async function failure(work: Promise<unknown>): Promise<IpmiError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof IpmiError) return error;
  throw new Error(`expected an IpmiError, got ${inspect(error)}`);
}

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
      if (!to.startsWith('10.0.0.2 ')) return datagram;
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

describe('refusals', () => {
  it('says that the password is wrong, and frees the BMC’s slot', async () => {
    const { net, bmc, session } = world({ bmc: { maxSessions: 1 } });
    const error = await failure(net.run(session({ password: 'nonsense' }).open()));
    expect(error.code).toBe('bad-password');
    expect(error.message).toBe("BMC 10.0.0.2:623: RAKP 1: the BMC holds another password for user 'admin'; correct it");
    await net.run(session().open());
    expect(bmc.sessions).toHaveLength(1);
  });

  it('believes a proof that one stray datagram has broken', async () => {
    const { net, session } = world();
    let broken = 0;
    net.tap = (datagram) => {
      if (datagram[5] === 0x13 && broken++ === 0) datagram[60]! ^= 1;
      return datagram;
    };
    await expect(net.run(session().open())).resolves.toMatchObject({ suite: 17 });
    expect(broken).toBe(2);
  });

  it('says that the user is unknown', async () => {
    const { net, session } = world();
    const error = await failure(net.run(session({ user: 'nobody' }).open()));
    expect(error).toMatchObject({ code: 'unknown-user', status: 0x0d, step: 'RAKP 1' });
    expect(error.message).toContain("user 'nobody'");
  });

  it('says that the privilege is too high, at login and in a session', async () => {
    const { net, session } = world();
    const its = { user: 'watcher', password: 'look' };
    expect(await failure(net.run(session(its).open()))).toMatchObject({ code: 'privilege', status: 0x0a });
    const low = session({ ...its, privilege: 'user' });
    await net.run(low.chassisStatus());
    expect(await failure(net.run(low.power('off')))).toMatchObject({ code: 'privilege', completionCode: 0xd4 });
  });

  it('says that every suite was refused, and will not speak suite 0', async () => {
    const { net, session } = world({ bmc: { suites: [17] } });
    const error = await failure(net.run(session({ suites: [3] }).open()));
    expect(error.code).toBe('suite-refused');
    expect(error.message).toContain('offered cipher suite 3');
    expect(() => session({ suites: [0] })).toThrow(/cipher suite 0 proves nothing/);
    expect(() => session({ suites: [8] })).toThrow(/not one of 1, 2, 3, 17/);
  });

  it('says that the BMC has no session left', async () => {
    const { net, session } = world({ bmc: { maxSessions: 1 } });
    await net.run(session().open());
    expect((await failure(net.run(session().open()))).code).toBe('no-session-slots');
  });

  it('refuses what cannot be sent', async () => {
    const { session } = world();
    expect(() => session({ password: 'x'.repeat(21) })).toThrow(/21 bytes; IPMI 2\.0 keeps at most 20/);
    expect(() => session({ user: 'u'.repeat(17) })).toThrow(/17 bytes/);
    expect(() => session({ port: 70_000 })).toThrow(/port 70000/);
    expect(() => session({ kg: 'k'.repeat(21) })).toThrow(/kg has 21 bytes/);
    expect((await failure(session().command(7, 1))).code).toBe('bad-argument');
    expect((await failure(session().command(6, 1, Buffer.alloc(300)))).code).toBe('bad-argument');
  });

  it('passes completion codes on as they are', async () => {
    const { net, session } = world();
    const it = session();
    expect(await failure(net.run(it.selInfo()))).toMatchObject({
      code: 'not-supported',
      completionCode: 0xc1,
      step: 'Get SEL Info',
    });
    await expect(net.run(it.raw(0x0a, 0x40))).resolves.toMatchObject({ completionCode: 0xc1 });
  });

  it('calls a short answer bad, and names the BMC', async () => {
    const { net, its, session } = world();
    its.answer = () => ({ completionCode: 0, data: Uint8Array.of(1) });
    const error = await failure(net.run(session().chassisStatus()));
    expect(error).toMatchObject({ code: 'bad-response', bmc: '10.0.0.2:623' });
  });
});

describe('secrets', () => {
  it('shows no password or key, however it is looked at', async () => {
    const { net, session, transport, rows } = world({ bmc: { kg: 'the key of the house' } });
    const it = session({ kg: 'the key of the house' });
    await net.run(it.open());
    const wrong = await failure(net.run(session({ password: 'hunter2hunter2', kg: 'x' }).open()));
    const shown = [it, transport, rows, wrong, wrong.stack, wrong.message]
      .map((thing) => inspect(thing, { depth: 20, showHidden: true, getters: true }) + String(JSON.stringify(thing)))
      .join('\n');
    for (const secret of [SECRET, 'hunter2hunter2', 'the key of the house']) {
      expect(shown).not.toContain(secret);
      expect(shown).not.toContain(Buffer.from(secret).toString('hex'));
      expect(shown).not.toContain(
        Buffer.from(secret)
          .toString('hex')
          .replace(/(..)(?!$)/g, '$1 '),
      );
    }
  });
});
