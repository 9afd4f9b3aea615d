// A live serial-over-LAN stream on a session: activation, retransmission, keep-alive of the session under it, and the end.

import type { Ask } from './commands/ask.ts';
import { atLeast } from './commands/ask.ts';
import { IpmiError } from './errors.ts';
import type { Link } from './link.ts';
import type { Timers } from './requests.ts';
import { PAYLOAD } from './rmcp.ts';
import { SOL_OPS, SolEnd, type SolSteps } from './sol.ts';

export interface SolOptions {
  /** Characters from the machine, in order, each once. */
  onData: (data: Buffer) => void;
  /** The stream is over: undefined after `close`, else why. Called once. */
  onClose?: (reason: IpmiError | undefined) => void;
  /** Payload instance, 1 to 15. Default 1. */
  instance?: number;
  /** End another console's stream first. Default false: it is then refused with completion code 0x80. */
  steal?: boolean;
}

export interface SolStream {
  /** Queues characters. False when 64 KiB already wait: the machine does not read. */
  write(data: Uint8Array | string): boolean;
  /** A serial break; false while characters wait for their acknowledgement. */
  break(): boolean;
  readonly pending: number;
  close(): Promise<void>;
}

const CODES = {
  128: 'that the console is in use by another session',
  129: 'that serial over LAN is disabled',
  130: 'that no more consoles can be opened',
  131: 'that the console cannot be encrypted',
  132: 'that the console must be encrypted',
};
const RETRY_MS = 500;
/** Repetitions of one packet before the session counts as dead. */
const MOST_RETRIES = 12;
const ALREADY = 0x80;

async function activate(ask: Ask, instance: number, steal: boolean): Promise<number> {
  // Auxiliary byte: encrypted and authenticated, serial alerts fail while active, CTS and DCD deasserted: no.
  const request = [PAYLOAD.sol, instance, 0xc0, 0, 0, 0];
  let answer = await ask(0x06, 0x48, request, { accept: steal ? [ALREADY] : [], codes: CODES });
  if (answer[0] === ALREADY) {
    await ask(0x06, 0x49, [PAYLOAD.sol, instance, 0, 0, 0, 0], { accept: [ALREADY, 0x81] });
    answer = await ask(0x06, 0x48, request, { accept: [], codes: CODES });
  }
  atLeast(answer, 11, 'Activate Payload');
  // Sizes count the whole payload with its 4 bytes of header; some BMCs say 0, or nonsense (knowledge): 1 to 255 is kept to.
  const inbound = answer.readUInt16LE(5);
  return inbound > 4 && inbound <= 1024 ? Math.min(inbound - 4, 200) : 100;
}

/** Opens the console. One a session; rejects with IpmiError. */
export async function openConsole(link: Link, ask: Ask, timers: Timers, options: SolOptions): Promise<SolStream> {
  const { instance = 1, steal = false, onData, onClose } = options;
  if (link.onPayload)
    throw new IpmiError('bad-argument', 'this session already carries a console').at(link.name, 'Activate Payload');
  // Claimed before the first await, or two callers could both pass the test above.
  const early: Buffer[] = [];
  link.onPayload = (type, payload) => {
    if (type === PAYLOAD.sol) early.push(Buffer.from(payload));
  };
  let end: SolEnd;
  try {
    const most = await activate(ask, instance, steal);
    if (link.opened?.protocol !== '2.0')
      throw new IpmiError('not-supported', 'serial over LAN needs an RMCP+ session').at(link.name, 'Activate Payload');
    end = new SolEnd('console', most);
  } catch (error) {
    link.onPayload = undefined;
    throw error;
  }
  let timer: unknown;
  let retries = 0;
  let open = true;

  const finish = (reason: IpmiError | undefined) => {
    if (!open) return;
    open = false;
    timers.clear(timer);
    link.onPayload = undefined;
    link.onLost = undefined;
    onClose?.(reason);
  };
  const watch = () => {
    timers.clear(timer);
    if (!open || end.pending === 0) return;
    timer = timers.set(() => {
      retries += 1;
      if (retries > MOST_RETRIES) {
        finish(
          new IpmiError('session-lost', 'the console does not acknowledge our characters').at(link.name, 'console'),
        );
        return;
      }
      const again = end.again();
      if (again) link.sendPayload(PAYLOAD.sol, again);
      else run(end.write(Buffer.alloc(0)));
      watch();
    }, RETRY_MS);
  };
  const run = (steps: SolSteps | undefined) => {
    if (!steps) return;
    for (const payload of steps.send) link.sendPayload(PAYLOAD.sol, payload);
    if (steps.acked) retries = 0;
    if (steps.send.length || steps.acked) watch();
    if (steps.data) onData(steps.data);
    if (steps.ended) finish(new IpmiError('closed', 'the BMC ended the console').at(link.name, 'console'));
  };
  link.onPayload = (type, payload) => {
    if (type === PAYLOAD.sol) run(end.receive(payload));
  };
  link.onLost = (reason) => finish(reason);
  for (const payload of early) run(end.receive(payload));

  return {
    get pending() {
      return end.pending;
    },
    write(data) {
      if (!open) return false;
      const steps = end.write(typeof data === 'string' ? Buffer.from(data) : data);
      run(steps);
      return steps !== undefined;
    },
    break() {
      const steps = open ? end.operate(SOL_OPS.break) : undefined;
      run(steps);
      return steps !== undefined;
    },
    async close() {
      if (!open) return;
      finish(undefined);
      await ask(0x06, 0x49, [PAYLOAD.sol, instance, 0, 0, 0, 0], { accept: [ALREADY, 0x81] }).catch(() => undefined);
    },
  };
}
