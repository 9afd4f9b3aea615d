/**
 * Where no way leads out, a bundle becomes a program, that program an undercloud whose APIs answer, and what the bundle has of images is
 * registered there. Debian's packages are there already. A deploy from it onto a node is in test/long/delivery.test.ts.
 */
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { chunkedImage } from '../setup/image-server.ts';
import { freePort, launcher } from './undercloud.fixture.ts';

/** An image as the builder leaves it, small. */
function layImage(directory: string): void {
  mkdirSync(join(directory, 'objects'), { recursive: true });
  const { index, manifest, packed } = chunkedImage();
  const text = JSON.stringify(index);
  const indexSha256 = createHash('sha256').update(text).digest('hex');
  writeFileSync(join(directory, 'objects', index.objects[0]!.name), packed);
  writeFileSync(join(directory, 'index.json'), text);
  for (const file of ['kernel', 'initrd']) writeFileSync(join(directory, file), file);
  const whole = {
    ...manifest,
    name: 'gold',
    types: ['chunks'],
    indexSha256,
    release: 'bookworm',
    architecture: 'amd64',
  };
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify(whole));
}

test('a bundle is loaded and bootstrapped in a namespace with no interface but the loopback one', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'uc-air-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  // The service user has to pass through.
  chmodSync(dir, 0o755);
  const [here, there, program] = [join(dir, 'here'), join(dir, 'there'), join(dir, 'program')];
  mkdirSync(join(here, 'keys'), { recursive: true });
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(here, 'keys', 'signing.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  layImage(join(here, 'cache', 'images', 'gold'));
  const file = join(dir, 'program.bundle');
  const made = JSON.parse(
    execFileSync(launcher, ['--json', '--state', here, 'bundle', 'create', file, '--parts', 'program,images'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  ) as { fingerprint: string };
  const port = await freePort();
  const own = join(program, 'bootstrap', 'undercloud');
  // Its own /usr/local/bin as well: the commands that it puts there are this test's.
  const script = `set -e
mount -t tmpfs none /usr/local/bin
ip link set lo up
test -z "$(ip route)"
${launcher} --state ${there} bundle load ${file} --trust ${made.fingerprint} --program ${program}
trap '${own} stop --state ${there} >&2' EXIT
${own} bootstrap --state ${there} --listen 127.0.0.1:${port} >&2
${own} image register gold --state ${there} >&2
${own} --json image list --state ${there} >${dir}/images
readlink /usr/local/bin/undercloud >${dir}/link`;
  execFileSync('unshare', ['--net', '--mount', 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  expect(JSON.parse(execFileSync('cat', [join(dir, 'images')], { encoding: 'utf8' }))).toEqual([
    expect.objectContaining({ name: 'gold', status: 'active' }),
  ]);
  expect(execFileSync('cat', [join(dir, 'link')], { encoding: 'utf8' }).trim()).toBe(own);
  expect(existsSync(join(program, '.git'))).toBe(false);
});
