import { expect, it } from 'vitest';
import { handClock } from '../../test/setup/hand-clock.ts';
import { createAddressProbe } from './address-probe.ts';
import { arpProbe, macBytes, macText, readArpAnswer } from './frame.ts';
import type { Wire } from './wire.ts';

const us = macBytes('52:54:00:00:00:01');
const them = '52:54:00:aa:00:09';

/** What a machine with this address answers to a probe of ours (RFC 826). */
function answerTo(probe: Buffer, mac: string): Buffer {
  const answer = Buffer.from(probe);
  answer.set(probe.subarray(6, 12), 0);
  answer.set(macBytes(mac), 6);
  answer.writeUInt16BE(2, 20);
  answer.set(macBytes(mac), 22);
  answer.set(probe.subarray(38, 42), 28);
  answer.set(probe.subarray(6, 12), 32);
  answer.fill(0, 38, 42);
  return answer;
}

function scene() {
  const { clock, pass } = handClock();
  const asked: Buffer[] = [];
  const listeners = new Set<Parameters<Wire['onAnswer']>[0]>();
  const wire = {
    mac: us,
    send(frame: Uint8Array) {
      asked.push(Buffer.from(frame));
      return null;
    },
    onAnswer(listener: Parameters<Wire['onAnswer']>[0]) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const probe = createAddressProbe({ wireOf: (address) => (address.startsWith('192.0.2.') ? wire : null), clock });
  const hear = (bytes: Buffer) => {
    for (const listener of listeners) listener({ bytes, length: bytes.length, isOutgoing: false });
  };
  return { probe, asked, hear, pass, listeners };
}

it('asks by ARP from no address, and tells the MAC that answers', async () => {
  const { probe, asked, hear, listeners } = scene();
  const found = probe('192.0.2.100');
  const words = [
    'ffffffffffff',
    '525400000001',
    '0806',
    '0001080006040001',
    '525400000001',
    '00000000',
    '000000000000',
  ];
  expect(asked.map((frame) => frame.toString('hex'))).toEqual([`${words.join('')}c0000264`]);
  hear(answerTo(arpProbe(us, '192.0.2.101'), them));
  hear(Buffer.alloc(60));
  hear(answerTo(asked[0] ?? Buffer.alloc(0), them));
  expect(await found).toBe(them);
  expect(listeners.size).toBe(0);
});

it('asks twice and believes the silence; behind a relay it asks nobody', async () => {
  const { probe, asked, pass, listeners } = scene();
  const found = probe('192.0.2.100');
  await pass(2_000);
  expect(await found).toBeNull();
  expect(asked).toHaveLength(2);
  expect(listeners.size).toBe(0);
  expect(await probe('198.51.100.7')).toBeNull();
  expect(asked).toHaveLength(2);
});

it('asks about two hundred at once and no more', async () => {
  const { probe, asked, pass } = scene();
  const all = Array.from({ length: 250 }, (_, i) => probe(`192.0.2.${i}`));
  expect(asked).toHaveLength(200);
  expect(await all[249]).toBeNull();
  await pass(2_000);
  await Promise.all(all);
  probe('192.0.2.1');
  expect(asked).toHaveLength(401);
});

it('reads ARP answers and nothing else', () => {
  const answer = answerTo(arpProbe(us, '192.0.2.100'), them);
  expect(readArpAnswer(answer)).toEqual({ mac: them, address: '192.0.2.100' });
  expect(macText(answer.subarray(0, 6))).toBe('52:54:00:00:00:01');
  for (let length = 0; length < 42; length += 1) expect(readArpAnswer(answer.subarray(0, length))).toBeNull();
  expect(readArpAnswer(arpProbe(us, '192.0.2.100'))).toBeNull();
});
