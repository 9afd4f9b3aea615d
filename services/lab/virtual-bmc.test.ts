import { afterEach, describe, expect, it } from 'vitest';
import { handClock } from '../../test/setup/hand-clock.ts';
import {
  createIpmiTransport,
  IpmiError,
  type IpmiTransport,
  openIpmiSocket,
  type SessionOptions,
} from '../ipmi/index.ts';
import { type ServeOptions, serveVirtualBmcs, type VirtualBmcs, virtualAddresses } from './virtual-bmc.ts';
import { VirtualChassis } from './virtual-bmc-chassis.ts';

const flags = (first: number, selector: number) => Buffer.of(first, selector << 2, 0, 0, 0);

describe('the machine of a virtual BMC', () => {
  it('takes its time to come up and to go down, and the newest command wins', () => {
    const { clock, leap } = handClock();
    const it = new VirtualChassis({ clock, delays: { on: 500, off: 300, soft: 5_000, cycle: 1_000 } });
    it.control(1);
    expect(it.on).toBe(false);
    leap(499);
    expect(it.on).toBe(false);
    leap(1);
    expect(it.on).toBe(true);
    it.control(5);
    it.control(0);
    leap(300);
    expect(it.on).toBe(false);
    expect(it.control(3)).toBe('wrong-state');
    it.control(1);
    leap(500);
    it.control(2);
    leap(300);
    expect(it.on).toBe(false);
    leap(1_000);
    expect(it.on).toBe(true);
    expect(it.starts).toBe(3);
  });

  it('boots once from a one-shot device, for good from a persistent one', () => {
    const { clock } = handClock();
    const it = new VirtualChassis({ clock });
    it.setBootParameter(5, flags(0xa0, 1));
    it.control(1);
    expect(it.lastBoot).toEqual({ selector: 1, efi: true, persistent: false });
    expect(it.bootParameter(5)?.toString('hex')).toBe('0000000000');
    it.control(3);
    expect(it.lastBoot).toEqual({ selector: 0, efi: false, persistent: false });
    it.setBootParameter(5, flags(0xc0, 2));
    for (let start = 0; start < 2; start++) {
      it.control(3);
      expect(it.lastBoot).toEqual({ selector: 2, efi: false, persistent: true });
    }
  });

  it('ignores flags without the valid bit, and drops one-shot flags after a minute unless told to keep them', () => {
    const { clock, leap } = handClock();
    const it = new VirtualChassis({ clock });
    it.setBootParameter(5, flags(0x00, 1));
    it.control(1);
    expect(it.lastBoot?.selector).toBe(0);
    it.setBootParameter(5, flags(0x80, 1));
    leap(60_001);
    expect(it.bootParameter(5)?.[0]).toBe(0);
    it.setBootParameter(3, Buffer.of(0x08));
    it.setBootParameter(5, flags(0x80, 1));
    leap(600_000);
    it.control(3);
    expect(it.lastBoot?.selector).toBe(1);
  });

  it('says what comes next without using it up, and uses it up when the machine resets itself', () => {
    const { clock } = handClock();
    const set: string[] = [];
    const it = new VirtualChassis({ clock, onFlags: (bytes) => set.push(bytes.toString('hex')) });
    it.adopt(true, flags(0xc0, 2));
    expect(it.nextBoot()).toEqual({ selector: 2, efi: false, persistent: true });
    it.setBootParameter(5, flags(0xa0, 1));
    expect(set).toEqual(['a004000000']);
    expect([it.nextBoot().selector, it.nextBoot().selector]).toEqual([1, 1]);
    it.rebooted();
    expect(it.lastBoot).toEqual({ selector: 1, efi: true, persistent: false });
    expect(it.nextBoot().selector).toBe(0);
  });

  it('asks the system to go down where there is one', () => {
    const { clock } = handClock();
    let asked = 0;
    const it = new VirtualChassis({ clock, onSoft: () => (asked += 1) });
    it.control(1);
    it.control(5);
    expect([asked, it.on]).toEqual([1, true]);
  });

  it('lies as told', () => {
    const { clock } = handClock();
    const it = new VirtualChassis({ clock });
    it.bootTruth = 'forgets';
    expect(it.setBootParameter(5, flags(0x80, 1))).toBe(true);
    expect(it.bootParameter(5)?.[0]).toBe(0);
    it.bootTruth = 'ignores';
    it.setBootParameter(5, flags(0x80, 1));
    expect(it.bootParameter(5)?.[0]).toBe(0x80);
    it.control(1);
    expect(it.lastBoot?.selector).toBe(0);
  });
});

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUps.splice(0).reverse()) await clean();
});

async function bmcs(options: Partial<ServeOptions> = {}): Promise<VirtualBmcs> {
  const served = await serveVirtualBmcs({ count: 1, ...options });
  cleanUps.push(() => served.close());
  return served;
}

async function transport(): Promise<IpmiTransport> {
  const socket = await openIpmiSocket();
  const ipmi = createIpmiTransport({ socket });
  cleanUps.push(async () => {
    await ipmi.close({ deadline: 300 });
    socket.close();
  });
  return ipmi;
}

async function one(options: Partial<ServeOptions> = {}, session: Partial<SessionOptions> = {}) {
  const served = await bmcs(options);
  const [bmc] = served.bmcs;
  const [host = ''] = served.addresses;
  const ipmi = await transport();
  const whole = { host, port: served.port, user: 'admin', password: 'secret', keepAlive: 0, ...session };
  return { bmc: bmc!, session: ipmi.session(whole), again: () => ipmi.session(whole) };
}

describe('our own console on a virtual BMC', () => {
  it('reads sensors, log, FRU, users, LAN and clock', async () => {
    const { bmc, session } = await one();
    bmc.machine.setUser(3, { name: 'watcher', password: 'look', privilege: 'user' });
    await session.power('on');
    const sensors = await session.readSensors(await session.listSensors(), { thresholds: true });
    const { value, unit, health, thresholds } = sensors.find(({ name }) => name === 'CPU Temp')!;
    expect({ value, health, upper: thresholds?.upperCritical }).toEqual({ value: 42, health: 'ok', upper: 95 });
    expect(unit).toMatch(/C/);
    expect(sensors.find(({ name }) => name === '12V')?.value).toBeCloseTo(12.06);
    expect((await session.sel()).map(({ sensorType }) => sensorType)).toEqual([9]);
    await session.clearSel();
    expect((await session.selInfo()).entries).toBe(0);
    const fru = await session.fru();
    expect(fru.faults).toEqual([]);
    expect(fru.board?.manufacturer).toBe('Undercloud');
    expect((await session.users()).slice(1, 3).map(({ name, privilege }) => [name, privilege])).toEqual([
      ['admin', 4],
      ['watcher', 2],
    ]);
    expect((await session.lanParams()).address).toBe('127.6.23.1');
    bmc.machine.skew = -3_600;
    expect(Math.abs((await session.selTime())!.getTime() + 3_600_000 - Date.now())).toBeLessThan(5_000);
  });

  it('shows a sensor beyond its limits', async () => {
    const { bmc, session } = await one();
    const hot = bmc.machine.sensors[0]!;
    if (hot.kind === 'analog') hot.raw = 96;
    const sensors = await session.readSensors(await session.listSensors());
    expect(sensors[0]?.health).toBe('critical');
  });

  it('changes a password, and the new one holds at once', async () => {
    const { session, again } = await one();
    await session.setUserPassword(2, 'another of 20 bytes!');
    expect(await session.testUserPassword(2, 'another of 20 bytes!')).toBe(true);
    await session.release();
    expect(
      (
        (await again()
          .open()
          .catch((e) => e)) as IpmiError
      ).code,
    ).toBe('bad-password');
  });

  it('carries a console both ways, and tells a second one that it is in use', async () => {
    const { bmc, session, again } = await one();
    bmc.machine.console.feed('login: ');
    let seen = '';
    let wake: () => void = () => {};
    const until = async (text: string) => {
      while (!seen.includes(text)) await new Promise<void>((resolve) => (wake = resolve));
    };
    const stream = await session.sol({
      onData(data) {
        seen += data.toString();
        wake();
      },
    });
    await until('login: ');
    stream.write('root\r');
    await until('root\r');
    bmc.machine.console.feed('x'.repeat(3_000));
    await until('x'.repeat(3_000));
    const second = await again()
      .sol({ onData: () => {} })
      .catch((error) => error);
    expect(second).toBeInstanceOf(IpmiError);
    expect(second.message).toMatch(/in use by another session/);
    await stream.close();
    expect(bmc.machine.console.owner).toBe(0);
  });

  it('forgets a boot device, and is found out', async () => {
    const { bmc, session } = await one();
    bmc.machine.chassis.bootTruth = 'forgets';
    const failure = await session.setBootOptions({ device: 'pxe' }).catch((error) => error);
    expect(failure.code).toBe('boot-not-kept');
    bmc.machine.chassis.bootTruth = 'honest';
    expect((await session.setBootOptions({ device: 'pxe', efi: true, persistent: true })).differs).toEqual([]);
  });

  it('has no session left, then has one again', async () => {
    const { bmc, session } = await one();
    bmc.faults.sessionsFull = true;
    const failure = await session.chassisStatus({ deadline: 1_500 }).catch((error) => error);
    expect(failure.code).toBe('no-session-slots');
    bmc.faults.sessionsFull = false;
    expect((await session.chassisStatus()).power).toBe('off');
  });

  it('drops idle sessions when the next one knocks', async () => {
    const { clock, leap } = handClock();
    const { bmc, session, again } = await one({ clock, maxSessions: 1 });
    await session.chassisStatus();
    const second = again();
    expect((await second.chassisStatus({ deadline: 1_000 }).catch((e) => e)).code).toBe('no-session-slots');
    // Once to see it, once to find it idle.
    leap(60_001);
    expect((await second.chassisStatus()).power).toBe('off');
    expect(bmc.sessions).toBe(1);
  });

  it('is restarted under a kept session, which is opened anew', async () => {
    const { bmc, session } = await one();
    await session.chassisStatus();
    bmc.restart();
    expect((await session.chassisStatus()).power).toBe('off');
  });

  it.each([
    ['loss', { loss: 0.1 }],
    ['duplication', { duplicate: 0.5 }],
    ['reordering', { reorder: 0.5 }],
    ['truncation', { truncate: 0.1 }],
    ['changed bytes', { corrupt: 0.1 }],
    ['random packets', { noise: 0.8 }],
    ['stale sequence numbers', { stale: 0.8 }],
    ['leaping sequence numbers', { leap: 0.2 }],
    [
      'all at once',
      { loss: 0.03, duplicate: 0.1, reorder: 0.1, truncate: 0.03, corrupt: 0.03, noise: 0.1, stale: 0.1 },
    ],
  ])('never believes a wrong state: %s', async (_title, faults) => {
    const { bmc, session } = await one({ seed: 7, faults });
    for (let round = 0; round < 25; round++) {
      const on = round % 3 === 0;
      bmc.machine.chassis.press(on);
      // A look that fails says so; one that answers says the truth.
      const status = await session.chassisStatus({ deadline: 20_000 });
      expect(status.power).toBe(on ? 'on' : 'off');
    }
  });

  it('stalls, and answers again', async () => {
    const { bmc, session } = await one({ seed: 3 });
    await session.chassisStatus();
    Object.assign(bmc.faults, { stall: 1, stallMs: 300 });
    const asked = session.chassisStatus();
    while (bmc.faults.stall) {
      await new Promise((resolve) => setImmediate(resolve));
      if (bmc.commands === 1) bmc.faults.stall = 0;
    }
    expect((await asked).power).toBe('off');
  });

  it('tells the same story from the same seed', async () => {
    const story = async () => {
      const { bmc, session } = await one({ seed: 11, faults: { duplicate: 0.5 } });
      const { raw } = await session.systemGuid();
      const found = [raw, bmc.machine.guid.toString('hex')];
      await Promise.all(
        cleanUps
          .splice(0)
          .reverse()
          .map((clean) => clean()),
      );
      return found;
    };
    expect(await story()).toEqual(await story());
  });

  it('is a thousand BMCs in one process', async () => {
    const { addresses, port, bmcs: made } = await bmcs({ count: 1_000 });
    expect(new Set(addresses).size).toBe(1_000);
    const ipmi = await transport();
    const answers = await Promise.all(
      addresses.map((host) => ipmi.session({ host, port, user: 'admin', password: 'secret' }).chassisStatus()),
    );
    expect(answers.every(({ power }) => power === 'off')).toBe(true);
    expect(made.every(({ sessions }) => sessions === 1)).toBe(true);
  });
});

describe('addresses', () => {
  it('leaves out those that end in 0 and 255', () => {
    expect(virtualAddresses(3, '127.6.23.254')).toEqual(['127.6.23.254', '127.6.24.1', '127.6.24.2']);
  });
});
