import { Transfer, type TransferPlan, type TransferStep } from './transfer.ts';

/**
 * A bad network in memory, in virtual time: it loses, doubles, delays and reorders packets between the pure transfer and a client that behaves as
 * RFC 1350 and 7440 tell it to. Nothing waits for a real clock.
 */
export interface Weather {
  readonly loss: number;
  readonly doubling: number;
  /** Milliseconds one way: at least, and at most this much more. */
  readonly delay: number;
  readonly jitter: number;
}

export interface Journey {
  readonly end: TransferStep;
  /** The blocks the client kept, in order. */
  readonly received: number[];
  readonly sent: number;
  readonly tookMs: number;
  readonly retransmitted: number;
}

export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

export function travel(
  plan: TransferPlan,
  weather: Weather,
  random: () => number,
  client: { readonly vanishAfter?: number; readonly timeoutMs?: number } = {},
): Journey {
  const queue: { at: number; run: () => void }[] = [];
  let now = 0;
  let end: TransferStep | undefined;
  let sent = 0;
  const received: number[] = [];
  const transfer = new Transfer(plan, now);
  const later = (ms: number, run: () => void): void => {
    queue.push({ at: now + ms, run });
  };
  const carry = (run: () => void): void => {
    for (let copies = random() < weather.doubling ? 2 : 1; copies > 0; copies--) {
      if (random() >= weather.loss) later(weather.delay + random() * weather.jitter, run);
    }
  };

  const perform = (step: TransferStep): void => {
    if (end) return;
    if (step === 'done' || step === 'gave-up') end = step;
    else if (step === 'send-option-ack') {
      sent++;
      carry(() => acknowledge(0));
    } else if (step === 'send-blocks') {
      for (let block = transfer.next(now); block !== undefined; block = transfer.next(now)) {
        const number = block;
        sent++;
        carry(() => arrive(number & 0xffff));
      }
    }
  };

  // The client: keeps what comes in order, acknowledges at the window's end, at the end, and when something is missing.
  let inWindow = 0;
  let heardAt = 0;
  let complained = -1;
  const answering = (): boolean => received.length < (client.vanishAfter ?? Number.POSITIVE_INFINITY);
  const acknowledge = (number: number): void => {
    heardAt = now;
    if (answering()) carry(() => perform(transfer.acknowledge(number, now)));
  };
  const arrive = (number: number): void => {
    const expected = (received.length + 1) & 0xffff;
    if (number !== expected) {
      // RFC 7440 section 4: an unexpected block is answered with the last one in sequence, once.
      if (plan.windowSize > 1 && complained !== received.length) {
        complained = received.length;
        inWindow = 0;
        acknowledge(received.length & 0xffff);
      } else if (plan.windowSize === 1 && number === (received.length & 0xffff)) {
        // In lock-step a repeated block means that our ACK was lost.
        acknowledge(number);
      }
      return;
    }
    received.push(received.length + 1);
    inWindow++;
    if (inWindow >= plan.windowSize || received.length === plan.blocks) {
      inWindow = 0;
      acknowledge(number);
    }
  };
  const nag = (): void => {
    if (end || !answering()) return;
    if (now - heardAt >= (client.timeoutMs ?? 3000)) {
      inWindow = 0;
      acknowledge(received.length & 0xffff);
    }
    later(client.timeoutMs ?? 3000, nag);
  };
  later(client.timeoutMs ?? 3000, nag);
  const tick = (): void => {
    perform(transfer.tick(now));
    if (!end) later(25, tick);
  };
  later(25, tick);

  perform(transfer.begin());
  while (!end && queue.length > 0) {
    let first = 0;
    for (let i = 1; i < queue.length; i++) if (queue[i]!.at < queue[first]!.at) first = i;
    const [event] = queue.splice(first, 1);
    now = event!.at;
    event!.run();
  }
  return { end: end ?? 'nothing', received, sent, tookMs: now, retransmitted: transfer.retransmitted };
}
