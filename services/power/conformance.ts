/**
 * What every Bmc keeps, whatever it speaks: `bmcConformance` is called by the test of each adapter. Power, boot device and
 * information are asked of all; of the capabilities, those that drivers.ts says the driver has, and no others.
 */
import { describe, expect, it } from 'vitest';
import { Fault } from '../core/errors/index.ts';
import type { Bmc, BmcDriver } from './bmc.ts';
import { type Capability, capabilityNames, requireCapability, sensorKinds, thresholdNames } from './capabilities.ts';
import { bmcDrivers } from './drivers.ts';

export interface BmcUnderTest {
  /** A machine that is off, with at least one sensor that measures, and our user `admin`. */
  readonly bmc: Bmc;
  /** The password that our user has now. */
  readonly password: string;
  /** Makes the BMC stop answering. */
  break(): void;
  /** Makes it take boot devices and keep none. */
  forgetBootDevice(): void;
  /** The machine's serial port says this. Needed where the driver has a console. */
  say?(text: string): void;
}

export function bmcConformance(driver: BmcDriver, make: () => Promise<BmcUnderTest>): void {
  const has = (name: Capability) => bmcDrivers[driver].capabilities.includes(name);

  async function until(bmc: Bmc, state: 'on' | 'off'): Promise<void> {
    while ((await bmc.power()) !== state) await new Promise((resolve) => setImmediate(resolve));
  }

  it('carries the capabilities of its driver and no others', async () => {
    const { bmc } = await make();
    expect(capabilityNames.filter((name) => bmc[name] !== undefined)).toEqual(capabilityNames.filter(has));
    for (const name of capabilityNames.filter((name) => !has(name)))
      expect(() => requireCapability(bmc, name, { key: 'n1', driver })).toThrow(/does not offer/);
  });

  it('switches on and off, and bears being told twice', async () => {
    const { bmc } = await make();
    expect(await bmc.power()).toBe('off');
    await bmc.setPower('on');
    await until(bmc, 'on');
    await bmc.setPower('on');
    expect(await bmc.power()).toBe('on');
    await bmc.setPower('off');
    await until(bmc, 'off');
    await bmc.setPower('off');
    expect(await bmc.power()).toBe('off');
  });

  it('reboots a machine that runs, and starts one that does not', async () => {
    const { bmc } = await make();
    await bmc.setPower('reboot');
    await until(bmc, 'on');
    await bmc.setPower('reboot');
    await until(bmc, 'on');
  });

  it('shuts down softly', async () => {
    const { bmc } = await make();
    await bmc.setPower('on');
    await until(bmc, 'on');
    await bmc.setPower('soft off');
    await until(bmc, 'off');
  });

  for (const wanted of [
    { device: 'pxe', persistent: false, efi: false },
    { device: 'disk', persistent: true, efi: true },
    { device: 'cdrom', persistent: false, efi: true },
    { device: 'bios', persistent: false, efi: false },
  ] as const) {
    it(`boots from ${wanted.device}, and reads it back`, async () => {
      const { bmc } = await make();
      await bmc.setBootDevice(wanted);
      expect(await bmc.bootDevice()).toEqual(wanted);
    });
  }

  it('says in a sentence that a boot device was not kept', async () => {
    const { bmc, forgetBootDevice } = await make();
    forgetBootDevice();
    const failure = await bmc.setBootDevice({ device: 'pxe', persistent: false, efi: false }).catch((e) => e);
    expect(failure).toBeInstanceOf(Fault);
    expect(failure.code).toBe('bmc-boot-device-not-kept');
    expect(failure.message).toMatch(/The BMC .* of node .* was told to boot from pxe/);
  });

  it('says what it is', async () => {
    const { bmc } = await make();
    const info = await bmc.info();
    expect(info.description).not.toBe('');
    expect([info.vendor, info.model, info.firmware]).not.toContain('');
  });

  it('says in a sentence that it does not answer, and stops at the caller’s word', async () => {
    const tested = await make();
    tested.break();
    const stop = new AbortController();
    const asked = tested.bmc.power(stop.signal).catch((error) => error);
    const reason = new Error('no longer wanted');
    setImmediate(() => stop.abort(reason));
    const failure = await asked;
    if (failure !== reason) expect(failure.message).toMatch(/The BMC .* of node .* does not answer/);
  });

  describe('capabilities', () => {
    const offers = (name: Capability) => (has(name) ? it : () => {});

    offers('sensors')('reads sensors with units, health and limits', async () => {
      const { bmc } = await make();
      await bmc.setPower('on');
      await until(bmc, 'on');
      const found = await bmc.sensors!.read();
      expect(found.length).toBeGreaterThan(0);
      for (const sensor of found) {
        expect(sensor.name).not.toBe('');
        expect(sensorKinds).toContain(sensor.kind);
        for (const [name, limit] of Object.entries(sensor.thresholds)) {
          expect(thresholdNames).toContain(name);
          expect(Number.isFinite(limit)).toBe(true);
        }
      }
      const measured = found.find(({ value }) => value !== null);
      expect(measured?.unit).not.toBe('');
      expect(new Set(found.map(({ name }) => name)).size).toBe(found.length);
    });

    offers('eventLog')('reads its log oldest first, and clears it', async () => {
      const { bmc } = await make();
      const log = bmc.eventLog!;
      await bmc.setPower('on');
      await until(bmc, 'on');
      await bmc.setPower('off');
      await until(bmc, 'off');
      const entries = await log.entries();
      expect(entries.length).toBeGreaterThan(1);
      const times = entries.flatMap(({ at }) => (at ? [at.getTime()] : []));
      expect(times).toEqual([...times].sort((a, b) => a - b));
      for (const { text, source } of entries) expect([text, source]).not.toContain('');
      expect(await log.entries({ limit: 1 })).toEqual(entries.slice(-1));
      await log.clear();
      // Some BMCs log that the log was cleared.
      expect((await log.entries()).length).toBeLessThan(2);
    });

    offers('eventLog')('has a clock that can be set', async () => {
      const { bmc } = await make();
      const time = new Date('2026-05-04T03:02:01Z');
      await bmc.eventLog!.setTime(time);
      const read = await bmc.eventLog!.time();
      expect(Math.abs((read?.getTime() ?? 0) - time.getTime())).toBeLessThan(60_000);
    });

    offers('inventory')('tells who made the machine, and its serial number', async () => {
      const { bmc } = await make();
      const found = await bmc.inventory!.read();
      expect(found.manufacturer).toBeTruthy();
      expect(found.serial).toBeTruthy();
      expect(found.parts.length).toBeGreaterThan(0);
      expect(found.faults).toEqual([]);
    });

    offers('console')('carries characters both ways, for one at a time', async () => {
      const { bmc, say } = await make();
      await bmc.setPower('on');
      await until(bmc, 'on');
      let heard = '';
      let wake = () => {};
      const hear = async (text: string) => {
        while (!heard.includes(text))
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      };
      const ends: (string | null)[] = [];
      const stream = await bmc.console!.open({
        onData(data) {
          heard += data.toString();
          wake();
        },
        onClose: (reason) => ends.push(reason),
      });
      stream.write(Buffer.from('typed'));
      await hear('typed');
      if (say) {
        say('from the machine');
        await hear('from the machine');
      }
      const second = await bmc.console!.open({ onData() {} }).catch((error) => error);
      expect(second).toBeInstanceOf(Fault);
      expect(second.message).toMatch(/console/);
      await stream.close();
      expect(ends).toEqual([null]);
      expect(stream.write(Buffer.from('late'))).toBe(false);
    });

    offers('credentials')('changes our password, and proves it by logging in', async () => {
      const { bmc, password } = await make();
      const keeper = bmc.credentials!;
      const accounts = await keeper.accounts();
      expect(accounts.filter(({ own }) => own)).toMatchObject([{ role: 'administrator' }]);
      expect(await keeper.longestPassword()).toBeGreaterThanOrEqual(16);
      await keeper.setPassword(password);
      expect(await keeper.proves('n0t-the-password')).toBe(false);
      await keeper.setPassword('another-Secret16');
      expect(await keeper.proves('another-Secret16')).toBe(true);
      expect(await keeper.proves(password)).toBe(false);
      // The session from before goes on.
      expect(await bmc.power()).toBe('off');
      expect(JSON.stringify(accounts)).not.toContain(password);
    });

    offers('virtualMedia')('inserts and ejects a medium', async () => {
      const { bmc } = await make();
      const media = bmc.virtualMedia!;
      const image = 'http://192.0.2.1/boot.iso';
      await media.insert(image);
      expect((await media.slots()).filter((slot) => slot.image !== null)).toMatchObject([{ image }]);
      await media.eject();
      expect((await media.slots()).every((slot) => slot.image === null)).toBe(true);
      const failure = await media.insert(image, 'no-such-slot').catch((error) => error);
      expect(failure).toBeInstanceOf(Fault);
      expect(failure.message).toContain('no-such-slot');
    });

    offers('firmware')('tells firmware versions', async () => {
      const { bmc } = await make();
      const found = await bmc.firmware!.read();
      expect(found.length).toBeGreaterThan(0);
      for (const { component, version } of found) expect([component, version]).not.toContain('');
    });

    offers('indicator')('lights its indicator', async () => {
      const { bmc } = await make();
      await bmc.indicator!.set('on');
      expect(await bmc.indicator!.state()).not.toBe('off');
      await bmc.indicator!.set('off');
      expect(await bmc.indicator!.state()).toBe('off');
    });

    offers('powerPolicy')('keeps a power policy', async () => {
      const { bmc } = await make();
      await bmc.powerPolicy!.set('always-on');
      expect(await bmc.powerPolicy!.read()).toBe('always-on');
    });

    offers('interrupt')('interrupts a machine that runs, and no other', async () => {
      const { bmc } = await make();
      const refused = await bmc.interrupt!.inject().catch((error) => error);
      expect(refused).toBeInstanceOf(Fault);
      await bmc.setPower('on');
      await until(bmc, 'on');
      await bmc.interrupt!.inject();
    });

    offers('restarter')('restarts the BMC, and answers again', async () => {
      const { bmc } = await make();
      await bmc.restarter!.restart();
      expect(await bmc.power()).toBe('off');
    });
  });
}
