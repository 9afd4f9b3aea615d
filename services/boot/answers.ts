/** Joins the decision table to the DHCP engine: what file or URL goes into the answer for this machine, now. */
import type { BootFor, ClientClass, BootAnswer as DhcpAnswer } from '../dhcp/index.ts';
import { type DecisionRow, decide, kindOf, platformOf, rungName } from './decision.ts';
import type { Ladder } from './ladder.ts';
import type { BootAnswer, ClientKind, Wish } from './model.ts';
import type { BootRecord } from './record.ts';

export interface AnswersDeps {
  readonly wishOf: (mac: string) => Promise<Wish | null>;
  readonly ladder: Ladder;
  readonly record: () => BootRecord;
  /** `http://192.0.2.1:8088` */
  readonly httpBase: string;
  /** `192.0.2.1` */
  readonly tftpServer: string;
  /** Milliseconds. */
  readonly now: () => number;
}

function inWords(answer: BootAnswer, wish: Wish): string {
  if (answer.kind === 'loader') return rungName(answer);
  if (answer.kind === 'address') return 'an address and no boot file';
  if (answer.script === 'disk') return 'the script that boots the disk';
  return wish.intent === 'discover'
    ? 'the script that starts the ramdisk for discovery'
    : 'the script that starts the deploy ramdisk';
}

export interface Answers {
  readonly bootFor: BootFor;
  /**
   * Beside another DHCP server: the machine has taken that server's address, so with it the boot file of our OFFER. No ACK of ours
   * tells it, but where firmware asks for its boot file again, on port 4011; that is then not counted twice, nor is a REQUEST that
   * is repeated under one transaction id.
   */
  taken(client: ClientClass, xid: string): Promise<void>;
}

interface Choice {
  readonly wish: Wish;
  readonly row: DecisionRow;
  readonly words: string;
  /** Why nothing is given after all. */
  readonly loop: string | null;
}

/**
 * A DISCOVER of the transaction that was acknowledged so shortly before was sent before the ACK and overtaken by it, as happens when a
 * rack is switched on and we are slow: it is no new boot. The time, because some ROMs use one transaction id for ever.
 */
const lateMs = 10_000;
/** Within this time a request on port 4011 belongs to the address that was taken before it. */
const sameBootMs = 30_000;
const mostRemembered = 20_000;

export function createAnswers({ wishOf, ladder, record, httpBase, tftpServer, now }: AnswersDeps): Answers {
  /** By MAC: when a boot of which kind of client was last counted without an ACK. */
  const counted = new Map<string, { readonly at: number; readonly xid: string; readonly kind: ClientKind }>();
  const isCounted = (client: ClientClass, mac: string | null): boolean => {
    const last = mac === null ? undefined : counted.get(mac);
    return last !== undefined && last.kind === kindOf(client) && now() - last.at < sameBootMs;
  };

  /** By MAC: the transaction in which a boot was counted last. */
  const settled = new Map<string, { readonly at: number; readonly xid: string }>();
  function settle(mac: string, xid: string): void {
    if (settled.size >= mostRemembered) settled.clear();
    settled.set(mac, { at: now(), xid });
  }
  const isLate = (mac: string, xid: string): boolean => {
    const last = settled.get(mac);
    return last !== undefined && last.xid === xid && now() - last.at < lateMs;
  };

  function file(answer: BootAnswer, wish: Wish): string | null {
    if (answer.kind === 'loader')
      return answer.over === 'tftp' ? answer.file : `${httpBase}/boot/loader/${answer.file}`;
    if (answer.kind !== 'script') return null;
    if (answer.script === 'disk') return `${httpBase}/boot/disk/script.ipxe`;
    return wish.token === undefined ? null : `${httpBase}/boot/${wish.token}/script.ipxe`;
  }

  /** `begins`: what the machine was given before has come to nothing; `counts`: it is being given this for good. */
  async function choose(client: ClientClass, begins: boolean, counts: boolean): Promise<Choice | null> {
    const wish = client.mac === null ? null : await wishOf(client.mac);
    if (!wish) return null;
    const asker = { client: kindOf(client), platform: platformOf(client) };
    const boots = wish.intent === 'agent' || wish.intent === 'discover';
    const rung = boots && asker.client !== 'system' ? ladder.rung(wish, asker, begins) : 0;
    const row = decide({ intent: wish.intent, secureBoot: wish.secureBoot, rung, ...asker });
    const words = inWords(row.answer, wish);
    const loop = boots && row.answer.kind !== 'address' ? ladder.loop(wish, words, counts) : null;
    if (counts && loop !== null) record().loop(wish, loop);
    if (counts && loop === null) {
      if (boots && row.answer.kind === 'loader') ladder.given(wish, asker, rungName(row.answer));
      record().decision(wish, client, row, words);
    }
    return { wish, row, words, loop };
  }

  return {
    async bootFor(query): Promise<DhcpAnswer | 'nothing'> {
      const { mac, client, message, xid } = query;
      if (mac === null) return 'nothing';
      // A REQUEST that is repeated counts once, like a DISCOVER that comes late.
      const isAgain = isLate(mac, xid);
      const isFinal = message === 'ACK' && !isCounted(client, mac) && !isAgain;
      if (isFinal) settle(mac, xid);
      const choice = await choose({ ...client, mac }, message === 'OFFER' && !isAgain, isFinal);
      if (!choice || choice.loop !== null) return 'nothing';
      const filename = file(choice.row.answer, choice.wish);
      return filename === null ? 'nothing' : { filename, nextServer: tftpServer };
    },

    async taken(client, xid) {
      const { mac } = client;
      // A running system's address is none of our business here.
      if (mac === null || kindOf(client) === 'system' || counted.get(mac)?.xid === xid) return;
      if (counted.size >= mostRemembered) counted.clear();
      counted.set(mac, { at: now(), xid, kind: kindOf(client) });
      settle(mac, xid);
      await choose(client, false, true);
    },
  };
}
