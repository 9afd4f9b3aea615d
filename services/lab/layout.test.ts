import { expect, test } from 'vitest';
import { labAddresses, labLayout, labNetns, mostNodes } from './layout.ts';

test('a lab is named by its state directory, however that is written', () => {
  expect(labNetns('/var/lib/undercloud').name).toMatch(/^uc-[0-9a-f]{8}$/);
  expect(labNetns('/var/lib/../lib/undercloud/').name).toBe(labNetns('/var/lib/undercloud').name);
  expect(labNetns('/var/lib/other').name).not.toBe(labNetns('/var/lib/undercloud').name);
});

test('every socket path fits sun_path (107 bytes), wherever the state directory lies', () => {
  const lab = labLayout(`/srv/${'deep/'.repeat(60)}state`);
  const node = lab.node(`node-${mostNodes}`);
  for (const path of [lab.control, node.qmp, node.serial, node.console])
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(107);
});

test('the last node has a BMC address of its own', () => {
  expect(labAddresses.bmc(mostNodes)).toBe('127.1.0.112');
});
