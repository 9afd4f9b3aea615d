import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { datagramPort, ephemeralPort } from '../core/datagrams.ts';
import { datagramSocket } from '../core/sockets.ts';
import { directoryContent, serveTftp, type TftpEvent, type TftpServing } from './index.ts';

/** Real clients against the server on loopback, by the sockets that the appliance serves from: curl, atftp and tftp-hpa (packages of those names). */

let folder: string;
let socket: ReturnType<typeof datagramPort>;
let serving: TftpServing;
let port: number;
const events: TftpEvent[] = [];
const waiting = new Set<() => void>();

/** One that nobody has at the moment. */
async function freePort(): Promise<number> {
  const probe = createSocket('udp4');
  probe.bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port: found } = probe.address() as AddressInfo;
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return found;
}

function ended(from: number): Promise<TftpEvent> {
  return new Promise((resolve) => {
    const look = (): void => {
      const found = events.slice(from).find(({ type }) => type === 'ended');
      if (!found) return;
      waiting.delete(look);
      resolve(found);
    };
    waiting.add(look);
    look();
  });
}

async function run(command: string, ...words: string[]): Promise<{ code: number; words: string }> {
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part: Buffer) => {
      text += part.toString();
    });
  }
  const [code] = (await once(child, 'close')) as [number];
  return { code, words: text };
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'uc-tftp-'));
  writeFileSync(join(folder, 'image'), randomBytes(3 << 20));
  // 40 MB at 512 bytes is more than 65,535 blocks.
  writeFileSync(join(folder, 'long'), randomBytes(40_000_000));
  port = await freePort();
  socket = datagramPort(datagramSocket('TFTP', 'lo', '127.0.0.1', port));
  serving = serveTftp({
    socket,
    createTransferSocket: async () => ephemeralPort('127.0.0.1'),
    open: directoryContent(folder),
    onEvent: (event) => {
      events.push(event);
      for (const wake of [...waiting]) wake();
    },
  });
});

afterAll(async () => {
  await serving.stop();
  await socket.close();
  rmSync(folder, { recursive: true });
});

describe('real clients', () => {
  const clients: readonly (readonly [
    string,
    (file: string, to: string) => Promise<{ code: number; words: string }>,
    number,
  ])[] = [
    [
      'curl',
      (file, to) => run('curl', '-sS', '--tftp-blksize', '1468', '-o', to, `tftp://127.0.0.1:${port}/${file}`),
      1,
    ],
    [
      'curl without options',
      (file, to) => run('curl', '-sS', '--tftp-no-options', '-o', to, `tftp://127.0.0.1:${port}/${file}`),
      1,
    ],
    ['atftp', (file, to) => run('atftp', '-g', '-r', file, '-l', to, '127.0.0.1', String(port)), 1],
    [
      'atftp with a window',
      (file, to) =>
        run(
          'atftp',
          '--option',
          'blksize 1468',
          '--option',
          'windowsize 16',
          '-g',
          '-r',
          file,
          '-l',
          to,
          '127.0.0.1',
          String(port),
        ),
      16,
    ],
    ['tftp-hpa', (file, to) => run('tftp', '-m', 'binary', '127.0.0.1', String(port), '-c', 'get', file, to), 1],
  ];

  for (const [name, get, windowSize] of clients) {
    it(`${name} gets every byte`, async () => {
      const from = events.length;
      const to = join(folder, `got-${name.replaceAll(' ', '-')}`);
      const { words } = await get('image', to);
      expect(words).not.toMatch(/error/i);
      expect(digest(to)).toBe(digest(join(folder, 'image')));
      expect(await ended(from)).toMatchObject({
        end: 'done',

        transfer: { windowSize, bytes: 3 << 20 },
      });
    });
  }

  it('curl rolls over beyond 65,535 blocks', async () => {
    const to = join(folder, 'got-long');
    await run('curl', '-sS', '--tftp-no-options', '-o', to, `tftp://127.0.0.1:${port}/long`);
    expect(digest(to)).toBe(digest(join(folder, 'long')));
  });

  it('twenty curls at once all get every byte', async () => {
    const names = Array.from({ length: 20 }, (_, i) => join(folder, `many-${i}`));
    await Promise.all(
      names.map((to) => run('curl', '-sS', '--tftp-blksize', '1468', '-o', to, `tftp://127.0.0.1:${port}/image`)),
    );
    const wanted = digest(join(folder, 'image'));
    for (const to of names) expect(digest(to)).toBe(wanted);
  });

  it('are told why they get nothing', async () => {
    const missing = await run('curl', '-sS', '-o', join(folder, 'none'), `tftp://127.0.0.1:${port}/absent`);
    // curl: 68 is "file not found on TFTP server".
    expect(missing.code).toBe(68);
    const text = await run(
      'tftp',
      '-m',
      'ascii',
      '127.0.0.1',
      String(port),
      '-c',
      'get',
      'image',
      join(folder, 'none'),
    );
    expect(text.words).toContain('mode netascii is not served: ask for octet (binary)');
    const write = await run('tftp', '-m', 'binary', '127.0.0.1', String(port), '-c', 'put', join(folder, 'image'), 'x');
    expect(write.words).toContain('nothing can be written here');
  });
});
