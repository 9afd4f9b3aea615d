import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { NetworkReport } from '../services/boot/index.ts';
import { type Diagnosis, type DoctorOptions, diagnose } from './doctor.ts';
import { installedIn } from './packages.ts';
import { checkReachable } from './user.ts';

function directory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'uc-doctor-'));
  chmodSync(dir, 0o755);
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return dir;
}

async function findings(more: Partial<DoctorOptions>): Promise<Record<string, Diagnosis>> {
  const found = await diagnose({ stateDir: join(directory(), 'state'), listen: '127.0.0.1:1', groups: [], ...more });
  return Object.fromEntries(found.map((one) => [one.check, one]));
}

test('a port that another program has is named with the way out', async () => {
  const other = createServer();
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
  onTestFinished(() => void other.close());
  const listen = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  const { 'API port': port } = await findings({ listen });
  expect(port).toMatchObject({ ok: false, blocking: true, finding: `${listen}: another program listens there` });
  expect(port?.remedy).toContain('ss -ltnp');
  expect((await findings({ listen: '192.0.2.77:6385' }))['API port']?.finding).toContain('no such address');
});

test('a foreign DHCP server blocks, a foreign router does not', async () => {
  const report: NetworkReport = {
    dhcpServers: [
      { serverId: '127.0.0.9', source: '127.0.0.9', mac: '52:54:00:00:00:09', offered: '127.0.0.200', bootFile: null },
    ],
    routers: ['fe80::9'],
  };
  let asked = 0;
  const probeNetwork = async (device: string) => {
    asked += 1;
    expect(device).toBe('lo');
    return report;
  };
  const found = await findings({ provisioningInterface: 'lo', probeNetwork });
  expect(asked).toBe(1);
  expect(found['foreign DHCP server']).toMatchObject({ ok: false, blocking: true });
  expect(found['foreign DHCP server']?.finding).toContain('127.0.0.9 (52:54:00:00:00:09), which offered 127.0.0.200');
  expect(found['IPv6 routers']).toMatchObject({ ok: false, blocking: false });
  expect(found['provisioning interface']).toMatchObject({ ok: true });
  const other = await findings({ provisioningInterface: 'lo', provisioningAddress: '192.0.2.1/24' });
  expect(other['provisioning interface']).toMatchObject({ ok: false, blocking: true });
  expect(other['provisioning interface']?.remedy).toContain('ip address add 192.0.2.1/24 dev lo');
});

test('every provisioning interface is looked at, and named where there are several', async () => {
  const asked: string[] = [];
  const found = await findings({
    provisioningInterface: 'lo',
    provisioningAddress: '127.0.0.1/8',
    furtherInterfaces: [{ interface: 'nosuch0' }, { interface: 'lo', address: '192.0.2.1/24' }],
    hearsItself: async (device) => {
      asked.push(device ?? '');
      return device === 'lo' ? 'heard' : 'silent';
    },
  });
  expect(asked).toEqual(['lo', 'nosuch0', 'lo']);
  expect(found['router advertisement nosuch0']).toMatchObject({ ok: false, blocking: false });
  expect(found['provisioning interface nosuch0']).toMatchObject({
    ok: false,
    finding: 'there is no interface nosuch0',
  });
  // The address of the first is not that of the last.
  expect(found['provisioning interface lo']?.finding).toContain('lo does not have the address 192.0.2.1');
  expect(found['router advertisement']).toBeUndefined();
});

test('a DHCP server beside which we are meant to stand is as it should be, unless it gives boot files', async () => {
  const theirs = { serverId: '127.0.0.9', source: '127.0.0.9', mac: null, offered: '127.0.0.200', bootFile: null };
  const of = async (dhcpServers: NetworkReport['dhcpServers'], wire: Parameters<typeof findings>[0]['wire']) =>
    (await findings({ provisioningInterface: 'lo', probeNetwork: async () => ({ dhcpServers, routers: [] }), wire }))[
      'foreign DHCP server'
    ];
  const proxy = { dhcp: 'proxy' } as const;
  expect(await of([theirs], proxy)).toMatchObject({ ok: true, finding: expect.stringContaining('127.0.0.9 answers') });
  expect(await of([theirs], { knownServers: ['127.0.0.9'] })).toMatchObject({ ok: true });
  expect(await of([{ ...theirs, bootFile: 'pxelinux.0' }], proxy)).toMatchObject({ ok: false, blocking: true });
  expect(await of([], proxy)).toMatchObject({ ok: false, blocking: false });
});

test('an interface that is not there is named, and nobody listens on it', async () => {
  const found = await findings({
    provisioningInterface: 'nosuch0',
    probeNetwork: () => expect.unreachable('nothing can be heard there'),
  });
  expect(found['provisioning interface']).toMatchObject({ ok: false, finding: 'there is no interface nosuch0' });
  expect(found['foreign DHCP server']).toBeUndefined();
});

test('data of a PostgreSQL that is not installed is refused with the way to move it', async () => {
  const stateDir = directory();
  mkdirSync(join(stateDir, 'postgresql'));
  writeFileSync(join(stateDir, 'postgresql', 'PG_VERSION'), '9\n');
  const { PostgreSQL } = await findings({ stateDir });
  expect(PostgreSQL).toMatchObject({ ok: false, blocking: true });
  expect(PostgreSQL?.finding).toContain('belongs to PostgreSQL 9');
  expect(PostgreSQL?.remedy).toContain('Install postgresql-9');
});

test('of a path the parent that stops the service user is named, also behind a link', () => {
  const nobody = { uid: 65534, gid: 65534 };
  const dir = directory();
  const closed = join(dir, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  expect(() => checkReachable(join(dir, 'new', 'state'), nobody)).not.toThrow();
  expect(() => checkReachable(join(closed, 'deep', 'state'), nobody)).toThrow(
    `${closed} has mode 0700, which lets it not pass. Run \`chmod o+x ${closed}\``,
  );
  symlinkSync(closed, join(dir, 'link'));
  expect(() => checkReachable(join(dir, 'link', 'state'), nobody)).toThrow(`${closed} has mode 0700`);
});

test('what dpkg left half done counts as missing', () => {
  const status = (name: string, state: string) => `Package: ${name}\nStatus: install ok ${state}\nVersion: 1\n`;
  const text = [status('a', 'installed'), status('b', 'half-configured'), status('c', 'unpacked')].join('\n');
  expect([...installedIn(text)]).toEqual(['a']);
});
