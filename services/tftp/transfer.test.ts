import { describe, expect, it } from 'vitest';
import { seeded, travel, type Weather } from './network.fixture.ts';
import { Transfer } from './transfer.ts';

const CALM: Weather = { loss: 0, doubling: 0, delay: 1, jitter: 0 };

describe('on a good network', () => {
  it.each([1, 4, 16])('sends every block once with window %i', (windowSize) => {
    const journey = travel({ blocks: 100, windowSize, optionAck: true }, CALM, seeded(1));
    expect(journey).toMatchObject({ end: 'done', sent: 101, retransmitted: 0 });
    expect(journey.received).toHaveLength(100);
  });

  it('rolls over beyond 65,535 blocks, also within a window', () => {
    for (const windowSize of [1, 7]) {
      const journey = travel({ blocks: 65_600, windowSize, optionAck: false }, CALM, seeded(1));
      expect(journey).toMatchObject({ end: 'done', sent: 65_600, retransmitted: 0 });
    }
  });
});

describe('on a bad network', () => {
  const weathers: readonly (readonly [string, Weather])[] = [
    ['loses a tenth', { loss: 0.1, doubling: 0, delay: 2, jitter: 1 }],
    ['doubles a third', { loss: 0, doubling: 0.33, delay: 2, jitter: 3 }],
    ['reorders', { loss: 0, doubling: 0, delay: 1, jitter: 40 }],
    ['does all of it', { loss: 0.1, doubling: 0.1, delay: 5, jitter: 60 }],
  ];
  for (const [name, weather] of weathers) {
    for (const windowSize of [1, 4, 16]) {
      it(`that ${name}, every block arrives with window ${windowSize}`, () => {
        for (let seed = 1; seed <= 5; seed++) {
          const journey = travel(
            { blocks: 300, windowSize, optionAck: true, patienceMs: 60_000 },
            weather,
            seeded(seed),
          );
          expect(journey.end).toBe('done');
          expect(journey.received).toHaveLength(300);
        }
      });
    }
  }

  it("does not send twice for ACKs that come twice (sorcerer's apprentice)", () => {
    const journey = travel(
      { blocks: 500, windowSize: 1, optionAck: true },
      { loss: 0, doubling: 0.9, delay: 2, jitter: 1 },
      seeded(3),
    );
    expect(journey).toMatchObject({ end: 'done', sent: 501, retransmitted: 0 });
  });

  it('learns the round trip: a lost block on a fast network costs a fraction of a second', () => {
    const journey = travel(
      { blocks: 1000, windowSize: 1, optionAck: true },
      { loss: 0.01, doubling: 0, delay: 1, jitter: 0 },
      seeded(5),
    );
    expect(journey.end).toBe('done');
    expect(journey.retransmitted).toBeGreaterThan(5);
    expect(journey.tookMs / journey.retransmitted).toBeLessThan(600);
  });

  it('has patience with a slow network without sending more than it must', () => {
    const journey = travel(
      { blocks: 30, windowSize: 1, optionAck: true },
      { loss: 0, doubling: 0, delay: 900, jitter: 0 },
      seeded(5),
      { timeoutMs: 20_000 },
    );
    expect(journey.end).toBe('done');
    expect(journey.retransmitted).toBeLessThan(4);
  });

  it('gives up a client that vanishes, within bounds', () => {
    const journey = travel({ blocks: 100, windowSize: 4, optionAck: true }, CALM, seeded(1), { vanishAfter: 20 });
    expect(journey.end).toBe('gave-up');
    expect(journey.tookMs).toBeGreaterThan(25_000);
    expect(journey.tookMs).toBeLessThan(27_000);
    expect(journey.retransmitted).toBeLessThan(60);
  });
});

describe('hostile ACKs', () => {
  it('of blocks never sent change nothing, for ever', () => {
    const transfer = new Transfer({ blocks: 70_000, windowSize: 8, optionAck: false }, 0);
    expect(transfer.begin()).toBe('send-blocks');
    while (transfer.next(0) !== undefined);
    for (let now = 1; now < 20_000; now++) {
      expect(transfer.acknowledge(65_535, now)).toBe('nothing');
      expect(transfer.acknowledge(9, now)).toBe('nothing');
    }
    expect(transfer.acked).toBe(0);
    expect(transfer.tick(25_000)).toBe('gave-up');
  });

  it('before the OACK is acknowledged are none', () => {
    const transfer = new Transfer({ blocks: 3, windowSize: 1, optionAck: true }, 0);
    expect(transfer.begin()).toBe('send-option-ack');
    expect(transfer.next(0)).toBe(undefined);
    expect(transfer.acknowledge(1, 1)).toBe('nothing');
    expect(transfer.acknowledge(0, 2)).toBe('send-blocks');
    expect(transfer.next(2)).toBe(1);
  });

  it('repeated within a window are heeded once', () => {
    const transfer = new Transfer({ blocks: 100, windowSize: 4, optionAck: false }, 0);
    transfer.begin();
    while (transfer.next(0) !== undefined);
    expect(transfer.acknowledge(4, 1)).toBe('send-blocks');
    while (transfer.next(1) !== undefined);
    expect(transfer.acknowledge(4, 2)).toBe('send-blocks');
    while (transfer.next(2) !== undefined);
    for (let i = 0; i < 100; i++) expect(transfer.acknowledge(4, 3)).toBe('nothing');
    expect(transfer.retransmitted).toBe(4);
  });

  it('within a window resume behind the gap', () => {
    const transfer = new Transfer({ blocks: 100, windowSize: 8, optionAck: false }, 0);
    transfer.begin();
    while (transfer.next(0) !== undefined);
    expect(transfer.acknowledge(3, 1)).toBe('send-blocks');
    expect(transfer.next(1)).toBe(4);
  });

  it("with the client's own interval go by that (RFC 2349)", () => {
    const transfer = new Transfer({ blocks: 3, windowSize: 1, optionAck: true, timeoutMs: 1000 }, 0);
    transfer.begin();
    const resent: number[] = [];
    for (let now = 0; now < 6000; now += 25) if (transfer.tick(now) === 'send-option-ack') resent.push(now);
    expect(resent).toEqual([1000, 2000, 3000, 4000, 5000]);
  });
});

describe('a client that waits for its processor for longer than the timer', () => {
  it('gets a window again once, and not every one after it twice', () => {
    const transfer = new Transfer({ blocks: 100, windowSize: 16, optionAck: false }, 0);
    const pump = (now: number): number => {
      let sent = 0;
      while (transfer.next(now) !== undefined) sent++;
      return sent;
    };
    expect([transfer.begin(), pump(0)]).toEqual(['send-blocks', 16]);
    expect([transfer.tick(1_000), pump(1_000)]).toEqual(['send-blocks', 16]);
    // It wakes, takes the first copy, and answers the second one too.
    expect([transfer.acknowledge(16, 1_100), pump(1_100)]).toEqual(['send-blocks', 16]);
    expect(transfer.acknowledge(16, 1_101)).toBe('nothing');
    // A window that went out once: now a repeated ACK says that its first block is missing.
    expect([transfer.acknowledge(32, 1_102), pump(1_102)]).toEqual(['send-blocks', 16]);
    expect([transfer.acknowledge(32, 1_103), pump(1_103)]).toEqual(['send-blocks', 16]);
    expect(transfer.retransmitted).toBe(32);
  });
});
