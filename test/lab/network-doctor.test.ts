import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startAdvertiser } from '../../services/boot/advertiser.ts';
import { hearsItself, networkDoctor } from '../../services/boot/index.ts';
import { systemClock } from '../../services/core/clock.ts';
import { enterNamespace, solicitationSocket } from '../../services/core/sockets.ts';
import { namespace } from './namespace.fixture.ts';

function wire() {
  const ours = namespace();
  const theirs = namespace();
  ours.ip(`link add up0 type veth peer name up0 netns ${theirs.name}`);
  ours.ip('address add 192.0.2.1/24 dev up0');
  theirs.ip('address add 192.0.2.9/24 dev up0');
  for (const one of [ours, theirs]) one.ip('link set up0 up');
  return { ours, theirs };
}

it('finds the foreign DHCP server and the router of a wire', async () => {
  const { ours, theirs } = wire();
  const program = join(import.meta.dirname, 'foreign-server.fixture.ts');
  const server = enterNamespace(theirs.file, () =>
    spawn(process.execPath, [program, 'up0', 'advertises'], { stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  onTestFinished(() => void server.kill());
  await new Promise((resolve) => server.stdout.once('data', resolve));
  const report = await networkDoctor('up0', { netns: ours.file });
  expect(report.dhcpServers).toMatchObject([{ serverId: '192.0.2.9', source: '192.0.2.9', bootFile: null }]);
  expect(report.dhcpServers[0]?.offered).toMatch(/^192\.0\.2\.2\d\d$/);
  expect(report.dhcpServers[0]?.mac).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
  expect(report.routers).toHaveLength(1);
});

it('finds nobody where nobody is', async () => {
  const { ours } = wire();
  expect(await networkDoctor('up0', { netns: ours.file, patienceMs: 500 })).toEqual({ dhcpServers: [], routers: [] });
});

it('hears whether the undercloud itself answers router solicitations', async () => {
  const { ours, theirs } = wire();
  theirs.ip('link set up0 down');
  await expect.poll(() => hearsItself('up0', { netns: ours.file }), { timeout: 10_000 }).toBe('no-carrier');
  theirs.ip('link set up0 up');
  // Until duplicate address detection has passed, there is no address to send from.
  await expect
    .poll(() => hearsItself('up0', { netns: ours.file, patienceMs: 200 }), { timeout: 10_000 })
    .toBe('silent');
  const fd = enterNamespace(ours.file, () => solicitationSocket('up0'));
  if (fd === null) throw new Error('no IPv6');
  const stop = startAdvertiser({ fd, clock: systemClock, onAnswered: () => {}, onTrouble: () => {} });
  onTestFinished(() => {
    stop();
    closeSync(fd);
  });
  await expect.poll(() => hearsItself('up0', { netns: ours.file, patienceMs: 500 }), { timeout: 10_000 }).toBe('heard');
});
