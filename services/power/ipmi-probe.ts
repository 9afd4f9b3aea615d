/** What a report card asks of an IPMI BMC alone: which cipher suites it lets us in with, and how many sessions it has. */
import { CIPHER_SUITES, IpmiError, type IpmiSession } from '../ipmi/index.ts';
import type { Prober } from './capabilities.ts';
import type { IpmiRoom } from './ipmi-capabilities.ts';

/** Best first; each is one log-in, bounded, so that a BMC that drops what it does not know costs seconds and no minutes. */
const suitesToTry = Object.keys(CIPHER_SUITES)
  .map(Number)
  .sort((a, b) => b - a);
const tryMs = 3_000;
const mostSessions = 8;
/** Get Session Info for "this session" (section 22.20): possible and active sessions are bytes 2 and 3. */
const sessionInfo = { netfn: 0x06, cmd: 0x3d, data: [0x00] } as const;

/** Refusals that answer the question. Silence at a suite is one too: old firmwares drop what they do not know. */
const refusals: readonly string[] = ['suite-refused', 'timeout', 'session-refused', 'bad-response'];

export function ipmiProbe(room: IpmiRoom): Prober {
  const call = (deadline: number, signal: AbortSignal | undefined) => ({ deadline, ...(signal && { signal }) });

  /** True: it is open. False: refused for one of the reasons; else it throws. */
  async function opens(session: IpmiSession, reasons: readonly string[], signal: AbortSignal | undefined) {
    try {
      await session.open(call(tryMs, signal));
      return true;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof IpmiError && reasons.includes(error.code)) return false;
      throw room.fault('open a session', error);
    }
  }

  return {
    async suites(signal) {
      const facts = await room.ask('open a session', signal, (session, o) => session.open(o));
      const advertised = await room
        .ask('list its cipher suites', signal, (session, o) => session.cipherSuites(o))
        .catch(() => undefined);
      const accepted: number[] = [];
      for (const suite of suitesToTry) {
        const session = await room.another(undefined, [suite]);
        try {
          if (await opens(session, refusals, signal)) accepted.push(suite);
        } finally {
          await session.close({ deadline: 1_000 });
        }
      }
      const spoken = facts.protocol === '1.5' ? 'IPMI 1.5' : `cipher suite ${facts.suite}`;
      return { advertised: advertised ?? null, accepted, spoken };
    },
    async sessions(signal) {
      const { netfn, cmd, data } = sessionInfo;
      const info = await room
        .ask('tell of its sessions', signal, (s, o) => s.raw(netfn, cmd, data, o))
        .catch(() => null);
      const said = info?.completionCode === 0 ? (info.data[1] ?? 0) & 0x3f : 0;
      const held: IpmiSession[] = [];
      let refused = false;
      try {
        while (held.length < mostSessions && !refused) {
          const session = await room.another();
          held.push(session);
          refused = !(await opens(session, ['no-session-slots', 'timeout', 'session-refused'], signal));
        }
      } finally {
        await Promise.all(held.map((session) => session.close({ deadline: 1_000 })));
      }
      const opened = refused ? held.length - 1 : held.length;
      let freed = opened > 0;
      if (opened > 0) {
        const session = await room.another();
        freed = await opens(session, ['no-session-slots', 'timeout', 'session-refused'], signal);
        await session.close({ deadline: 1_000 });
      }
      return { possible: said || null, opened, refused, freed: freed || opened === 0 };
    },
  };
}
