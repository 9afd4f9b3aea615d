/** What every Bmc keeps, whatever it speaks: `bmcConformance` is called by the test of each adapter. */
import { expect, it } from 'vitest';
import { Fault } from '../core/errors/index.ts';
import type { Bmc } from './bmc.ts';

export interface BmcUnderTest {
  /** A machine that is off. */
  readonly bmc: Bmc;
  /** Makes the BMC stop answering. */
  break(): void;
  /** Makes it take boot devices and keep none. */
  forgetBootDevice(): void;
}

export function bmcConformance(make: () => Promise<BmcUnderTest>): void {
  async function until(bmc: Bmc, state: 'on' | 'off'): Promise<void> {
    while ((await bmc.power()) !== state) await new Promise((resolve) => setImmediate(resolve));
  }

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
    expect((await bmc.info()).description).not.toBe('');
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
}
