// What is refused, by whom, in which words; and that no word ever holds a secret.

import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { completionError, IPMI_ERRORS, RAKP_STATUS, statusError } from './errors.ts';
import { failure, SECRET, world } from './simulated-bmc.ts';
import { createIpmiTransport } from './transport.ts';

describe('refusals', () => {
  it('says that the password is wrong, and frees the BMC’s slot', async () => {
    const { net, bmc, session } = world({ bmc: { maxSessions: 1 } });
    const error = await failure(net.run(session({ password: 'nonsense' }).open()));
    expect(error.code).toBe('bad-password');
    expect(error.message).toBe("BMC 10.0.0.2:623: RAKP 1: the BMC holds another password for user 'admin'; correct it");
    await net.run(session().open());
    expect(bmc.sessions).toHaveLength(1);
  });

  it('says so in a second too where the BMC never repeats its proof', async () => {
    const { net, session } = world();
    let proofs = 0;
    net.tap = (datagram) => (datagram[5] === 0x13 && proofs++ > 0 ? undefined : datagram);
    const started = net.timers.now();
    expect(await failure(net.run(session({ password: 'nonsense' }).open()))).toMatchObject({ code: 'bad-password' });
    expect(net.timers.now() - started).toBeLessThan(2_500);
  });

  it('says that the BMC answers for another session', async () => {
    const { net, session } = world();
    const it = session();
    await net.run(it.open());
    net.tap = (datagram, from) => {
      if (from.startsWith('10.0.0.2 ')) {
        if (datagram[5]! & 0x40) datagram.writeUInt32LE(0xdeadbeef, 6);
        else datagram.writeUInt32LE(0xdeadbeef, 20);
      }
      return datagram;
    };
    const error = await failure(net.run(it.chassisStatus({ deadline: 5_000 })));
    expect(error.code).toBe('wrong-session');
    expect(error.message).toMatch(/answers for a session that is not ours; reset the BMC/);
  });

  it('says that the answers are not proven', async () => {
    const { net, session } = world();
    const it = session();
    await net.run(it.open());
    net.tap = (datagram, from) => {
      if (from.startsWith('10.0.0.2 ')) datagram[datagram.length - 1]! ^= 1;
      return datagram;
    };
    const error = await failure(net.run(it.chassisStatus({ deadline: 1_200 })));
    expect(error).toMatchObject({ code: 'bad-response' });
    expect(error.message).toContain('integrity code or sequence number is wrong');
  });

  it('does not wait longer for a name than the deadline', async () => {
    const { net } = world();
    const lookup = () => new Promise<string>(() => undefined);
    const transport = createIpmiTransport({
      socket: net.socket('10.0.0.5'),
      timers: net.timers,
      random: net.bytes,
      lookup,
    });
    const it = transport.session({ host: 'slow', user: 'admin', password: 'x' });
    expect(await failure(net.run(it.chassisStatus({ deadline: 700 })))).toMatchObject({
      code: 'timeout',
      step: 'name look-up',
    });
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

describe('the table of errors', () => {
  it('is the one in the documentation', () => {
    const page = readFileSync(new URL('../../docs/reference/ipmi.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (.*) \|$/gm)].map((row) => [row[1], row[2]]);
    expect(Object.fromEntries(rows)).toEqual(IPMI_ERRORS);
  });

  it('gives every RAKP status a sentence of its own', () => {
    const sentences = Object.keys(RAKP_STATUS).map((status) => statusError(Number(status), 'Open Session').message);
    expect(sentences).toHaveLength(0x12);
    expect(new Set(sentences).size).toBe(sentences.length);
    expect(statusError(0x55, 'RAKP 3')).toMatchObject({ code: 'session-refused', status: 0x55 });
  });

  it('prefers a command’s own words to the general ones', () => {
    expect(completionError(0x81, 'Set Sensor', { 129: 'that it is full' }).message).toContain('that it is full');
    expect(completionError(0xd4, 'x').code).toBe('privilege');
    expect(completionError(0x01, 'x').message).toContain('vendor');
  });
});
