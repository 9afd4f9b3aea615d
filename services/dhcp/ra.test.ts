import { describe, expect, it } from 'vitest';
import { advertise, readSolicitation, routerAdvertisement } from './ra.ts';

const SOLICITATION = Uint8Array.from([133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0x52, 0x54, 0, 0xaa, 0, 1]);

describe('router advertisement', () => {
  it('is 16 bytes that give nobody anything', () => {
    expect(Buffer.from(routerAdvertisement()).toString('hex')).toBe('86000000400000000000000000000000');
    expect(Buffer.from(routerAdvertisement('52:54:00:aa:00:ff')).toString('hex')).toBe(
      '860000004000000000000000000000000101525400aa00ff',
    );
    expect(() => routerAdvertisement('eth0')).toThrow('"eth0" is no MAC address');
  });

  it('answers solicitations at once, the unspecified address by multicast, and not without bounds', () => {
    const sent: string[] = [];
    const timers: number[] = [];
    let now = 0;
    let fire = (): void => {};
    const solicited: (string | null)[] = [];
    const advertising = advertise({
      send: (_, to) => sent.push(to),
      schedule: (ms, then) => {
        timers.push(ms);
        fire = then;
        return () => timers.push(-1);
      },
      now: () => now,
      random: () => 0.5,
      onSolicited: (_, mac) => solicited.push(mac),
    });
    expect(sent).toEqual(['ff02::1']);
    advertising.receive(SOLICITATION, 'fe80::1');
    advertising.receive(SOLICITATION.subarray(0, 8), '::');
    advertising.receive(Uint8Array.of(134, 0, 0, 0, 0, 0, 0, 0), 'fe80::2');
    expect(sent).toEqual(['ff02::1', 'fe80::1', 'ff02::1']);
    expect(solicited).toEqual(['52:54:00:aa:00:01', null]);
    for (let i = 0; i < 3; i++) fire();
    expect(timers).toEqual([16_000, 16_000, 400_000, 400_000]);
    const before = sent.length;
    now = 1000;
    for (let i = 0; i < 500; i++) advertising.receive(SOLICITATION, 'fe80::1');
    expect(sent.length - before).toBe(50);
    advertising.stop();
    expect(timers.at(-1)).toBe(-1);
  });
});

describe('router solicitation', () => {
  it('is read at any length without harm', () => {
    expect(readSolicitation(SOLICITATION)).toEqual({ ok: true, sourceMac: '52:54:00:aa:00:01' });
    for (let length = 0; length < SOLICITATION.length; length++)
      expect(readSolicitation(SOLICITATION.subarray(0, length)).ok).toBe(length === 8);
    const zero = SOLICITATION.slice();
    zero[9] = 0;
    expect(readSolicitation(zero)).toEqual({ ok: false, reason: 'option at byte 8 does not end within the packet' });
  });
});
