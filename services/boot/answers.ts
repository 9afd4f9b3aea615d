/** Joins the decision table to the DHCP engine: what file or URL goes into the answer for this machine, now. */
import type { BootFor, BootAnswer as DhcpAnswer } from '../dhcp/index.ts';
import { decide, kindOf, platformOf, rungName } from './decision.ts';
import type { Ladder } from './ladder.ts';
import type { BootAnswer, Wish } from './model.ts';
import type { BootRecord } from './record.ts';

export interface AnswersDeps {
  readonly wishOf: (mac: string) => Promise<Wish | null>;
  readonly ladder: Ladder;
  readonly record: () => BootRecord;
  /** `http://192.0.2.1:8088` */
  readonly httpBase: string;
  /** `192.0.2.1` */
  readonly tftpServer: string;
}

function inWords(answer: BootAnswer, wish: Wish): string {
  if (answer.kind === 'loader') return rungName(answer);
  if (answer.kind === 'address') return 'an address and no boot file';
  if (answer.script === 'disk') return 'the script that boots the disk';
  return wish.intent === 'discover'
    ? 'the script that starts the ramdisk for discovery'
    : 'the script that starts the deploy ramdisk';
}

export function createAnswers({ wishOf, ladder, record, httpBase, tftpServer }: AnswersDeps): { bootFor: BootFor } {
  function file(answer: BootAnswer, wish: Wish): string | null {
    if (answer.kind === 'loader')
      return answer.over === 'tftp' ? answer.file : `${httpBase}/boot/loader/${answer.file}`;
    if (answer.kind !== 'script') return null;
    if (answer.script === 'disk') return `${httpBase}/boot/disk/script.ipxe`;
    return wish.token === undefined ? null : `${httpBase}/boot/${wish.token}/script.ipxe`;
  }

  return {
    async bootFor(query): Promise<DhcpAnswer | 'nothing'> {
      const { mac, client } = query;
      if (mac === null) return 'nothing';
      const wish = await wishOf(mac);
      if (!wish) return 'nothing';
      const asker = { client: kindOf(client), platform: platformOf(client) };
      const isFinal = query.message === 'ACK';
      const boots = wish.intent === 'agent' || wish.intent === 'discover';
      const rung = boots && asker.client !== 'system' ? ladder.rung(wish, asker, query.message === 'OFFER') : 0;
      const row = decide({ intent: wish.intent, secureBoot: wish.secureBoot, rung, ...asker });
      const words = inWords(row.answer, wish);
      const loop = boots && row.answer.kind !== 'address' ? ladder.loop(wish, words, isFinal) : null;
      if (loop !== null) {
        if (isFinal) record().loop(wish, loop);
        return 'nothing';
      }
      if (isFinal) {
        if (boots && row.answer.kind === 'loader') ladder.given(wish, asker, rungName(row.answer));
        record().decision(wish, client, row, words);
      }
      const filename = file(row.answer, wish);
      return filename === null ? 'nothing' : { filename, nextServer: tftpServer };
    },
  };
}
