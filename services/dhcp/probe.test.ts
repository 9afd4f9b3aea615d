import { expect, it } from 'vitest';
import { ask, bench, LAN, lease, line } from './engine.fixture.ts';

const A = '52:54:00:aa:00:01';
const US = '192.0.2.1';

it('rests an address that the probe finds in use, and refuses it then', async () => {
  const probed: string[] = [];
  const answers = ['02:00:00:00:00:99', null];
  const at = await bench([LAN], undefined, {
    probe: async (address) => {
      probed.push(address);
      return answers.shift() ?? null;
    },
  });
  expect(line(await at.send(ask('discover')))).toContain('OFFER 192.0.2.100');
  await Promise.resolve();
  const decision = await at.send(ask('request', { requested: '192.0.2.100', server: US }));
  expect(decision.record.reason).toBe('192.0.2.100 is declined as in use');
  expect(at.notices[0]).toContain('192.0.2.100 was about to be given to');
  expect(await lease(at)).toBe('192.0.2.101');
  expect(probed).toEqual(['192.0.2.100', '192.0.2.101']);
});

it('takes back an address that a quick client was given before the probe ended; the client itself is no conflict', async () => {
  const told: ((mac: string | null) => void)[] = [];
  const at = await bench([LAN], undefined, { probe: () => new Promise((resolve) => told.push(resolve)) });
  expect(await lease(at)).toBe('192.0.2.100');
  told[0]?.('02:00:00:00:00:99');
  await Promise.resolve();
  expect(at.notices[0]).toContain('192.0.2.100 was given to');
  expect(at.notices[0]).toContain('but 02:00:00:00:00:99 answers there');
  expect(line(await at.send(ask('request', { ciaddr: '192.0.2.100' })))).toContain('NAK');
  const next = await lease(at);
  expect(next).toBe('192.0.2.101');
  told[1]?.(A);
  await Promise.resolve();
  expect(at.notices).toHaveLength(1);
  expect(line(await at.send(ask('request', { ciaddr: next })))).toContain('ACK');
});
