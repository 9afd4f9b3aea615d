import { expect, test } from 'vitest';
import { emulation, lanConfiguration } from './bmc.ts';
import { describeNode } from './description.ts';
import { labLayout, mostNodes } from './layout.ts';

const node = (index: number, inBand = true) =>
  describeNode(labLayout('/srv/state'), index, 200, { inBand }, { user: 'lab-abcd', password: 'secret' });

test('each node has a controller, an address, credentials and a hook of its own', () => {
  const text = lanConfiguration([node(1), node(2, false)], '/run/x/chassis');
  const [, first = '', second = ''] = text.split('set_working_mc ');
  expect(first).toMatch(/^0x20\n/);
  expect(first).toContain('addr 127.1.0.1 623');
  expect(first).toContain('chassis_control "sh /run/x/chassis node-1"');
  expect(first).toContain('sol "tcp:127.0.0.1:9301" 115200');
  expect(first).toContain('serial 15 127.0.0.1 9201 codec VM');
  expect(first).toContain('user 2 true "lab-abcd" "secret" admin');
  expect(second).toMatch(/^0x22\n/);
  expect(second).toContain('addr 127.1.0.2 623');
  expect(second).not.toContain('codec VM');
});

test('the GUID goes out least significant byte first, so that a reader of IPMI sees the UUID', () => {
  const { uuid } = node(1);
  const guid = /guid ([0-9a-f]{32})/.exec(lanConfiguration([node(1)], '/run/x/chassis'))?.[1] ?? '';
  expect(Buffer.from(guid, 'hex').reverse().toString('hex')).toBe(uuid.replaceAll('-', ''));
});

test('the last controller has the last even IPMB address', () => {
  expect(emulation([node(mostNodes)])).toContain('mc_enable 0xfe');
});

test('every number that is not a bit mask or a small count has C notation', () => {
  for (const line of emulation([node(1), node(6)]).split('\n')) {
    for (const word of line.split(' ').slice(1)) expect(word, line).toMatch(/^(0x[0-9a-f]+|\d+|[a-z-]+|persist_sdr)$/);
  }
  // 0x2a would be read as decimal 2 and an error if it were written 2a.
  expect(emulation([node(6)])).toContain('mc_add 0x2a 0');
});
