/**
 * Boot-override truth. A BMC may read a boot device back and boot another: no question to it finds that out, only boots do. What
 * boots have shown is counted for each kind of BMC, device and way of setting it; from the counts follows the way that is used, and
 * what its report card says. The ways are tried in their order, each where the one before was not obeyed.
 */
import type { Bmc, BootDevice } from './bmc.ts';
import type { CardRow, LearntQuirks } from './report-card.ts';

export const bootWays = ['once', 'always', 'again'] as const;
/**
 * How the network is made the next boot's device. `once`: for one boot. `always`: for every boot, where a BMC loses what is meant for
 * one. `again`: for every boot, and once more when the machine is on, with a reset, where switching on loses it.
 */
export type BootWay = (typeof bootWays)[number];

/** What boots of one kind of BMC have shown. */
export interface BootCount {
  readonly device: 'pxe' | 'disk';
  readonly way: BootWay;
  /** Boots that went where the BMC had said. */
  readonly obeyed: number;
  /** Boots that went elsewhere. */
  readonly ignored: number;
  /** Boots from the network of which nothing was heard: cable, port, VLAN, or a machine that stands in front of an empty disk. */
  readonly unheard: number;
}

/**
 * A single slip (somebody chose another device at the console) is not the BMC's. Silence, which may be a cable's, is reason enough to
 * set for every boot what was meant for one, and never for the reset of `again`.
 */
const isDoubted = ({ way, obeyed, ignored, unheard }: BootCount): boolean =>
  ignored > obeyed || (way === 'once' && obeyed === 0 && unheard > 0);

export const nextWay = (way: BootWay): BootWay | null => bootWays[bootWays.indexOf(way) + 1] ?? null;

/** What the driver does otherwise, by what boots have shown; nothing where they went as they should. */
export function bootQuirks(counts: readonly BootCount[]): Pick<LearntQuirks, 'bootWay' | 'bootIgnored'> {
  const isBad = (way: BootWay) => counts.some((one) => one.device === 'pxe' && one.way === way && isDoubted(one));
  if (!isBad('once')) return {};
  const bootWay = (['always', 'again'] as const).find((way) => !isBad(way));
  return bootWay ? { bootWay } : { bootWay: 'again', bootIgnored: true };
}

const answers: Readonly<Record<BootWay, string>> = {
  once: 'Before the next boot from the network it is set for every boot instead of for one.',
  always:
    'The network is set for every boot instead of for one; when a system is on the disk, the disk is set, and our answer decides in any case.',
  again:
    'The network is set for every boot, and set once more with a reset when the machine is on; our answer decides what is booted.',
};
const helpless =
  'None of the three ways of setting it is obeyed: put the network first in the firmware’s boot order, and what a machine boots is decided by our answer.';

const sum = (counts: readonly BootCount[], what: 'obeyed' | 'ignored' | 'unheard') =>
  counts.reduce((total, one) => total + one[what], 0);

/** The row `boots` of a report card. */
export function bootsRow(counts: readonly BootCount[]): CardRow {
  const network = counts.filter(({ device }) => device === 'pxe');
  const disk = counts.filter(({ device }) => device === 'disk');
  const told = (title: string, of: readonly BootCount[]): string[] => {
    const [obeyed, ignored, unheard] = [sum(of, 'obeyed'), sum(of, 'ignored'), sum(of, 'unheard')];
    if (obeyed + ignored + unheard === 0) return [];
    const silent = unheard > 0 ? `, ${unheard} never heard` : '';
    return [`${title}: ${obeyed} of ${obeyed + ignored + unheard} boots went there${silent}`];
  };
  const measured = [...told('network', network), ...told('disk', disk)].join('; ');
  const row = (verdict: CardRow['verdict'], wrong: string | null, answer: string | null): CardRow => ({
    ...{ check: 'boots', verdict, measured: measured || 'none was seen yet', wrong, answer },
  });
  if (measured === '') return row('unknown', null, null);
  const { bootWay = 'once', bootIgnored } = bootQuirks(counts);
  const lost = sum(network, 'ignored');
  if (lost > 0)
    return row(
      bootWay === 'once' ? 'warning' : 'bad',
      `it reads the network back as the boot device, and ${lost === 1 ? 'one boot' : `${lost} boots`} went to the disk`,
      bootIgnored
        ? helpless
        : bootWay === 'once'
          ? 'More boots obeyed than did not: nothing is changed.'
          : answers[bootWay],
    );
  if (bootWay !== 'once' || bootIgnored)
    return row(
      'warning',
      'it reads the network back as the boot device, and nothing was ever heard of the boot',
      `${bootIgnored ? helpless : answers[bootWay]} Look at cable, switch port and VLAN too.`,
    );
  if (sum(disk, 'ignored') > 0)
    return row(
      'warning',
      'machines that it was told to boot from disk ask the network first',
      'Our answer sends them to their disk; without one their firmware waits for the network before each start.',
    );
  return row('ok', null, null);
}

/** ms until a machine that was told to switch on has, at most, and between two looks. */
const onMs = 6_000;
const lookMs = 250;

/** The BMC as its kind wants it set; the BMC itself where nothing was learnt. Read-back is the driver's as before. */
export function obeyingBmc(bmc: Bmc, way: BootWay, wait: (ms: number) => Promise<unknown>): Bmc {
  if (way === 'once') return bmc;
  const lasting = (wanted: BootDevice): BootDevice =>
    wanted.device === 'pxe' ? { ...wanted, persistent: true } : wanted;
  return {
    ...bmc,
    setBootDevice: (wanted, signal) => bmc.setBootDevice(lasting(wanted), signal),
    async setPower(target, signal) {
      if (way !== 'again' || (target !== 'on' && target !== 'reboot')) return bmc.setPower(target, signal);
      const wanted = await bmc.bootDevice(signal);
      await bmc.setPower(target, signal);
      if (wanted?.device !== 'pxe') return;
      for (let left = onMs; left > 0 && (await bmc.power(signal)) !== 'on'; left -= lookMs) await wait(lookMs);
      await bmc.setBootDevice(lasting(wanted), signal);
      await bmc.setPower('reboot', signal);
    },
  };
}
