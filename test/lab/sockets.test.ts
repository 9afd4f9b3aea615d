/** Sockets opened by root inside a namespace work in an unprivileged child that was started outside of it. */
import { execFile, spawn } from 'node:child_process';
import { closeSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { enterNamespace, openProvisioningSockets } from '../../services/core/sockets.ts';
import { namespace } from './namespace.fixture.ts';

const nobody = 65534;
const fixture = (name: string) => join(import.meta.dirname, name);

function wire() {
  const server = namespace();
  const client = namespace();
  server.ip(`link add up0 type veth peer name up0 netns ${client.name}`);
  for (const [one, address] of [
    [server, '192.0.2.1/24'],
    [client, '192.0.2.9/24'],
  ] as const) {
    one.ip(`address add ${address} dev up0`);
    one.ip('link set up0 up');
  }
  client.ip('route add 169.254.169.254/32 via 192.0.2.1');
  return { server, client };
}

const wanted = {
  interface: 'up0',
  address: '192.0.2.1',
  apiPort: 6385,
  bootPort: 8088,
  metadata: { address: '169.254.169.254', port: 80 },
};

it('hands sockets of another namespace to a child of no privileges', async () => {
  const { server, client } = wire();
  const before = readlinkSync('/proc/thread-self/ns/net');
  const sockets = openProvisioningSockets({ ...wanted, netns: server.file });
  expect(readlinkSync('/proc/thread-self/ns/net')).toBe(before);
  const handed = Object.entries(sockets) as [string, number][];
  const child = spawn(process.execPath, [fixture('sockets-child.fixture.ts'), ...handed.map(([name]) => name)], {
    uid: nobody,
    gid: nobody,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit', ...handed.map(([, fd]) => fd)],
  });
  onTestFinished(() => {
    child.kill();
    for (const [, fd] of handed) closeSync(fd);
  });
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  const { stdout } = await promisify(execFile)('ip', [
    ...['netns', 'exec', client.name, process.execPath, fixture('sockets-peer.fixture.ts')],
    ...['up0', '192.0.2.1'],
  ]);
  expect(JSON.parse(stdout)).toEqual({
    dhcp: 'dhcp heard hello uid 65534 from 192.0.2.1:67',
    tftp: 'tftp heard hello uid 65534 from 192.0.2.1:69',
    api: 'provisioningApi to 192.0.2.9',
    boot: 'boot to 192.0.2.9',
    metadata: 'metadata to 192.0.2.9',
    ra: 'type 134, 16 bytes from fe80',
  });
});

it('says which socket cannot be opened and why, and leaves none open', () => {
  const { server } = wire();
  const open = (change: Partial<typeof wanted>) => () =>
    openProvisioningSockets({ ...wanted, ...change, netns: server.file });
  const first = open({})();
  // UDP shares its port among those that say so; a listening port is one's own.
  expect(open({})).toThrow(
    'The socket for the API (192.0.2.1:6385) cannot be opened on up0: another program has the port.',
  );
  for (const fd of Object.values(first)) closeSync(fd);
  expect(open({ address: '192.0.2.77' })).toThrow('the interface does not have the address');
  expect(open({ interface: 'up7' })).toThrow('cannot be opened on up7: there is no such interface.');
  expect(() => openProvisioningSockets({ ...wanted, netns: '/run/netns/none' })).toThrow(
    'The network namespace /run/netns/none cannot be entered',
  );
  const again = open({})();
  for (const fd of Object.values(again)) closeSync(fd);
});

it('comes back from a namespace when the work in it fails', () => {
  const { server } = wire();
  const here = readlinkSync('/proc/thread-self/ns/net');
  expect(enterNamespace(server.file, () => readlinkSync('/proc/thread-self/ns/net'))).not.toBe(here);
  expect(() =>
    enterNamespace(server.file, () => {
      throw new Error('of the work');
    }),
  ).toThrow('of the work');
  expect(readlinkSync('/proc/thread-self/ns/net')).toBe(here);
});
