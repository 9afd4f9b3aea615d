import { describe, expect, test } from 'vitest';
import { apiUrlOf, type BootstrapOptions, checkUsage, configOf, listeningNames } from './settings.ts';

const options = (more: Partial<BootstrapOptions> = {}): BootstrapOptions => ({
  stateDir: '/nonexistent/undercloud',
  listen: '127.0.0.1:6385',
  lab: false,
  region: 'RegionOne',
  ...more,
});

describe('the command line', () => {
  test.each([['127.0.0.1:6385'], ['localhost:1'], ['[::1]:65535'], ['0.0.0.0:6385']])(
    '--listen %s is understood',
    (listen) => expect(() => checkUsage(options({ listen }))).not.toThrow(),
  );

  test.each([
    ['6385'],
    ['127.0.0.1'],
    ['127.0.0.1:0'],
    ['127.0.0.1:65536'],
    ['::1:6385'],
    ['example.com:6385'],
    ['127.0.0.1:6385 '],
  ])('--listen %s is refused', (listen) =>
    expect(() => checkUsage(options({ listen }))).toThrow(/--listen is ADDRESS:PORT/),
  );

  test.each<[Partial<BootstrapOptions>, RegExp]>([
    [{ lab: true, provisioningInterface: 'eth1' }, /exclude one another/],
    [{ provisioningAddress: '192.0.2.1/24' }, /--provisioning-interface, which is missing/],
    [{ provisioningInterface: 'eth1', provisioningAddress: '192.0.2.1' }, /ADDRESS\/PREFIX/],
    [{ provisioningInterface: 'eth1', provisioningAddress: '192.0.2.1/31' }, /ADDRESS\/PREFIX/],
    [{ publicUrl: 'example.com' }, /--public-url/],
    [{ databaseUrl: 'mysql://root:geheim@db/x' }, /^(?!.*geheim).*--database-url/],
    [{ redisUrl: 'tcp://:geheim@r' }, /^(?!.*geheim).*--redis-url/],
  ])('%o is refused', (more, sentence) => expect(() => checkUsage(options(more))).toThrow(sentence));
});

test('clients of this machine reach a wildcard listener by localhost', () => {
  expect(apiUrlOf(options({ listen: '0.0.0.0:6385' }))).toBe('https://localhost:6385');
  expect(apiUrlOf(options({ listen: '[::]:6385' }))).toBe('https://localhost:6385');
  expect(apiUrlOf(options({ listen: '[::1]:6385' }))).toBe('https://[::1]:6385');
  expect(apiUrlOf(options({ publicUrl: 'https://cloud.example.com' }))).toBe('https://cloud.example.com');
});

test('the certificate is to name the listener, the provisioning address and the public URL’s host', () => {
  const more = {
    provisioningInterface: 'eth1',
    provisioningAddress: '192.0.2.1/24',
    publicUrl: 'https://uc.example:1/',
  };
  expect(listeningNames(options(more))).toEqual(['127.0.0.1', '192.0.2.1', 'uc.example']);
  expect(listeningNames(options({ lab: true }))).toEqual(['127.0.0.1', '192.0.2.1']);
});

test.each([
  ['192.0.2.1/24', ['192.0.2.2', '192.0.2.254'], '192.0.2.0/24'],
  ['192.0.2.254/24', ['192.0.2.1', '192.0.2.253'], '192.0.2.0/24'],
  ['10.1.2.130/25', ['10.1.2.131', '10.1.2.254'], '10.1.2.128/25'],
])('of %s the larger side is the nodes’', (provisioningAddress, pool, cidr) => {
  const config = configOf(options({ provisioningInterface: 'eth1', provisioningAddress }));
  expect(config.provisioning).toMatchObject({ interface: 'eth1', pool, cidr });
});

test('further interfaces have a network of their own each, and the first one’s address is the undercloud’s', () => {
  const first = { provisioningInterface: 'eth1', provisioningAddress: '192.0.2.1/24' };
  const further = { interface: 'eth2', address: '198.51.100.1/24' };
  const config = configOf(options({ ...first, furtherInterfaces: [further] }));
  expect(config.provisioning).toMatchObject({
    interface: 'eth1',
    address: '192.0.2.1',
    further: [
      {
        interface: 'eth2',
        address: '198.51.100.1',
        cidr: '198.51.100.0/24',
        pool: ['198.51.100.2', '198.51.100.254'],
      },
    ],
  });
  const overlapping = [{ interface: 'eth2', address: '192.0.2.129/25' }];
  expect(() => configOf(options({ ...first, furtherInterfaces: overlapping }))).toThrow(/eth1 and eth2.*overlap/);
  expect(() => checkUsage(options({ ...first, furtherInterfaces: [{ interface: 'eth1' }] }))).toThrow(
    /eth1 is said twice/,
  );
  const bare = [{ interface: 'eth2', address: '192.0.2.1' }];
  expect(() => checkUsage(options({ ...first, furtherInterfaces: bare }))).toThrow(/ADDRESS\/PREFIX/);
});

test('an interface without an address is refused with the way out', () => {
  expect(() => configOf(options({ provisioningInterface: 'nosuch0' }))).toThrow(/nosuch0.*--provisioning-address/);
});
