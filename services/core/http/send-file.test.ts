import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, get, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { sendFile } from './send-file.ts';

const bytes = randomBytes(6_000_001);
const sum = (part: Uint8Array) => createHash('sha256').update(part).digest('hex');
const descriptors = () => readdirSync('/proc/self/fd').length;

/** A server that answers `/FROM-TO` with that part of the file; `results` says what `sendFile` came to. */
async function server(): Promise<{ port: number; results: Promise<number>[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'uc-send-'));
  const path = join(dir, 'file');
  writeFileSync(path, bytes);
  const results: Promise<number>[] = [];
  const http = createServer((request, response) => {
    const [from = 0, to = 0] = (request.url ?? '').slice(1).split('-').map(Number);
    response.writeHead(200, { 'content-length': to - from });
    response.flushHeaders();
    const done = (async () => {
      const file = await open(path, 'r');
      const sent = await sendFile(request.socket, file, from, to);
      await file.close();
      if (sent === to - from) response.end();
      return sent;
    })();
    results.push(done);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    http.closeAllConnections();
    http.close();
    rmSync(dir, { recursive: true });
  });
  return { port: (http.address() as AddressInfo).port, results };
}

const fetched = (port: number, part: string): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    get({ port, path: `/${part}`, host: '127.0.0.1' }, (answer: IncomingMessage) => {
      const all: Buffer[] = [];
      answer.on('data', (piece: Buffer) => all.push(piece));
      answer.on('end', () => resolve(Buffer.concat(all)));
    }).on('error', reject);
  });

it('sends exactly the bytes that were asked for, to many at once and on one connection again', async () => {
  const { port, results } = await server();
  const parts: [number, number][] = [
    [0, bytes.length],
    [1, 2],
    [123_456, 5_000_000],
    [bytes.length - 1, bytes.length],
  ];
  const all = await Promise.all([...parts, ...parts].map(([from, to]) => fetched(port, `${from}-${to}`)));
  for (const [i, [from, to]] of [...parts, ...parts].entries())
    expect(sum(all[i] ?? Buffer.alloc(0))).toBe(sum(bytes.subarray(from, to)));
  expect(await Promise.all(results)).toEqual([...parts, ...parts].map(([from, to]) => to - from));
});

it('waits for a reader that stops, ends when it goes, and leaves no descriptor open', async () => {
  const { port, results } = await server();
  const before = descriptors();
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  socket.write(`GET /0-${bytes.length} HTTP/1.1\r\nhost: a\r\n\r\n`);
  await new Promise<void>((resolve) => socket.once('readable', resolve));
  // It has read nothing yet: what the two kernels hold is less than the file.
  socket.destroy();
  expect(await results[0]).toBeLessThan(bytes.length);
  // The server's own end of the connection closes a turn later.
  while (descriptors() >= before + 1) await new Promise((resolve) => setImmediate(resolve));
  expect(descriptors()).toBeLessThanOrEqual(before);
});

it('sends nothing to a connection that broke before', async () => {
  const { port } = await server();
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  socket.destroy();
  const file = await open('/proc/self/exe', 'r');
  expect(await sendFile(socket, file, 0, 100)).toBe(0);
  await file.close();
});

it('stops where the file ends early', async () => {
  const { port, results } = await server();
  const socket = connect(port, '127.0.0.1');
  socket.on('data', () => {});
  socket.write(`GET /5999999-9000000 HTTP/1.1\r\nhost: a\r\n\r\n`);
  while (results.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(await results[0]).toBe(2);
  socket.destroy();
});
