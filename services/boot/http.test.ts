import { execFileSync } from 'node:child_process';
import { rmSync, truncateSync } from 'node:fs';
import http from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { fourWay, intent, macOf, nodeUuid, type Scene, scene, sent } from '../../test/setup/boot-scene.ts';

/** A node that has its address, which is the test's own: 127.0.0.1. */
async function booted(): Promise<Scene & { mac: string }> {
  const made = await scene();
  const discover = sent('bios-ipxe-rom', 'DISCOVER');
  const mac = macOf(discover);
  made.intents.set(mac, intent('agent', 'tok'));
  await fourWay(made.dhcp, discover);
  return { ...made, mac };
}

it('writes a script that fetches kernel, CA and ramdisk, and passes the time', async () => {
  const { base, mac } = await booted();
  const response = await fetch(`${base}/boot/tok/script.ipxe`);
  expect(response.headers.get('content-type')).toContain('text/plain');
  const script = await response.text();
  expect(script.startsWith('#!ipxe\n')).toBe(true);
  const at = 'http://127.0.0.254:8088/boot/tok';
  const kernel = script.split('\n').find((line) => line.startsWith('kernel '));
  expect(kernel).toContain(`kernel --name kernel ${at}/kernel initrd=trust.cpio initrd=ramdisk `);
  expect(kernel).toContain('ipa-api-url=https://127.0.0.254:6385 uc-boot-token=tok ');
  expect(kernel).toContain(`BOOTIF=01-${mac.replaceAll(':', '-')}`);
  const time = Number(/uc-time=(\d+)/.exec(kernel ?? '')?.[1]);
  expect(Math.abs(time - Date.now() / 1000)).toBeLessThan(60);
  expect(script).toContain(`initrd --name trust.cpio ${at}/trust.cpio`);
  expect(script).toContain(`initrd --name ramdisk ${at}/ramdisk`);
  // Plain `dhcp` waits 16 s for IPv6.
  expect(script).not.toMatch(/(^|\n|\s)dhcp\s*(\n|$)(?<!ifconf -c dhcp \|\|)/);
  expect(script).toContain('ifconf -c dhcp ||');
});

it('serves HEAD, GET, ranges and validators, on one connection', async () => {
  const { base, world } = await booted();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<{ status: number; headers: http.IncomingHttpHeaders; body: Buffer; port: number | undefined }>(
      (resolve, reject) => {
        http
          .request(`${base}${path}`, { agent, headers, method }, (response) => {
            const parts: Buffer[] = [];
            const port = response.socket.localPort;
            response.on('data', (part: Buffer) => parts.push(part));
            response.on('end', () =>
              resolve({
                status: response.statusCode ?? 0,
                headers: response.headers,
                body: Buffer.concat(parts),
                port,
              }),
            );
          })
          .on('error', reject)
          .end();
      },
    );
  const head = await get('/boot/tok/ramdisk', {}, 'HEAD');
  expect(head).toMatchObject({ status: 200, headers: { 'content-length': '1000000', 'accept-ranges': 'bytes' } });
  expect(head.body).toHaveLength(0);
  const whole = await get('/boot/tok/ramdisk');
  expect(whole.body).toHaveLength(1_000_000);
  const etag = String(whole.headers.etag);
  const ranges: [string, number, number, string?][] = [
    ['bytes=0-0', 206, 1, 'bytes 0-0/1000000'],
    ['bytes=999990-', 206, 10, 'bytes 999990-999999/1000000'],
    ['bytes=-5', 206, 5, 'bytes 999995-999999/1000000'],
    ['bytes=500-2000000', 206, 999_500, 'bytes 500-999999/1000000'],
    ['bytes=0-1,5-6', 200, 1_000_000],
    ['bytes=9-3', 200, 1_000_000],
    ['lines=1-2', 200, 1_000_000],
  ];
  for (const [range, status, length, content] of ranges) {
    const part = await get('/boot/tok/ramdisk', { range });
    expect([range, part.status, part.body.length, part.headers['content-range']]).toEqual([
      range,
      status,
      length,
      content,
    ]);
    if (content) {
      const from = Number(/ (\d+)-/.exec(content)?.[1]);
      expect(part.body.equals(whole.body.subarray(from, from + length))).toBe(true);
    }
  }
  const outside = await get('/boot/tok/ramdisk', { range: 'bytes=1000000-' });
  expect(outside).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */1000000' } });
  expect((await get('/boot/tok/ramdisk', { 'if-none-match': etag })).status).toBe(304);
  expect((await get('/boot/tok/ramdisk', { range: 'bytes=0-9', 'if-range': '"other"' })).status).toBe(200);
  const last = await get('/boot/tok/kernel');
  expect(last.port).toBe(head.port);
  agent.destroy();
  const event = await world.heard('http.fetch', (one) => one.data.file === 'kernel');
  expect(event.subject).toEqual({ type: 'node', id: nodeUuid });
  expect(event.data).toMatchObject({ status: 200, bytes: 5000, size: 5000, method: 'GET' });
  expect(event.data.text).toMatch(/^fetched kernel by HTTP: 5000 B in \d+ ms$/);
});

it('answers paths with slashes too many, and every 404 with a body', async () => {
  const { base } = await booted();
  expect((await fetch(`${base}//boot//loader/snponly.efi`)).status).toBe(200);
  for (const path of [
    '//grubx64.efi',
    '/boot/loader/%2e%2e%2fsecret',
    '/boot/loader/..%5csecret',
    '/boot/loader/ipxe.efi',
    '/boot/tok/other',
    '/boot/tok/kernel/x',
    '/',
    '/boot',
  ]) {
    const answer = await fetch(`${base}${path}`);
    expect([path, answer.status]).toEqual([path, 404]);
    expect((await answer.text()).length).toBeGreaterThan(20);
  }
  expect((await fetch(`${base}/%`)).status).toBe(400);
});

it('says of its machine that a file which it was told to fetch is not there', async () => {
  const { base, bootDir, world } = await booted();
  rmSync(join(bootDir, 'ramdisk/lab/kernel'));
  expect((await fetch(`${base}/boot/tok/kernel`)).status).toBe(404);
  const event = await world.heard('boot.refused');
  expect(event.subject).toEqual({ type: 'node', id: nodeUuid });
  expect(event.data.text).toMatch(/^HTTP: kernel was refused to 127\.0\.0\.1: kernel does not exist here$/);
});

it('gives a token’s files to its own machine only, and to nobody when it is burnt', async () => {
  const { base, intents, mac, world } = await booted();
  const refused = await fetch(`${base}/boot/another/script.ipxe`);
  expect(refused.status).toBe(404);
  expect(await refused.text()).toContain('No machine boots with this token');
  await world.heard('boot.refused', (event) => event.subject.id === nodeUuid && event.data.file === 'script.ipxe');
  expect((await fetch(`${base}/boot/tok/kernel`)).status).toBe(200);
  intents.set(mac, intent('none'));
  expect((await fetch(`${base}/boot/tok/kernel`)).status).toBe(404);
});

it('tells how far a client came that broke off', async () => {
  const { base, world } = await booted();
  await new Promise<void>((resolve) => {
    http.get(`${base}/boot/tok/ramdisk`, (response) => {
      response.once('data', () => {
        response.destroy();
        resolve();
      });
    });
  });
  const event = await world.heard('http.fetch', (one) => one.data.file === 'ramdisk');
  expect(event.data.text).toMatch(/^(broke off|fetched) ramdisk/);
});

it('takes who stands still in the middle of a file for gone, and tells no progress meanwhile', async () => {
  const { base, bootDir, world } = await booted();
  truncateSync(join(bootDir, 'ramdisk/lab/ramdisk'), 256 << 20);
  const bytes: unknown[] = [];
  world.recorder.subscribe(({ kind, data }) => {
    if (kind === 'http.progress') bytes.push((data as { bytes: number }).bytes);
  });
  // A machine that is reset says no goodbye: the connection stays, and nothing is read from it.
  const machine = connect(Number(new URL(base).port), '127.0.0.1');
  onTestFinished(() => void machine.destroy());
  machine.pause();
  machine.write('GET /boot/tok/ramdisk HTTP/1.1\r\nHost: undercloud\r\n\r\n');
  const event = await world.heard('http.fetch', (one) => one.data.file === 'ramdisk');
  expect(event.data.text).toMatch(/^broke off ramdisk after .* of 268\.4 MB by HTTP$/);
  expect(new Set(bytes).size).toBe(bytes.length);
});

it('packs the CA as a cpio that cpio reads', async () => {
  const { base } = await booted();
  const archive = Buffer.from(await (await fetch(`${base}/boot/tok/trust.cpio`)).arrayBuffer());
  expect(archive.length % 512).toBe(0);
  const list = execFileSync('cpio', ['-itv', '--quiet'], { input: archive }).toString();
  expect(
    list
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/).at(-1)),
  ).toEqual(['etc', 'etc/undercloud', 'etc/undercloud/ca.pem', 'etc/undercloud/signing.pem']);
  const file = execFileSync('cpio', ['-i', '--to-stdout', '--quiet', 'etc/undercloud/ca.pem'], { input: archive });
  expect(file.toString()).toBe('-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n');
});
