/** Joins the decision table to the DHCP engine: what file or URL goes into the answer for this machine, now. */
import type { BootFor, BootAnswer as DhcpAnswer } from '../dhcp/index.ts';
import { decide, kindOf, platformOf } from './decision.ts';
import type { BootAnswer, BootIntent, BootSource } from './model.ts';
import type { BootRecord } from './record.ts';

export interface AnswersDeps {
  readonly baremetal: BootSource;
  readonly record: () => BootRecord;
  /** `http://192.0.2.1:8088` */
  readonly httpBase: string;
  /** `192.0.2.1` */
  readonly tftpServer: string;
}

export interface Answers {
  readonly bootFor: BootFor;
  /** The machine got as far as its script: its loader works. */
  arrived(mac: string): void;
}

const mostRemembered = 20_000;

export function createAnswers({ baremetal, record, httpBase, tftpServer }: AnswersDeps): Answers {
  /** Loaders given in a row without a script being fetched after them, by MAC. */
  const stranded = new Map<string, number>();

  function file(answer: BootAnswer, intent: BootIntent): string | null {
    if (answer.kind === 'loader')
      return answer.over === 'tftp' ? answer.file : `${httpBase}/boot/loader/${answer.file}`;
    if (answer.kind !== 'script') return null;
    if (answer.script === 'disk') return `${httpBase}/boot/disk/script.ipxe`;
    return intent.token === undefined ? null : `${httpBase}/boot/${intent.token}/script.ipxe`;
  }

  function inWords(answer: BootAnswer): string {
    if (answer.kind === 'loader') return `${answer.file} over ${answer.over.toUpperCase()}`;
    if (answer.kind === 'script')
      return answer.script === 'agent' ? 'the script that starts the deploy ramdisk' : 'the script that boots the disk';
    return 'an address and no boot file';
  }

  return {
    async bootFor(query): Promise<DhcpAnswer | 'nothing'> {
      const { mac, client } = query;
      if (mac === null) return 'nothing';
      const intent = await baremetal.bootIntent(mac);
      if (!intent) return 'nothing';
      const kind = kindOf(client);
      const failures = stranded.get(mac) ?? 0;
      const row = decide({ intent: intent.intent, client: kind, platform: platformOf(client), failures });
      const filename = file(row.answer, intent);
      if (query.message === 'ACK') {
        if (stranded.size >= mostRemembered) stranded.clear();
        if (row.answer.kind === 'loader' && intent.intent === 'agent') stranded.set(mac, failures + 1);
        record().decision(mac, client, intent, row, inWords(row.answer));
      }
      return filename === null ? 'nothing' : { filename, nextServer: tftpServer };
    },
    arrived: (mac) => void stranded.delete(mac),
  };
}
