import { describe, expect, it } from 'vitest';
import { bmcConformance } from './conformance.ts';
import { createFakeMachines } from './index.ts';

const access = {
  key: 'n1',
  driver: 'fake',
  address: '',
  port: 623,
  username: 'admin',
  password: 'secret-of-fake',
  options: {},
} as const;

describe('fake machines', () => {
  bmcConformance('fake', async () => {
    const fakes = createFakeMachines();
    const machine = fakes.machine('n1');
    return {
      bmc: fakes.bmc(access),
      password: access.password,
      say: (text) => machine.console?.onData(Buffer.from(text)),
      break() {
        machine.failing = 'it is unplugged';
      },
      forgetBootDevice() {
        machine.forgetsBootDevice = true;
      },
    };
  });

  it('takes its time, and tells who listens', async () => {
    const due: (() => void)[] = [];
    const clock = {
      now: () => 0,
      after(_ms: number, fn: () => void) {
        due.push(fn);
        return () => {};
      },
    };
    const fakes = createFakeMachines(clock);
    const heard: unknown[] = [];
    fakes.onChange((change) => heard.push(change));
    const bmc = fakes.bmc({ ...access, options: { delayMs: 500 } });
    await bmc.setBootDevice({ device: 'pxe', persistent: false, efi: false });
    await bmc.setPower('on');
    expect(await bmc.power()).toBe('off');
    due[0]?.();
    expect(await bmc.power()).toBe('on');
    expect(heard).toEqual([{ key: 'n1', power: 'on', bootDevice: { device: 'pxe', persistent: false, efi: false } }]);
    expect(await bmc.bootDevice()).toBeNull();
  });
});
