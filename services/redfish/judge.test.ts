// A stranger as judge of our BMC half: OpenStack's Redfish client (Debian's python3-sushy 4.3), through test/setup/redfish-judge.py.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serveVirtualRedfish } from '../lab/index.ts';
import type { MockupFlavourName } from './index.ts';

const script = join(import.meta.dirname, '../../test/setup/redfish-judge.py');

async function judge(flavour: MockupFlavourName) {
  const virtual = await serveVirtualRedfish({ flavour });
  onTestFinished(() => virtual.close());
  const out = await new Promise<string>((resolve, reject) => {
    // Debian's own Python: the packages are its.
    const args = [script, virtual.address, 'admin', 'secret-1'];
    execFile('/usr/bin/python3', args, { timeout: 50_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr));
      else resolve(stdout);
    });
  });
  return { virtual, told: JSON.parse(out) as Record<string, unknown> };
}

const everywhere = {
  before: 'Off',
  after: 'On',
  boot: ['Pxe', 'Once', 'UEFI'],
  // One boot is what it was for.
  spent: 'Disabled',
  processors: 32,
  macs: ['52:54:00:AA:00:01', '52:54:00:AA:00:02'],
  drives: [480_103_981_056],
  wrong: 'refused',
  basic: 1,
};

describe('our Redfish BMC judged by sushy', () => {
  it.each([
    ['contoso', { model: '3500RX' }],
    ['dell', { chassis: ['System.Embedded.1'], media: ['http://192.0.2.1/boot.iso', true], ejected: true }],
    ['dell10', { model: 'PowerEdge R570' }],
    ['hpe', { media: ['http://192.0.2.1/boot.iso', true], ejected: true, elsewhere: true }],
    // This release of sushy does not know what Supermicro wants with an image, and is told.
    ['supermicro', { media: ['Base.1.8.GeneralError', expect.stringContaining('TransferProtocolType')] }],
    ['lenovo', { media: ['http://192.0.2.1/boot.iso', true], ejected: true }],
    ['ami', { chassis: ['Self'] }],
  ] as const)('as %s', async (flavour, own) => {
    const { virtual, told } = await judge(flavour);
    expect(told).toMatchObject({ ...everywhere, ...own });
    expect(virtual.machine.lastBoot).toEqual({ target: 'Pxe', mode: 'UEFI' });
    expect(virtual.mockup.sessions).toBe('elsewhere' in own ? 1 : 0);
  });
});
