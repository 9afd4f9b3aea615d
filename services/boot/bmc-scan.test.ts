import { expect, it, onTestFinished } from 'vitest';
import { selfSignedCertificate } from '../agent/certificate.ts';
import { serveVirtualBmcs } from '../lab/virtual-bmc.ts';
import { serveVirtualRedfish } from '../lab/virtual-redfish.ts';
import { checkScan, scanForBmcs } from './bmc-scan.ts';

const right = { username: 'admin', password: 'secret' };

it('scans what the configuration names, and nothing else', () => {
  const allowed = ['198.51.100.0/24', '203.0.113.64/26'];
  expect(checkScan({ cidr: '198.51.100.16/28', allowed, credentials: [] })).toEqual({ first: 0xc6336411, count: 14 });
  expect(checkScan({ cidr: '198.51.100.7/32', allowed, credentials: [] })).toEqual({ first: 0xc6336407, count: 1 });
  for (const [cidr, reason] of [
    ['192.0.2.0/24', /names 198\.51\.100\.0\/24 and 203\.0\.113\.64\/26 alone/],
    ['198.51.100.0/23', /alone/],
    ['0.0.0.0/0', /alone/],
    ['203.0.113.0/24', /alone/],
    ['rubbish', /no IPv4 network/],
    ['198.51.100.0/33', /no IPv4 network/],
  ] as const)
    expect(() => checkScan({ cidr, allowed, credentials: [] })).toThrow(reason);
  expect(() => checkScan({ cidr: '10.0.0.0/8', allowed: ['10.0.0.0/8'], credentials: [] })).toThrow(
    /4096 are scanned at once/,
  );
  expect(() => checkScan({ cidr: '192.0.2.0/24', allowed: [], credentials: [] })).toThrow(
    /names no network of BMCs.*bootstrap --bmc-network/,
  );
  expect(() => checkScan({ cidr: '198.51.100.0/28', allowed, credentials: Array(5).fill(right) })).toThrow(
    /lock accounts/,
  );
});

it('finds IPMI BMCs and which credentials open them', async () => {
  const { addresses, port, close } = await serveVirtualBmcs({ count: 3, first: '127.9.0.3', seed: 7 });
  onTestFinished(close);
  const found = await scanForBmcs({
    cidr: '127.9.0.0/29',
    allowed: ['127.9.0.0/24'],
    credentials: [{ username: 'admin', password: 'wrong' }, right],
    ports: { ipmi: port, redfish: 1 },
    timeoutMs: 300,
  });
  expect(found.map(({ address }) => address)).toEqual(addresses);
  for (const bmc of found)
    expect(bmc).toMatchObject({
      protocols: ['ipmi'],
      ipmiVersion: '2.0',
      username: 'admin',
      refusal: null,
      credentials: right,
    });
  expect(found.every(({ systemUuid }) => /^[0-9a-f-]{36}$/.test(systemUuid ?? ''))).toBe(true);
  const [locked] = await scanForBmcs({
    cidr: '127.9.0.3/32',
    allowed: ['127.9.0.0/24'],
    credentials: [{ username: 'admin', password: 'wrong' }],
    ports: { ipmi: port, redfish: 1 },
    timeoutMs: 200,
  });
  expect(locked).toMatchObject({ username: null, refusal: expect.stringMatching(/password/) });
});

it('finds Redfish by its service root, and tries the credentials there', async () => {
  const tls = selfSignedCertificate(['127.9.0.20']);
  const redfish = await serveVirtualRedfish({ host: '127.9.0.20', tls });
  onTestFinished(() => redfish.close());
  const scan = (password: string) =>
    scanForBmcs({
      cidr: '127.9.0.16/28',
      allowed: ['127.9.0.0/24'],
      credentials: [{ username: 'admin', password }],
      ports: { ipmi: 1, redfish: redfish.port },
      timeoutMs: 500,
    });
  const found = await scan('wrong');
  expect(found).toMatchObject([
    {
      address: '127.9.0.20',
      protocols: ['redfish'],
      ipmiVersion: null,
      redfishVersion: expect.stringMatching(/^1\./),
      username: null,
    },
  ]);
  expect(found[0]?.refusal).toMatch(/answered with 401/);
});
