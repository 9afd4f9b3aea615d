/**
 * A BMC's report card: what was measured of it, what is wrong with it, and what the driver does about it. Only what its own driver
 * can tell (suites, sessions) comes from the driver's `probe`; the rest is asked through the capabilities, so that a card of a
 * Redfish BMC is the same card. The machine's power is not touched; its boot device is set, read back, and set as it was.
 */
import { Fault } from '../core/errors/index.ts';
import type { Bmc, BmcInfo, BootDevice } from './bmc.ts';
import type { BootWay } from './boot-ways.ts';

export const cardChecks = [
  'latency',
  'suites',
  'sessions',
  'boot-override',
  'console',
  'clock',
  'firmware',
  'capabilities',
] as const;
export type CardCheck = (typeof cardChecks)[number];

export interface CardRow {
  /** `boots` is no question to the BMC: what its machines’ boots have shown (boot-ways.ts). */
  readonly check: CardCheck | 'boots';
  readonly verdict: 'ok' | 'warning' | 'bad' | 'unknown';
  readonly measured: string;
  /** What is wrong; null: nothing. */
  readonly wrong: string | null;
  /** What the driver does about it, or what a person can do. */
  readonly answer: string | null;
}

/** What the driver does otherwise from now on, for every BMC of this vendor, model and firmware. */
export interface LearntQuirks {
  /** Boot devices are taken and not kept: what is read back is not insisted upon. */
  readonly bootNotKept?: boolean;
  /** Boot devices are read back and not obeyed: the way in which the network is set instead. */
  readonly bootWay?: Exclude<BootWay, 'once'>;
  /** No way of setting the network is obeyed. */
  readonly bootIgnored?: true;
  /** The cipher suite to try first. */
  readonly suite?: number;
  /** It speaks IPMI 1.5 only. */
  readonly lan15?: true;
}

export interface ReportCard {
  readonly info: BmcInfo;
  readonly rows: readonly CardRow[];
  readonly quirks: LearntQuirks;
}

export interface ExamineOptions {
  /** ms since the epoch, for the clock's skew. */
  readonly now: () => number;
  /** Monotonic ms, for latencies. */
  readonly timer?: () => number;
  readonly signal?: AbortSignal;
  /** Told as each check begins. */
  readonly began?: (check: CardCheck) => void;
}

type Answer = Omit<CardRow, 'check'>;

const looks = 20;
const slowMs = 500;
const skewSeconds = 60;

const ok = (measured: string): Answer => ({ verdict: 'ok', measured, wrong: null, answer: null });
const said = (verdict: CardRow['verdict'], measured: string, wrong: string, answer: string): Answer => ({
  ...{ verdict, measured, wrong, answer },
});
const untold = (measured: string): Answer => ({ verdict: 'unknown', measured, wrong: null, answer: null });

/** @throws Fault where the BMC cannot be asked at all; what a single check meets is in its row. */
export async function examine(bmc: Bmc, options: ExamineOptions): Promise<ReportCard> {
  const { signal, timer = () => performance.now() } = options;
  const info = await bmc.info(signal);
  const quirks: { bootNotKept?: boolean; suite?: number; lan15?: true } = {};
  const rows: CardRow[] = [];

  const checks: Readonly<Record<CardCheck, () => Promise<Answer>>> = {
    async latency() {
      const times: number[] = [];
      for (let n = 0; n < looks; n++) {
        const startedAt = timer();
        await bmc.power(signal);
        times.push(timer() - startedAt);
      }
      times.sort((a, b) => a - b);
      const [middle, most] = [times[looks >> 1]!, times[looks - 1]!];
      const measured = `a power state in ${middle.toFixed(1)} ms, at most ${most.toFixed(1)} ms (${looks} looks)`;
      return most < slowMs
        ? ok(measured)
        : said(
            'warning',
            measured,
            'it is slow to answer',
            'The wait before a question is repeated follows what is measured; nobody else waits for this BMC.',
          );
    },
    async suites() {
      if (!bmc.probe) return untold('its driver has no cipher suites');
      const { advertised, accepted, spoken } = await bmc.probe.suites(signal);
      const listed = advertised ? `, advertises ${advertised.join(', ') || 'none'}` : ', does not say which it has';
      const measured = `speaks ${spoken}, accepts ${accepted.join(', ') || 'none'}${listed}`;
      const [best] = accepted;
      if (best !== undefined) quirks.suite = best;
      else if (info.spoken && 'lan15' in info.spoken) quirks.lan15 = true;
      if (advertised?.includes(0))
        return said(
          'bad',
          measured,
          'cipher suite 0 is on: whoever reaches it may control the machine without a password',
          'We never speak it. Switch it off in the BMC’s LAN settings.',
        );
      if (!accepted.includes(17))
        return said(
          'warning',
          measured,
          accepted.includes(3) ? 'it has no SHA-256 (suite 17)' : 'it hides nothing of what is said',
          accepted.includes(3)
            ? 'Suite 3 is used, at once: it is remembered for this model and firmware.'
            : 'Keep it on a network of its own, or update it.',
        );
      return ok(measured);
    },
    async sessions() {
      if (!bmc.probe) return untold('its driver keeps no sessions of a limited number');
      const { possible, opened, refused, freed } = await bmc.probe.sessions(signal);
      const limit = possible === null ? '' : `, it says that it has ${possible}`;
      const measured = `${opened} more sessions were opened beside ours${refused ? ', then it was full' : ''}${limit}`;
      if (!freed)
        return said(
          'bad',
          measured,
          'it does not free the sessions that are closed',
          'One session is kept for all there is to do, refreshed instead of reopened, and closed at shut-down.',
        );
      if (opened === 0)
        return said(
          'warning',
          measured,
          'it has no session beside ours',
          'All commands share one session; a console can be opened only while nothing else holds one.',
        );
      return ok(measured);
    },
    async 'boot-override'() {
      const before = await bmc.bootDevice(signal);
      const wanted: readonly BootDevice[] = [
        { device: 'pxe', persistent: false, efi: before?.efi ?? false },
        { device: 'disk', persistent: true, efi: before?.efi ?? true },
      ];
      const lost = new Set<string>();
      let kept = 0;
      try {
        for (const one of wanted) {
          try {
            await bmc.setBootDevice(one, signal);
          } catch (error) {
            if (!(error instanceof Fault && error.code === 'bmc-boot-device-not-kept')) throw error;
            continue;
          }
          const found = await bmc.bootDevice(signal);
          if (found?.device !== one.device) continue;
          kept += 1;
          if (found.persistent !== one.persistent) lost.add(one.persistent ? 'for every boot' : 'for one boot');
          if (found.efi !== one.efi) lost.add(one.efi ? 'UEFI' : 'BIOS');
        }
      } finally {
        await restore(bmc, before, signal);
      }
      const measured = `${kept} of ${wanted.length} devices were read back as they were set`;
      if (kept < wanted.length) {
        quirks.bootNotKept = true;
        return said(
          'bad',
          measured,
          'it takes boot devices and forgets them',
          'They are set before each boot and no longer insisted upon: put the network first in the firmware’s boot order, and what a machine boots is decided by our answer.',
        );
      }
      if (lost.size > 0)
        return said(
          'warning',
          `${measured}, without “${[...lost].join('”, “')}”`,
          'it drops part of what is set',
          'The device is set anew before each boot that matters.',
        );
      return ok(measured);
    },
    async console() {
      if (!bmc.console) return untold('its driver has no console');
      try {
        const stream = await bmc.console.open({ onData() {} }, signal);
        await stream.close();
      } catch (error) {
        // Serial over LAN has one session: while a boot is recorded that is our own.
        if (!(error instanceof Fault && error.code === 'bmc-console-in-use')) throw error;
        return ok('it is open in another session, which the undercloud’s own recording is one of');
      }
      return ok('opened and closed');
    },
    async clock() {
      if (!bmc.eventLog) return untold('its driver has no clock');
      const time = await bmc.eventLog.time(signal);
      if (time === null)
        return said(
          'warning',
          'not set: it counts from the BMC’s start',
          'entries of its log have no time',
          'Set it with `undercloud bmc clock NODE --set`, or give the BMC an NTP server.',
        );
      // BMCs tell whole seconds.
      const skew = Math.floor(time.getTime() / 1_000) - Math.floor(options.now() / 1_000);
      const measured =
        Math.abs(skew) <= 1 ? 'right to the second' : `${Math.abs(skew)} s ${skew > 0 ? 'ahead' : 'behind'}`;
      return Math.abs(skew) < skewSeconds
        ? ok(measured)
        : said(
            'warning',
            measured,
            'entries of its log have wrong times',
            'Set it with `undercloud bmc clock NODE --set`, or give the BMC an NTP server.',
          );
    },
    async firmware() {
      const found = bmc.firmware ? await bmc.firmware.read(signal) : [];
      const list = found.map(({ component, version }) => `${component} ${version}`).join(', ');
      return ok(list || (info.firmware ?? 'not told'));
    },
    async capabilities() {
      const missing: string[] = [];
      const tries: readonly (readonly [string, (() => Promise<unknown>) | undefined])[] = [
        ['sensors', bmc.sensors && (() => bmc.sensors!.read(signal))],
        ['event log', bmc.eventLog && (() => bmc.eventLog!.entries({ limit: 1 }, signal))],
        ['inventory', bmc.inventory && (() => bmc.inventory!.read(signal))],
        ['users', bmc.credentials && (() => bmc.credentials!.accounts(signal))],
      ];
      for (const [name, attempt] of tries) {
        const works = attempt
          ? await attempt().then(
              () => true,
              (error) => {
                signal?.throwIfAborted();
                if (error instanceof Fault) return false;
                throw error;
              },
            )
          : false;
        if (!works) missing.push(name);
      }
      const measured = `${tries.length - missing.length} of ${tries.length}: sensors, event log, inventory, users`;
      return missing.length === 0
        ? ok(measured)
        : said('warning', measured, `it has no ${missing.join(', no ')}`, 'Nothing that a deploy needs.');
    },
  };

  for (const check of cardChecks) {
    signal?.throwIfAborted();
    options.began?.(check);
    const answer = await checks[check]().catch((error): Answer => {
      signal?.throwIfAborted();
      if (!(error instanceof Fault)) throw error;
      return said('bad', 'it could not be measured', error.sentence, error.remedy);
    });
    rows.push({ check, ...answer });
  }
  return { info, rows, quirks };
}

async function restore(bmc: Bmc, before: BootDevice | null, signal: AbortSignal | undefined): Promise<void> {
  const work = before ? bmc.setBootDevice(before, signal) : bmc.clearBootDevice?.(signal);
  await work?.catch((error) => {
    if (!(error instanceof Fault && error.code === 'bmc-boot-device-not-kept')) throw error;
  });
}
