/** What happened on the wire, as events in an operator's words. A known machine's are its node's; others are the interface's. */

import type { Subject } from '../core/events/index.ts';
import type { House } from '../core/house.ts';
import type { ClientClass, DhcpEvent, Outcome as DhcpOutcome, ExchangeRecord } from '../dhcp/index.ts';
import type { TftpEvent } from '../tftp/index.ts';
import type { Board } from './board.ts';
import { createCrowd } from './crowd.ts';
import { type DecisionRow, describeClient, kindOf } from './decision.ts';
import type { Sent } from './file-answer.ts';
import type { BootNode, Wish } from './model.ts';
import type { BootStep } from './steps.ts';
import type { Vigil } from './vigil.ts';

export interface RecordDeps {
  readonly house: House;
  readonly board: Board;
  readonly vigil: Vigil;
  /** Whether a MAC that no node has is being discovered, or was: what it does is its own story then. */
  readonly isCandidate: (mac: string) => boolean;
  /** Names the wire: `br0`. */
  readonly interface: string;
  /** Addresses are another server's to give. */
  readonly isProxy: boolean;
}

export type BootRecord = ReturnType<typeof createRecord>;

const unknownEveryMs = 60_000;
const mostRemembered = 10_000;
const size = (bytes: number): string =>
  bytes < 10_000
    ? `${bytes} B`
    : bytes < 10_000_000
      ? `${Math.round(bytes / 1000)} kB`
      : `${(bytes / 1e6).toFixed(1)} MB`;
const rounded = (ms: number) => Math.round(ms * 10) / 10;

export function createRecord({ house, board, vigil, isCandidate, interface: wire, isProxy }: RecordDeps) {
  const { recorder, operations, clock } = house;
  const strangers = new Map<string, number>();
  const wireSubject: Subject = { type: 'interface', id: wire };
  const subjectOf = (node: BootNode | null, mac: string | null): Subject => {
    if (node) return { type: 'node', id: node.uuid };
    return mac !== null && isCandidate(mac) ? { type: 'mac', id: mac } : wireSubject;
  };
  const wake = (node: BootNode | null) => {
    if (node) operations.wake({ type: 'node', id: node.uuid });
  };

  function unknown(mac: string, client: string): void {
    const at = clock.now();
    vigil.stranger(mac);
    const before = strangers.get(mac);
    if (before !== undefined && at - before < unknownEveryMs) return;
    if (strangers.size >= mostRemembered) strangers.clear();
    strangers.set(mac, at);
    const text = `${mac} (${client}) asked for an address on ${wire}, but no node has this MAC: nothing was answered. Enrol the node, or add a port with this MAC to it.`;
    recorder.emit('boot.unknown-machine', { type: 'mac', id: mac }, { text, mac, client });
  }

  function exchange(one: ExchangeRecord, tookMs: number, count: number): void {
    const client = clientOf(one);
    const node = one.mac === null ? null : board.nodeOf(one.mac);
    const isReserved = one.answered !== null || node !== null;
    if (!isReserved && one.mac !== null && one.outcome === 'silent' && one.message === 'DISCOVER') {
      unknown(one.mac, client);
      return;
    }
    const text = (isProxy && besideText(one, client)) || exchangeText(one, client);
    const address = one.answered?.address ?? one.asked.address;
    recorder.emit(
      'dhcp.exchange',
      subjectOf(node, one.mac),
      {
        text,
        mac: one.mac,
        message: one.message,
        client,
        outcome: one.outcome,
        address,
        bootFile: bootFileOf(one),
        reason: one.reason,
        count,
      },
      { durationMs: rounded(tookMs) },
    );
    if (one.outcome === 'acknowledged') wake(node);
  }

  const manyWords: Readonly<Partial<Record<DhcpOutcome, string>>> = {
    offered: 'were offered an address',
    acknowledged: 'took or renewed an address',
    released: 'gave their address back',
    refused: 'were refused their address',
    silent: 'asked and were not answered',
  };
  const crowd = createCrowd({
    one: (event) => exchange(event.exchange, event.tookMs, event.count),
    many: (outcome, count) =>
      recorder.emit('dhcp.exchange', wireSubject, {
        text: `${count} more requests of machines that are no nodes ${manyWords[outcome] ?? `ended as ${outcome}`} within a second`,
        mac: null,
        message: 'REQUEST',
        client: 'many',
        outcome,
        address: null,
        bootFile: null,
        reason: null,
        count,
      }),
    after: (ms, then) => clock.after(ms, then),
  });

  const trouble = (text: string, count = 1) => recorder.emit('boot.trouble', wireSubject, { text, count });

  return {
    trouble,

    dhcp(event: DhcpEvent): void {
      if (event.type !== 'exchange') trouble(dhcpTrouble(event), event.count);
      else if (event.mac !== null && board.nodeOf(event.mac) !== null)
        exchange(event.exchange, event.tookMs, event.count);
      else crowd.add(event);
    },

    decision(wish: Wish, client: ClientClass, row: DecisionRow, answer: string): void {
      const { mac, node, intent, reason, model } = wish;
      const who = describeClient(client);
      const text = `${who} is given ${answer}: ${row.because} (${reason})`;
      recorder.emit(
        'boot.decision',
        node ? { type: 'node', id: node.uuid } : { type: 'mac', id: mac },
        { text, mac, client: who, intent, answer, because: row.because },
        { cause: reason },
      );
      const kind = kindOf(client);
      if (node === null) vigil.stranger(mac);
      if (intent !== 'agent' || kind === 'system') return;
      vigil.reached(node, kind === 'ipxe' ? 'second' : 'asks', {
        model,
        hasFile: row.answer.kind !== 'address',
        ...(row.answer.kind === 'loader' && { loader: row.answer.file }),
      });
    },

    /** It was given loaders and scripts time and again, and comes to nothing. */
    loop(wish: Wish, text: string): void {
      const { mac, node } = wish;
      recorder.emit('boot.loop', node ? { type: 'node', id: node.uuid } : { type: 'mac', id: mac }, { text, mac });
      wake(node);
    },

    tftp(event: TftpEvent): void {
      if (event.type === 'ended') {
        const { transfer, end } = event;
        const node = board.nodeAt(transfer.client);
        const ofBoot = stepOfFile(transfer.path);
        if (end === 'done' && ofBoot) vigil.reached(node, ofBoot);
        const { bytes, size: total, blockSize, windowSize } = transfer;
        // Nobody acknowledges an acknowledgement: who had it all may have left with its last one lost.
        const lacksLastAck = end === 'vanished' && total - bytes <= blockSize * windowSize;
        if (end === 'vanished' && !lacksLastAck) vigil.broken(node, shownFile(transfer.path), bytes, total);
        const file = shownFile(transfer.path);
        const lost = event.retransmitted > 0 ? `, ${event.retransmitted} packets sent again` : '';
        const told: Readonly<Record<string, string>> = {
          done: `fetched ${file} by TFTP: ${size(bytes)} in ${Math.round(event.tookMs)} ms${lost}`,
          // UEFI asks for the size first and breaks off with ERROR 8; that is how it goes, not a failure.
          'size-asked': `asked by TFTP how large ${file} is: ${size(total)}`,
          vanished: lacksLastAck
            ? `was sent all of ${file} by TFTP (${size(total)}); that the last of it arrived was not acknowledged${lost}`
            : `stopped in the middle of ${file} (${size(bytes)} of ${size(total)} by TFTP) and said no more${lost}`,
        };
        const text =
          told[end] ?? `TFTP of ${file} ended after ${size(bytes)} of ${size(total)}: ${event.reason ?? end}`;
        recorder.emit(
          'tftp.transfer',
          subjectOf(node, board.macAt(transfer.client)),
          { text, file, bytes, size: total, blockSize, windowSize, retransmitted: event.retransmitted, end },
          { durationMs: rounded(event.tookMs) },
        );
        wake(node);
      } else if (event.type === 'refused') {
        const file = shownFile(event.path);
        const node = board.nodeAt(event.client);
        // shim and GRUB ask for much that need not be there.
        const isOptional = mayBeMissing(event.path);
        const text = isOptional
          ? `asked by TFTP for ${file}, which need not be there: shim and GRUB go on without it`
          : `TFTP: ${file} was refused to ${event.client}: ${event.reason}`;
        if (!isOptional) vigil.refused(node, file, event.reason);
        recorder.emit('boot.refused', subjectOf(node, board.macAt(event.client)), {
          text,
          address: event.client,
          file,
        });
        wake(node);
      } else if (event.type === 'progress') {
        vigil.alive(board.nodeAt(event.transfer.client));
      } else if (event.type === 'malformed') {
        trouble(`TFTP: a packet from ${event.client} could not be read: ${event.reason}`, event.count);
      } else if (event.type === 'send-failed') {
        trouble(`TFTP: an answer to ${event.client} could not be sent: ${event.reason}`, event.count);
      }
    },

    fetched(node: BootNode | null, mac: string | null, method: string, file: string, sent: Sent): void {
      const ofBoot = stepOfFile(file);
      if (!sent.whole) vigil.broken(node, file, sent.bytes, sent.size);
      else if (ofBoot && method === 'GET' && sent.status === 200) vigil.reached(node, ofBoot);
      const took = `${Math.round(sent.tookMs)} ms`;
      const text = !sent.whole
        ? `broke off ${file} after ${size(sent.bytes)} of ${size(sent.size)} by HTTP`
        : method === 'HEAD'
          ? `asked by HTTP how large ${file} is: ${size(sent.size)}`
          : `fetched ${file} by HTTP: ${size(sent.bytes)} in ${took}${sent.status === 200 ? '' : ` (status ${sent.status})`}`;
      recorder.emit(
        'http.fetch',
        subjectOf(node, mac),
        { text, method, file, status: sent.status, bytes: sent.bytes, size: sent.size },
        { durationMs: rounded(sent.tookMs) },
      );
      wake(node);
    },

    progress(node: BootNode | null, mac: string | null, file: string, bytes: number, total: number): void {
      vigil.alive(node);
      recorder.emit('http.progress', subjectOf(node, mac), { file, bytes, size: total });
      wake(node);
    },

    refused(node: BootNode | null, address: string, file: string, reason: string): void {
      vigil.refused(node, file, reason);
      recorder.emit('boot.refused', subjectOf(node, board.macAt(address)), {
        text: `HTTP: ${file} was refused to ${address}: ${reason}`,
        address,
        file,
      });
    },

    solicited(from: string, mac: string | null): void {
      const node = mac === null ? null : board.nodeOf(mac);
      recorder.emit('ra.answered', subjectOf(node, mac), {
        text: `a router solicitation of ${mac ?? from} was answered, which spares iPXE 16 s of waiting`,
      });
    },
  };
}

/** Which step of the boot a fetched file is; null for what is none. By HTTP and TFTP alike. */
const filesOfSteps: readonly (readonly [RegExp, BootStep])[] = [
  [/^\/*(undionly\.kpxe|ipxe\.pxe|snponly\.efi|ipxe\.efi|shimx64\.efi)$/, 'loader'],
  [/^\/*grubx64\.efi$/, 'second'],
  [/(^script\.ipxe|\/grub\.cfg)$/, 'script'],
  [/(^|\/)kernel$/, 'kernel'],
  [/(^|\/)ramdisk$/, 'ramdisk'],
];

const stepOfFile = (file: string): BootStep | null => filesOfSteps.find(([pattern]) => pattern.test(file))?.[1] ?? null;

/** Without the boot token that stands in a path of the Secure Boot chain. */
const shownFile = (path: string): string => path.replace(/^\/*boot\/[^/]+\//, '').slice(0, 200);

const mayBeMissing = (path: string): boolean =>
  /(revocations_\w+\.efi|shim_certificate_\d+\.efi|\.lst|\.mod|\.mo|\.gmo)$/.test(path);

function dhcpTrouble(event: Exclude<DhcpEvent, { type: 'exchange' }>): string {
  switch (event.type) {
    case 'malformed':
      return `DHCP: a packet from ${event.source} could not be read: ${event.reason}`;
    case 'held-back':
      return `DHCP: requests of ${event.mac ?? event.source} were held back: ${event.reason}`;
    case 'send-failed':
      return `DHCP: an answer to ${event.to} could not be sent: ${event.reason}`;
    case 'options-dropped':
      return `DHCP: options ${event.codes.join(', ')} found no room in an answer to ${event.mac}`;
  }
}

const clientOf = (one: ExchangeRecord): string => describeClient(clientClassOf(one));

export function clientClassOf(one: ExchangeRecord): ClientClass {
  const { vendorClass, userClasses, architectures } = one.asked;
  const isIpxe = userClasses.some((name) => name === 'iPXE' || name === 'gPXE');
  return {
    mac: one.mac,
    clientId: one.clientId,
    vendorClass,
    userClasses,
    architectures,
    uuid: one.asked.uuid,
    isIpxe,
    ipxeFeatures: {},
    isPxe: vendorClass?.startsWith('PXEClient') ?? false,
    isHttpBoot: vendorClass?.startsWith('HTTPClient') ?? false,
    boots: isIpxe || vendorClass !== null || architectures.length > 0,
  };
}

/** Without the boot token that stands in a script's URL: whoever reads events must not boot as the node. */
const bootFileOf = (one: ExchangeRecord): string | null =>
  one.answered?.bootFile?.replace(/\/boot\/(?!loader\/|disk\/)[^/]+\//, '/boot/…/') || null;

/** Beside another server's addresses; null for what reads as it does elsewhere. */
function besideText(one: ExchangeRecord, client: string): string | null {
  const who = `${client} (${one.mac ?? one.clientId})`;
  if (one.outcome === 'chose-other')
    return `${who} takes its address from the DHCP server ${one.asked.server}, beside which we give boot files`;
  const given = bootFileOf(one);
  if (!one.answered || given === null) return null;
  if (one.outcome === 'offered') return `${who} was offered ${given} beside another server’s address${packetsOf(one)}`;
  return one.outcome === 'acknowledged' ? `${who} asked for its boot file and got ${given}${packetsOf(one)}` : null;
}

function exchangeText(one: ExchangeRecord, client: string): string {
  const { answered } = one;
  const who = `${client} (${one.mac ?? one.clientId})`;
  const given = bootFileOf(one);
  const file = given === null ? '' : ` and ${given}`;
  const packets = packetsOf(one);
  const why = one.reason === null ? '' : `: ${one.reason}`;
  switch (one.outcome) {
    case 'offered':
      return `${who} was offered ${answered?.address}${file}${packets}`;
    case 'acknowledged':
      return `${who} ${one.state === 'renewing' || one.state === 'rebinding' ? 'renewed' : 'took'} ${answered?.address}${file}${packets}`;
    case 'refused':
      return `${who} was refused ${one.asked.address ?? 'its address'}${why}`;
    case 'released':
      return `${who} gave back ${one.asked.address ?? 'its address'}`;
    case 'declined':
      return `${who} found ${one.asked.address ?? 'the address'} in use by another machine${why}`;
    case 'chose-other':
      return `${who} took the offer of another DHCP server, ${one.asked.server}: find that server and stop it`;
    case 'informed':
      return `${who} asked for settings and got them${file}${packets}`;
    default:
      return `${who} sent ${one.message} and was not answered${why}`;
  }
}

/** What was asked and answered, for who reads packets: ` [DISCOVER from architecture 7, PXEClient → OFFER by 192.0.2.1 …]`. */
function packetsOf({ message, state, asked, answered }: ExchangeRecord): string {
  if (!answered) return '';
  const said = [
    state && state !== 'selecting' ? ` (${state})` : '',
    asked.address === null ? '' : ` for ${asked.address}`,
    asked.architectures.length > 0 ? `, architecture ${asked.architectures.join(' and ')}` : '',
    asked.vendorClass === null ? '' : `, class ${asked.vendorClass.slice(0, 40)}`,
    asked.relay === null ? '' : `, by relay ${asked.relay}`,
  ].join('');
  const given = [
    answered.nextServer === null ? '' : `, next server ${answered.nextServer}`,
    answered.leaseSeconds === null ? '' : `, lease ${answered.leaseSeconds} s`,
  ].join('');
  return ` [${message}${said} → ${answered.message} to ${answered.to}${given}]`;
}
