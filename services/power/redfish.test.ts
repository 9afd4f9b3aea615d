import { randomInt } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { createVirtualBmc, type ServeRedfishOptions, serveVirtualBmc, serveVirtualRedfish } from '../lab/index.ts';
import type { BmcAccess } from './bmc.ts';
import { bmcConformance } from './conformance.ts';
import { createPower, type PowerDeps } from './index.ts';

const password = 'secret-of-admin1';
const accounts = [{ name: 'admin', password, role: 'Administrator' }] as const;

/** A BMC of our own on loopback, and power over it. Waits (a busy BMC, a task) cost no time. */
async function setUp(served: ServeRedfishOptions = {}, access: Partial<BmcAccess> = {}, deps: PowerDeps = {}) {
  const world = await createWorld({ keep: true });
  const virtual = await serveVirtualRedfish({ accounts, ...served });
  const power = createPower(world, { redfishWait: async (_, signal) => signal.throwIfAborted(), ...deps });
  onTestFinished(async () => {
    // In this order: the sessions are deleted while the BMC still answers.
    virtual.mockup.faults.deaf = false;
    await power.close();
    await virtual.close();
    await world.close();
  });
  const whole: BmcAccess = {
    key: '11111111-1111-4111-8111-111111111111',
    name: 'n1',
    driver: 'redfish',
    address: virtual.address,
    port: virtual.port,
    username: 'admin',
    password,
    options: {},
    ...access,
  };
  return { world, virtual, power, access: whole, bmc: power.bmc(whole) };
}

/** Serial over LAN beside a Redfish service: the same address, as with a real BMC, and IPMI's own port. */
async function beside(host: string, ipmiPassword = password) {
  const virtual = createVirtualBmc({ users: [{ name: 'admin', password: ipmiPassword, privilege: 'administrator' }] });
  const served = await serveVirtualBmc(virtual, host, 623);
  onTestFinished(() => served.close());
  return virtual;
}

/** An address that no other test has. */
const loopback = (): string => `127.9.${randomInt(1, 255)}.${randomInt(1, 255)}`;

async function reason(work: Promise<unknown>): Promise<readonly [string, string]> {
  const failure: { code?: string; message?: string } = await work.then(
    () => ({}),
    (error) => error,
  );
  return [failure.code ?? 'no failure', failure.message ?? ''];
}

// HPE’s mode is what the firmware is set to, so that it cannot keep what conformance asks for; it has a test of its own below.
describe.each(['contoso', 'dell10', 'supermicro', 'lenovo', 'ami'] as const)('Redfish, as %s has it', (flavour) => {
  bmcConformance('redfish', async () => {
    const host = loopback();
    // AMI's service names no console at all; one that does is what is tested here.
    const { bmc, virtual } = await setUp({
      flavour,
      host,
      ...(flavour === 'ami' && { change: { serial: 'manager' } }),
    });
    const { machine } = await beside(host);
    return {
      say: (text) => machine.console.feed(text),
      bmc,
      password,
      break() {
        virtual.mockup.faults.deaf = true;
      },
      forgetBootDevice() {
        virtual.mockup.faults.boot = 'forgets';
      },
    };
  });
});

describe('Redfish, as Dell and HPE have it', () => {
  it('boots once through BIOS attributes where Dell’s override is not kept', async () => {
    const { bmc, virtual } = await setUp({ flavour: 'dell' });
    virtual.mockup.faults.boot = 'forgets';
    await bmc.setBootDevice({ device: 'pxe', persistent: false, efi: true });
    await bmc.setPower('on');
    expect(virtual.machine.lastBoot).toEqual({ target: 'Bios:NIC.PxeDevice.1-1', mode: 'UEFI' });
    await bmc.setPower('reboot');
    expect(virtual.machine.lastBoot).toEqual({ target: null, mode: 'UEFI' });
    await bmc.setBootDevice({ device: 'pxe', persistent: false, efi: true });
    virtual.mockup.faults.boot = 'honest';
    await bmc.setBootDevice({ device: 'pxe', persistent: true, efi: true });
    await bmc.clearBootDevice?.();
    expect(await bmc.bootDevice()).toBeNull();
    virtual.mockup.faults.boot = 'forgets';
    // Persistent has no such way.
    const failure = await bmc.setBootDevice({ device: 'pxe', persistent: true, efi: true }).catch((error) => error);
    expect(failure.code).toBe('bmc-boot-device-not-kept');
  });

  it('leaves HPE’s boot mode alone, and follows its slashes, ETags and messages without text', async () => {
    const { bmc, virtual } = await setUp({ flavour: 'hpe' });
    await bmc.setBootDevice({ device: 'pxe', persistent: false, efi: false });
    expect(await bmc.bootDevice()).toEqual({ device: 'pxe', persistent: false, efi: true });
    await bmc.setPower('on');
    expect(virtual.machine.lastBoot).toEqual({ target: 'Pxe', mode: 'UEFI' });
    expect(await bmc.bootDevice()).toBeNull();
    const [code, message] = await reason(bmc.virtualMedia!.insert('http://192.0.2.1/missing.iso'));
    expect(code).toBe('bmc-media-refused');
    expect(message).toContain('ResourceAtUriUnauthorized: http://192.0.2.1/missing.iso');
    expect((await bmc.info()).firmware).toBe('iLO 5 v2.72');
  });
});

describe('each failure is a sentence of its own', () => {
  it('wrong password, and none of it anywhere', async () => {
    const { bmc, world, access } = await setUp({}, { password: 'wrong-password-2' });
    const [code, message] = await reason(bmc.power());
    expect(code).toBe('bmc-credentials');
    expect(message).toMatch(/The BMC 127\.0\.0\.1:\d+ of node n1 refuses the user admin: .*Correct the user name/);
    await world.recorder.drain();
    const told = JSON.stringify(await world.recorder.timeline({ type: 'node', id: access.key }));
    expect(told).toContain('refuses the user admin');
    for (const secret of ['wrong-password-2', password, Buffer.from('admin:wrong-password-2').toString('base64')])
      expect(told + message).not.toContain(secret);
  });

  it('a password that a BMC repeats in its refusal', async () => {
    const { bmc, virtual, world, access } = await setUp();
    // The rule is the BMC’s own: our check of the length is passed.
    const refused = `${'x'.repeat(8)}`;
    virtual.mockup.faults.missing.add('MinPasswordLength').add('MaxPasswordLength');
    const [code, message] = await reason(bmc.credentials!.setPassword('short-7'));
    expect(code).toBe('bmc-refused');
    expect(message).toContain('it does not take the new password of admin');
    await bmc.credentials!.setPassword(refused);
    await world.recorder.drain();
    const told = JSON.stringify(await world.recorder.timeline({ type: 'node', id: access.key }));
    expect(told + message).not.toContain('short-7');
    expect(told).not.toContain(refused);
  });

  it('a user that may only look', async () => {
    const { bmc } = await setUp({ accounts: [{ name: 'admin', password, role: 'ReadOnly' }] });
    expect(await bmc.power()).toBe('off');
    const [code, message] = await reason(bmc.setPower('on'));
    expect(code).toBe('bmc-privilege');
    expect(message).toMatch(
      /does not let the user admin do this: .*insufficient privileges.*Make the user administrator/,
    );
  });

  it('no console that we could open, naming those that there are', async () => {
    const { bmc } = await setUp({ change: { serial: 'none' } });
    expect(await reason(bmc.console!.open({ onData() {} }))).toMatchObject([
      'bmc-console-none',
      /The BMC 127\.0\.0\.1 of node n1 offers no serial console over IPMI: it names none at all\. Enable IPMI/,
    ]);
  });

  it('a console whose IPMI has another password', async () => {
    const host = loopback();
    const { bmc } = await setUp({ host });
    await beside(host, 'another-password');
    const [code, message] = await reason(bmc.console!.open({ onData() {} }));
    expect(code).toBe('bmc-credentials');
    expect(message).toMatch(/^The BMC 127\.9\.\d+\.\d+:623 of node n1 refuses the user admin: /);
    expect(message).not.toContain(password);
  });

  it('a password that has to be changed first', async () => {
    const { bmc, virtual } = await setUp();
    virtual.mockup.faults.passwordExpired = true;
    expect(await reason(bmc.power())).toMatchObject(['bmc-password-expired', /nothing but change the password/]);
  });

  it('no Redfish service', async () => {
    const { bmc, virtual } = await setUp();
    virtual.mockup.faults.notRedfish = true;
    const [code, message] = await reason(bmc.power());
    expect(code).toBe('bmc-not-redfish');
    expect(message).toMatch(/is no Redfish service: .*use the driver ipmi/);
  });

  it('a system that is not there, naming those that are', async () => {
    const { bmc } = await setUp({}, { options: { systemId: '/redfish/v1/Systems/7' } });
    const [code, message] = await reason(bmc.power());
    expect(code).toBe('bmc-system-unknown');
    expect(message).toMatch(
      /no system \/redfish\/v1\/Systems\/7.*Set redfish_system_id to one of: \/redfish\/v1\/Systems\/1/,
    );
  });

  it('a power action that is not allowed, naming those that are', async () => {
    const { bmc } = await setUp({ flavour: 'supermicro' });
    expect(await reason(bmc.setPower('soft reboot'))).toMatchObject(['bmc-refused', /the machine is off/]);
    const { bmc: other } = await setUp({ change: { resets: ['On', 'ForceOff', 'ForceRestart'] } });
    await other.setPower('on');
    const [refused, why] = await reason(other.setPower('soft off'));
    expect(refused).toBe('bmc-action-not-allowed');
    expect(why).toMatch(/it allows On, ForceOff, ForceRestart/);
  });

  it('media that are taken and never there', async () => {
    const { bmc, virtual } = await setUp();
    virtual.mockup.faults.mediaStaysEmpty = true;
    const [code, message] = await reason(bmc.virtualMedia!.insert('http://192.0.2.1/boot.iso?signature=s1gned'));
    expect(code).toBe('bmc-media-refused');
    expect(message).toContain('slot CD1 took the image and stays empty');
  });

  it('settings that cannot be', async () => {
    const { power, access } = await setUp();
    const refused = (change: Partial<BmcAccess>) => {
      try {
        power.bmc({ ...access, ...change });
      } catch (error) {
        return (error as Error).message;
      }
      return null;
    };
    expect(refused({ address: 'ftp://bmc' })).toMatch(/redfish_address is “ftp:\/\/bmc”: the address begins with ftp:/);
    expect(refused({ address: 'https://a:hidden@bmc' })).toMatch(/redfish_address is “https:\/\/\*{6}@bmc”/);
    expect(refused({ options: { verifyCa: 'maybe' } })).toMatch(
      /redfish_verify_ca is “maybe”: it is neither True nor False/,
    );
    expect(refused({ options: { verifyCa: '/nonexistent.pem' } })).toMatch(/the file cannot be read \(ENOENT\)/);
    expect(refused({ options: { verifyCa: '/etc' } })).toMatch(/it is a directory/);
    expect(refused({ options: { verifyCa: '/etc/hostname' } })).toMatch(/holds no PEM certificate/);
    expect(refused({ options: { authType: 'digest' } })).toMatch(
      /redfish_auth_type is “digest”: it is none of auto, session/,
    );
    expect(refused({ options: { authType: 'BASIC', verifyCa: 'False' } })).toBeNull();
  });
});

describe('a Redfish node in the fleet', () => {
  it('is heard at once when the BMC tells of a change', async () => {
    const { virtual, power, access } = await setUp();
    let tell = (_: string) => {};
    const news: string[] = [];
    const fleet = power.fleet(
      {
        onState(_, to) {
          news.push(to);
          tell(to);
        },
      },
      // The turn comes in an hour: what is heard before comes from the BMC.
      { everyMs: 3_600_000 },
    );
    const first = new Promise<string>((resolve) => {
      tell = resolve;
    });
    fleet.watch(access);
    fleet.start();
    fleet.hurry(access.key);
    expect(await first).toBe('off');
    while (!virtual.mockup.requests.includes('GET /redfish/v1/EventService/SSE'))
      await new Promise((resolve) => setImmediate(resolve));
    const second = new Promise<string>((resolve) => {
      tell = resolve;
    });
    virtual.machine.press(true);
    expect(await second).toBe('on');
    expect(news).toEqual(['off', 'on']);
    fleet.stop();
  });

  it('is told to POST its events where it has no stream, and is looked at when it does', async () => {
    const posted: string[] = [];
    let answer = 0;
    const door = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (text) => posted.push(text));
      request.on('end', () => {
        const known = power.pushed(request.url?.split('/').pop() ?? '', JSON.parse(posted.join('')));
        answer = known ? 204 : 410;
        response.writeHead(answer).end();
      });
    });
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    const pushUrl = `http://127.0.0.1:${(door.address() as AddressInfo).port}/events`;
    const { virtual, power, access } = await setUp({ change: { stream: null } }, {}, { pushUrl });
    onTestFinished(() => void door.close());
    const news: string[] = [];
    const fleet = power.fleet({ onState: (_, to) => void news.push(to) }, { everyMs: 3_600_000 });
    fleet.watch(access);
    fleet.start();
    fleet.hurry(access.key);
    const subscriptions = '/redfish/v1/EventService/Subscriptions';
    await expect.poll(() => news).toEqual(['off']);
    await expect.poll(() => virtual.mockup.requests).toContain(`POST ${subscriptions}`);
    // Looked at again only because of what the BMC sends.
    await expect.poll(() => virtual.mockup.subscriptions.size).toBe(1);
    const [[path = '', { Destination } = {}] = []] = [...virtual.mockup.subscriptions];
    expect(String(Destination)).toMatch(new RegExp(`^${pushUrl}/${access.key}/[-\\w]{43}$`));
    virtual.machine.press(true);
    await expect.poll(() => news).toEqual(['off', 'on']);
    expect(answer).toBe(204);
    expect(power.pushed('another-token', JSON.parse(posted[0]!))).toBe(false);
    fleet.unwatch(access.key);
    await expect.poll(() => virtual.mockup.requests).toContain(`DELETE ${path}`);
    expect(virtual.mockup.subscriptions.size).toBe(0);

    // One that a killed process left behind is ended, and no other's.
    for (const Destination of [`${pushUrl}/${access.key}/of-a-dead-process`, 'https://192.0.2.7/their/own'])
      virtual.mockup.subscriptions.set(`${subscriptions}/${Destination.length}`, { Destination });
    fleet.watch(access);
    await expect
      .poll(() => [...virtual.mockup.subscriptions.values()].map((one) => String(one.Destination)))
      .toEqual([
        'https://192.0.2.7/their/own',
        expect.stringMatching(new RegExp(`^${pushUrl}/${access.key}/[-\\w]{43}$`)),
      ]);
    fleet.stop();
  });

  it('keeps one session, deletes it at the end, and tells only of what is worth telling', async () => {
    const { bmc, virtual, world, access, power } = await setUp();
    for (let look = 0; look < 5; look++) await bmc.power();
    expect(virtual.mockup.sessions).toBe(1);
    virtual.mockup.expireSessions();
    await bmc.power();
    expect(virtual.mockup.sessions).toBe(1);
    await power.close();
    expect(virtual.mockup.sessions).toBe(0);
    await world.recorder.drain();
    const events = await world.recorder.timeline({ type: 'node', id: access.key });
    const polls = events.filter((e) => (e.data as { command: string }).command === 'GET /redfish/v1/Systems/1');
    expect(polls.some((e) => (e.data as { attempts: number }).attempts === 2)).toBe(true);
    expect(JSON.stringify(events)).not.toContain(password);
  });
});
