import { describe, expect, it } from 'vitest';
import { type BootCount, bootQuirks, bootsRow, nextWay, obeyingBmc } from './boot-ways.ts';
import { createFakeMachines } from './fake.ts';

const count = (
  device: BootCount['device'],
  way: BootCount['way'],
  counts: Partial<Pick<BootCount, 'obeyed' | 'ignored' | 'unheard'>>,
): BootCount => ({ device, way, obeyed: 0, ignored: 0, unheard: 0, ...counts });

describe('what boots have shown', () => {
  it.each<[string, BootCount[], object]>([
    ['nothing yet', [], {}],
    ['all obeyed', [count('pxe', 'once', { obeyed: 9 })], {}],
    ['somebody chose another device once', [count('pxe', 'once', { obeyed: 9, ignored: 1 })], {}],
    ['one ignored, and none obeyed', [count('pxe', 'once', { ignored: 1 })], { bootWay: 'always' }],
    ['silence from the first', [count('pxe', 'once', { unheard: 1 })], { bootWay: 'always' }],
    ['silence after better days', [count('pxe', 'once', { obeyed: 1, unheard: 7 })], {}],
    [
      'silence never leads to resets',
      [count('pxe', 'once', { unheard: 3 }), count('pxe', 'always', { unheard: 3 })],
      { bootWay: 'always' },
    ],
    [
      'for every boot, and not either',
      [count('pxe', 'once', { ignored: 1 }), count('pxe', 'always', { ignored: 2, obeyed: 1 })],
      { bootWay: 'again' },
    ],
    [
      'no way helps',
      (['once', 'always', 'again'] as const).map((way) => count('pxe', way, { ignored: 1 })),
      { bootWay: 'again', bootIgnored: true },
    ],
    ['the disk’s boots are mended by our answer', [count('disk', 'always', { ignored: 5 })], {}],
  ])('%s', (_, counts, expected) => {
    expect(bootQuirks(counts)).toEqual(expected);
    const row = bootsRow(counts);
    expect(row.check).toBe('boots');
    // What is wrong has an answer, and what is not has none.
    expect(row.wrong === null).toBe(row.answer === null);
    if ('bootWay' in expected) expect(row.wrong).not.toBeNull();
  });

  it('is told with both devices, and what was never heard', () => {
    const counts = [
      count('pxe', 'once', { obeyed: 3, unheard: 1 }),
      count('disk', 'always', { obeyed: 2, ignored: 1 }),
    ];
    expect(bootsRow(counts)).toEqual({
      ...{ check: 'boots', verdict: 'warning' },
      measured: 'network: 3 of 4 boots went there, 1 never heard; disk: 2 of 3 boots went there',
      wrong: 'machines that it was told to boot from disk ask the network first',
      answer:
        'Our answer sends them to their disk; without one their firmware waits for the network before each start.',
    });
  });

  it('tries the ways in their order', () => {
    expect([nextWay('once'), nextWay('always'), nextWay('again')]).toEqual(['always', 'again', null]);
  });
});

describe('a driver that has learnt', () => {
  const machine = () => {
    const fakes = createFakeMachines();
    const bmc = fakes.bmc({
      ...{ key: 'n', driver: 'fake', address: '', port: 623, username: '', password: '', options: {} },
    });
    const starts: (string | null)[] = [];
    fakes.onChange(({ power, bootDevice }) => {
      if (power === 'on') starts.push(bootDevice && `${bootDevice.device}${bootDevice.persistent ? ' always' : ''}`);
    });
    return { bmc, starts, its: fakes.machine('n') };
  };
  const network = { device: 'pxe', persistent: false, efi: true } as const;
  const wait = async () => {};

  it('is the driver itself where nothing was learnt', () => {
    const { bmc } = machine();
    expect(obeyingBmc(bmc, 'once', wait)).toBe(bmc);
  });

  it('sets the network for every boot, and nothing else', async () => {
    const { bmc, its } = machine();
    const obeying = obeyingBmc(bmc, 'always', wait);
    await obeying.setBootDevice(network);
    expect(its.bootDevice).toEqual({ device: 'pxe', persistent: true, efi: true });
    await obeying.setBootDevice({ device: 'cdrom', persistent: false, efi: true });
    expect(its.bootDevice).toEqual({ device: 'cdrom', persistent: false, efi: true });
    expect(obeying.sensors).toBe(bmc.sensors);
  });

  it('sets it again when the machine is on, and resets it; a machine that boots its disk is left alone', async () => {
    const { bmc, starts } = machine();
    const obeying = obeyingBmc(bmc, 'again', wait);
    await obeying.setBootDevice(network);
    await obeying.setPower('on');
    expect(starts).toEqual(['pxe always', 'pxe always']);
    await obeying.setPower('off');
    await obeying.setBootDevice({ device: 'disk', persistent: true, efi: true });
    await obeying.setPower('on');
    expect(starts.slice(2)).toEqual(['disk always']);
  });

  it('waits for a machine that takes its time, and not for ever', async () => {
    const { bmc } = machine();
    let looks = 0;
    const slow = obeyingBmc({ ...bmc, power: async () => 'off' }, 'again', async () => {
      looks += 1;
    });
    await slow.setBootDevice(network);
    await slow.setPower('on');
    expect(looks).toBe(24);
  });
});
