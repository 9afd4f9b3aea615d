// The client against our own BMC half, over real sockets on loopback, with each fault that it is there for.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type ServeRedfishOptions, serveVirtualRedfish } from '../lab/index.ts';
import { type Exchange, RedfishBmc, type RedfishBmcOptions, RedfishError } from './index.ts';

async function setUp(served: ServeRedfishOptions = {}, more: Partial<RedfishBmcOptions> = {}) {
  const virtual = await serveVirtualRedfish(served);
  const exchanges: Exchange[] = [];
  const waits: number[] = [];
  const bmc = new RedfishBmc({
    address: virtual.address,
    username: 'admin',
    password: 'secret-1',
    onExchange: (exchange) => exchanges.push(exchange),
    // Time passes at once here, and is written down.
    async wait(ms, signal) {
      waits.push(ms);
      signal.throwIfAborted();
    },
    ...more,
  });
  onTestFinished(async () => {
    virtual.mockup.faults.deaf = false;
    await bmc.close();
    await virtual.close();
  });
  return { ...virtual, bmc, exchanges, waits, faults: virtual.mockup.faults };
}

async function failureOf(work: Promise<unknown>): Promise<RedfishError> {
  const failure = await work.then(
    () => new Error('it went well'),
    (error) => error,
  );
  expect(failure).toBeInstanceOf(RedfishError);
  return failure;
}

describe('sessions', () => {
  it('are one for many calls at once, made anew when dropped, and deleted at the end', async () => {
    const { bmc, mockup } = await setUp();
    await Promise.all([bmc.power(), bmc.power(), bmc.boot(), bmc.sensors()]);
    expect(mockup.sessions).toBe(1);
    mockup.expireSessions();
    expect(await Promise.all([bmc.power(), bmc.power(), bmc.power()])).toEqual(['off', 'off', 'off']);
    expect(mockup.sessions).toBe(1);
    expect(bmc.client.sessionsMade).toBe(2);
    await bmc.close();
    expect(mockup.sessions).toBe(0);
    expect((await failureOf(bmc.power())).code).toBe('closed');
  });

  it('give way to Basic where there are none, or none is free', async () => {
    for (const fault of ['noSessions', 'sessionsFull'] as const) {
      const { bmc, faults, mockup } = await setUp();
      faults[fault] = true;
      expect(await bmc.power()).toBe('off');
      expect(mockup.sessions).toBe(0);
    }
  });

  it('are not given up for Basic where the caller wants a session', async () => {
    const { bmc, faults } = await setUp({}, { auth: 'session' });
    faults.sessionsFull = true;
    expect((await failureOf(bmc.power())).code).toBe('busy');
    const basic = await setUp({}, { auth: 'basic' });
    expect(await basic.bmc.power()).toBe('off');
    expect(basic.mockup.requests).not.toContain('POST /redfish/v1/SessionService/Sessions');
  });

  it('do not fall back to Basic with a password that was refused: two wrong log-ins lock a user out sooner', async () => {
    const { bmc, mockup } = await setUp({}, { password: 'wrong-one-1' });
    expect((await failureOf(bmc.power())).code).toBe('credentials');
    expect(mockup.requests.filter((request) => request.startsWith('POST'))).toEqual([
      'POST /redfish/v1/SessionService/Sessions',
    ]);
  });
});

describe('a BMC that is busy', () => {
  it('is waited for as long as it says', async () => {
    const { bmc, faults, waits, exchanges } = await setUp();
    await bmc.power();
    Object.assign(faults, { busy: 2, retryAfter: 7 });
    expect(await bmc.power()).toBe('off');
    expect(waits).toEqual([7_000, 7_000]);
    expect(exchanges.at(-1)).toMatchObject({ attempts: 3 });
    faults.broken = 2;
    expect(await bmc.power()).toBe('off');
  });

  it('is not waited for beyond the deadline', async () => {
    const { bmc, faults } = await setUp();
    await bmc.power();
    Object.assign(faults, { busy: 99, retryAfter: 3_600 });
    expect((await failureOf(bmc.power({ deadline: 5_000 }))).code).toBe('busy');
    Object.assign(faults, { busy: 99, retryAfter: 0 });
    expect((await failureOf(bmc.power())).code).toBe('busy');
  });

  it('is told again what it did not take, and nothing twice that it may have', async () => {
    const { bmc, faults, machine } = await setUp();
    await bmc.power();
    faults.busy = 1;
    await bmc.reset('on');
    expect(machine.starts).toBe(1);
    faults.broken = 1;
    // The first request of a reset reads the state; the 500 goes there. One at the reset itself is final.
    await bmc.reset('reset');
    expect(machine.starts).toBe(2);
  });
});

describe('answers that are no good', () => {
  it('truncated once: read again; for ever: a sentence', async () => {
    const { bmc, faults } = await setUp();
    await bmc.power();
    faults.truncated = 1;
    expect(await bmc.power()).toBe('off');
    faults.truncated = 99;
    expect(await failureOf(bmc.power())).toMatchObject({ code: 'bad-response', fault: 'the answer is no JSON' });
  });

  it('endless: cut off', async () => {
    const { bmc, faults } = await setUp({}, { mostBytes: 1024 * 1024 });
    await bmc.power();
    faults.endless = 1;
    expect(await failureOf(bmc.power())).toMatchObject({
      code: 'bad-response',
      message: expect.stringMatching(/read the power state: the answer is longer than 1048576 bytes/),
    });
    expect(await bmc.power()).toBe('off');
  });

  it('none at all: the deadline, and the caller’s word, end it', async () => {
    const { bmc, faults } = await setUp();
    await bmc.power();
    faults.deaf = true;
    expect((await failureOf(bmc.power({ deadline: 50 }))).code).toBe('timeout');
    const stop = new AbortController();
    const asked = failureOf(bmc.power({ signal: stop.signal }));
    stop.abort(new Error('enough'));
    expect((await asked).code).toBe('aborted');
    // A reset that got no answer may have happened.
    faults.deaf = false;
    await bmc.reset('on');
  });

  it('of something else than HTTP, of nobody, of a page', async () => {
    const { bmc, faults } = await setUp();
    faults.notRedfish = true;
    expect((await failureOf(bmc.power())).code).toBe('not-redfish');
    const nobody = new RedfishBmc({ address: 'http://127.0.0.1:9', username: 'a', password: 'b' });
    expect(await failureOf(nobody.power())).toMatchObject({ code: 'network', fault: 'the connection is refused' });
    const nameless = new RedfishBmc({ address: 'bmc.invalid', username: 'a', password: 'b' });
    expect((await failureOf(nameless.power())).code).toBe('unresolved');
    const plain = await setUp();
    const mistaken = new RedfishBmc({ address: `https://127.0.0.1:${plain.port}`, username: 'a', password: 'b' });
    expect(await failureOf(mistaken.power())).toMatchObject({
      code: 'not-redfish',
      fault: 'it does not speak TLS as wanted',
    });
  });

  it('a reset whose answer is lost is said to be uncertain, and is not repeated', async () => {
    let resets = 0;
    const stranger = createServer((request, response) => {
      const json = (body: unknown) => response.end(JSON.stringify(body));
      if (request.method === 'POST') {
        resets += 1;
        request.socket.destroy();
      } else if (request.url === '/redfish/v1/') json({ RedfishVersion: '1.0.0', Systems: { '@odata.id': '/s' } });
      else if (request.url === '/s') json({ Members: [{ '@odata.id': '/s/1' }] });
      else json({ PowerState: 'Off' });
    });
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void stranger.close());
    const address = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
    const bmc = new RedfishBmc({ address, username: 'a', password: 'bbbb', auth: 'basic' });
    expect(await failureOf(bmc.reset('on'))).toMatchObject({ code: 'uncertain', step: 'power: on' });
    expect(resets).toBe(1);
    await bmc.close();
  });
});

describe('ETags', () => {
  it.each(['lenovo', 'hpe', 'ami', 'contoso'] as const)('as %s wants them', async (flavour) => {
    const { bmc, machine } = await setUp({ flavour });
    await bmc.setSystem({ AssetTag: 'rack 1' }, {});
    expect(machine.assetTag).toBe('rack 1');
  });

  it('stale: read again and sent again', async () => {
    const { bmc, faults, machine } = await setUp();
    await bmc.power();
    faults.staleEtag = 1;
    await bmc.setSystem({ AssetTag: 'rack 2' }, {});
    expect(machine.assetTag).toBe('rack 2');
    faults.staleEtag = 99;
    expect((await failureOf(bmc.setSystem({ AssetTag: 'rack 3' }, {}))).code).toBe('precondition');
  });
});

describe('tasks', () => {
  it('are followed to their end', async () => {
    const { bmc, faults, machine, waits } = await setUp();
    faults.tasks = 3;
    await bmc.reset('on');
    expect(machine.power).toBe('On');
    expect(waits).toEqual([1_000, 1_000, 1_000]);
    await bmc.setBoot({ target: 'Pxe', persistent: false, efi: true });
    expect(machine.boot).toMatchObject({ target: 'Pxe', enabled: 'Once' });
    faults.tasksFail = true;
    expect(await failureOf(bmc.reset('off'))).toMatchObject({
      code: 'task-failed',
      fault: 'the BMC took it as a task, which failed: The job failed: no license.',
    });
  });
});

describe('missing links', () => {
  it.each([['ManagedBy'], ['Chassis'], ['Managers'], ['Systems'], ['Links'], ['Actions'], ['Members@odata.count']])(
    'without %s the machine can still be switched and booted',
    async (name) => {
      const { bmc, faults, machine } = await setUp();
      faults.missing.add(name);
      await bmc.setBoot({ target: 'Pxe', persistent: false, efi: true });
      await bmc.reset('on');
      expect(machine.lastBoot).toEqual({ target: 'Pxe', mode: 'UEFI' });
      expect((await bmc.inventory()).serial).toBe('VR0001');
    },
  );

  it('without PowerState says so', async () => {
    const { bmc, faults } = await setUp();
    faults.missing.add('PowerState');
    expect(await failureOf(bmc.power())).toMatchObject({
      code: 'bad-response',
      fault: expect.stringContaining('“none”'),
    });
  });
});

describe('certificates', () => {
  const dir = mkdtempSync(join(tmpdir(), 'redfish-tls-'));
  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: dir, stdio: 'pipe' });
  const made = (name: string) => readFileSync(join(dir, name), 'utf8');
  openssl(...'req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=CA'.split(' '));
  openssl(
    ...'req -newkey rsa:2048 -nodes -keyout bmc.key -out bmc.csr -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1'.split(
      ' ',
    ),
  );
  openssl(
    ...'x509 -req -in bmc.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out bmc.pem -days 30 -copy_extensions copy'.split(
      ' ',
    ),
  );
  const tls = { key: made('bmc.key'), cert: made('bmc.pem') };
  const ca = made('ca.pem');
  rmSync(dir, { recursive: true });

  it('are held against the CA that is named, against the system’s, or not at all', async () => {
    expect(await (await setUp({ tls }, { verify: ca })).bmc.power()).toBe('off');
    expect(await (await setUp({ tls }, { verify: false })).bmc.power()).toBe('off');
    const { bmc, mockup } = await setUp({ tls });
    expect(await failureOf(bmc.power())).toMatchObject({
      code: 'certificate',
      message: expect.stringMatching(
        /the certificate is refused: its CA is not known; name the CA file in redfish_verify_ca/,
      ),
    });
    // Nothing was sent to whoever that is.
    expect(mockup.requests).toEqual([]);
    const local = await setUp({ tls, host: '127.0.0.2' }, { verify: ca });
    expect(await failureOf(local.bmc.power())).toMatchObject({
      code: 'certificate',
      fault: expect.stringContaining('another host'),
    });
  });
});

describe('secrets', () => {
  it('are in no error, exchange or inspection', async () => {
    const { bmc, exchanges, faults } = await setUp();
    await bmc.power();
    const wrong = await setUp({}, { password: 'wrong-one-1' });
    const failures = [await failureOf(wrong.bmc.power()), await failureOf(bmc.setPassword('x'.repeat(50)))];
    faults.missing.add('MaxPasswordLength').add('MinPasswordLength');
    failures.push(await failureOf(bmc.setPassword('sh0rt-1')));
    failures.push(await failureOf(bmc.insert('http://user:hidden@192.0.2.1/missing.iso?signature=s1gned')));
    const all = inspect([bmc, failures, exchanges, wrong.exchanges], { depth: 12, showHidden: true });
    for (const secret of ['secret-1', 'wrong-one-1', 'sh0rt-1', 'hidden', 's1gned', 'x'.repeat(50)])
      expect(all).not.toContain(secret);
  });
});

describe('the stream of events', () => {
  it('tells of power at once, and again after the session was dropped', async () => {
    const { bmc, machine, mockup } = await setUp();
    const stream = await bmc.eventStream();
    expect(stream).toBe('/redfish/v1/EventService/SSE');
    mockup.expireSessions();
    const events = bmc.listen(stream ?? '');
    const first = events.next();
    // The first is refused for its dropped session.
    while (mockup.requests.filter((request) => request === `GET ${stream}`).length < 2)
      await new Promise((resolve) => setImmediate(resolve));
    machine.press(true);
    expect((await first).value).toMatchObject([
      { messageId: 'ResourceEvent.1.0.ResourcePoweredOn', origin: '/redfish/v1/Systems/1' },
    ]);
    await events.return(undefined);
  });
});
