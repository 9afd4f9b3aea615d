import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { bytesContent, type OpenContent } from './content.ts';
import { directoryContent } from './directory.ts';
import { seeded } from './network.fixture.ts';
import { readPacket, type TftpPacket, writeAck, writeError, writeRequest } from './packet.ts';
import { type ServeTftpOptions, serveTftp, type TftpEvent, type TftpServing } from './serve.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function bound(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

interface World {
  readonly port: number;
  readonly events: TftpEvent[];
  readonly serving: TftpServing;
  /** Resolves when an event passes the test. */
  event(test: (event: TftpEvent) => boolean): Promise<TftpEvent>;
}

async function world(open: OpenContent, more: Partial<ServeTftpOptions> = {}): Promise<World> {
  const socket = await bound();
  const events: TftpEvent[] = [];
  const waiting = new Set<() => void>();
  const serving = serveTftp({
    socket,
    createTransferSocket: bound,
    open,
    onEvent: (event) => {
      events.push(event);
      for (const wake of [...waiting]) wake();
    },
    ...more,
  });
  closing.push(
    () => new Promise<void>((resolve) => socket.close(() => resolve())),
    () => serving.stop(),
  );
  return {
    port: (socket.address() as AddressInfo).port,
    events,
    serving,
    event: (test) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = events.find(test);
          if (!found) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
  };
}

/** A client made of a socket: sends, and gives the next packet. */
async function client(): Promise<{
  socket: Socket;
  send: (bytes: Uint8Array, port: number) => void;
  next: () => Promise<{ packet: TftpPacket; port: number }>;
}> {
  const socket = await bound();
  closing.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  const inbox: { packet: TftpPacket; port: number }[] = [];
  let wake = (): void => {};
  socket.on('message', (bytes, remote) => {
    const read = readPacket(bytes);
    if (read.ok) inbox.push({ packet: read.packet, port: remote.port });
    wake();
  });
  return {
    socket,
    send: (bytes, port) => socket.send(bytes, port, '127.0.0.1'),
    next: async () => {
      while (inbox.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return inbox.shift()!;
    },
  };
}

function ask(path: string, options: Record<string, string> = {}, mode = 'octet'): Uint8Array {
  return writeRequest({ kind: 'read', path, mode, options: new Map(Object.entries(options)) });
}

const HUNDRED = new Uint8Array(100_000).map((_, i) => i * 7);
const hundred: OpenContent = async () => bytesContent(HUNDRED);

async function fetchAll(port: number, path: string, options: Record<string, string> = {}): Promise<Uint8Array> {
  const { socket, send, next } = await client();
  send(ask(path, options), port);
  const parts: Uint8Array[] = [];
  let size = 512;
  let window = 1;
  for (let expected = 1; ; ) {
    const { packet, port: from } = await next();
    if (packet.kind === 'error') throw new Error(`${packet.code} ${packet.message}`);
    if (packet.kind === 'option-ack') {
      size = Number(packet.options.get('blksize') ?? 512);
      window = Number(packet.options.get('windowsize') ?? 1);
      send(writeAck(0), from);
    } else if (packet.kind === 'data' && packet.block === (expected & 0xffff)) {
      parts.push(packet.data);
      const last = packet.data.length < size;
      if (last || expected % window === 0) send(writeAck(packet.block), from);
      expected++;
      if (last) break;
    }
  }
  socket.unref();
  return Buffer.concat(parts);
}

describe('transfers', () => {
  it('bring every byte, with any options, and tell of it', async () => {
    const { port, event } = await world(hundred);
    const asked: Record<string, string>[] = [
      {},
      { blksize: '1468' },
      { blksize: '1000', windowsize: '16', tsize: '0' },
      { blksize: '8' },
    ];
    for (const options of asked) {
      expect(Buffer.from(await fetchAll(port, 'x', options)).equals(Buffer.from(HUNDRED))).toBe(true);
    }
    expect(await event(({ type }) => type === 'ended')).toMatchObject({
      end: 'done',

      transfer: { path: 'x', size: 100_000, bytes: 100_000, client: '127.0.0.1' },
    });
  });

  it('of nothing, and of whole blocks, end with an empty one', async () => {
    for (const size of [0, 512, 1024, 511]) {
      const { port } = await world(async () => bytesContent(HUNDRED.subarray(0, size)));
      expect((await fetchAll(port, 'x')).length).toBe(size);
    }
  });

  it('serve OVMF, which asks for the size, breaks off with ERROR 8, and asks again', async () => {
    const { port, event, events } = await world(hundred);
    const first = await client();
    first.send(ask('snponly.efi', { tsize: '0', blksize: '1468', windowsize: '4' }), port);
    const answer = await first.next();
    expect(answer.packet.kind === 'option-ack' && [...answer.packet.options]).toEqual([
      ['tsize', '100000'],
      ['blksize', '1468'],
      ['windowsize', '4'],
    ]);
    first.send(writeError(8, 'User aborted the transfer'), answer.port);
    expect(await event(({ type }) => type === 'ended')).toMatchObject({
      end: 'size-asked',
      reason: 'the client says 8: User aborted the transfer',
    });
    expect((await fetchAll(port, 'snponly.efi', { blksize: '1468', windowsize: '4' })).length).toBe(100_000);
    expect(events.filter(({ type }) => type === 'refused')).toEqual([]);
  });

  it('answer a repeated request once, and a changed one anew from the same port', async () => {
    const { port, event, events } = await world(hundred);
    const one = await client();
    one.send(ask('a', { tsize: '0' }), port);
    one.send(ask('a', { tsize: '0' }), port);
    const first = await one.next();
    one.send(ask('b'), port);
    const second = await one.next();
    expect(second.packet).toMatchObject({ kind: 'data', block: 1 });
    expect(second.port).not.toBe(first.port);
    expect(await event(({ type }) => type === 'ended')).toMatchObject({ end: 'replaced', transfer: { path: 'a' } });
    expect(events.filter(({ type }) => type === 'started')).toHaveLength(2);
  });

  it('send a lost OACK and a lost block again', async () => {
    const { port } = await world(hundred, { bounds: { first: 30, least: 30, most: 60 } });
    const one = await client();
    one.send(ask('a', { tsize: '0' }), port);
    await one.next();
    const again = await one.next();
    expect(again.packet.kind).toBe('option-ack');
    one.send(writeAck(0), again.port);
    for (let i = 0; i < 3; i++) {
      let { packet } = await one.next();
      while (packet.kind === 'option-ack') ({ packet } = await one.next());
      expect(packet).toMatchObject({ kind: 'data', block: 1 });
    }
  });

  it('give up a client that vanishes, and free what it held', async () => {
    let closed = 0;
    const { port, event, serving } = await world(async () => ({ ...bytesContent(HUNDRED), close: () => closed++ }), {
      patienceMs: 100,
      bounds: { first: 20, least: 20, most: 40 },
    });
    const one = await client();
    one.send(ask('a'), port);
    expect(await event(({ type }) => type === 'ended')).toMatchObject({ end: 'vanished' });
    expect([closed, serving.sessions()]).toEqual([1, 0]);
  });

  it('leave a client that acknowledges block 65535 for ever without anything, and serve the others meanwhile', async () => {
    for (const windowSize of ['1', '16']) {
      const { port, event, events, serving } = await world(hundred, {
        patienceMs: 300,
        bounds: { first: 100, least: 100, most: 200 },
      });
      const liar = await client();
      let heard = 0;
      liar.socket.on('message', () => heard++);
      liar.send(ask('a', { blksize: '1024', windowsize: windowSize }), port);
      const { port: from } = await liar.next();
      liar.send(writeAck(0), from);
      let acks = 0;
      const lying = setInterval(() => {
        for (let i = 0; i < 50; i++, acks++) liar.send(writeAck(65_535), from);
      }, 5);
      expect(Buffer.from(await fetchAll(port, 'b')).equals(Buffer.from(HUNDRED))).toBe(true);
      const end = await event((one) => one.type === 'ended' && one.transfer.port === liar.socket.address().port);
      clearInterval(lying);
      // No progress: it is given up as one that has gone, and a flood of ACKs was answered with a few windows.
      expect(end).toMatchObject({ end: 'vanished', transfer: { bytes: 0 } });
      expect(acks).toBeGreaterThan(500);
      expect(heard).toBeLessThanOrEqual(2 + 5 * Number(windowSize));
      expect(events.filter(({ type }) => type === 'malformed')).toEqual([]);
      expect(serving.sessions()).toBe(0);
    }
  });

  it('end with a reason when the content fails or shrinks', async () => {
    const failing = await world(async () => ({
      size: 10,
      read: async () => Promise.reject(new Error('disk gone')),
      close() {},
    }));
    await expect(fetchAll(failing.port, 'a')).rejects.toThrow('0 reading failed: disk gone');
    const shrinking = await world(async () => ({ size: 1000, read: async () => 0, close() {} }));
    await expect(fetchAll(shrinking.port, 'a')).rejects.toThrow('ends at byte 0, but said it had 1000');
    const throwing = await world(async () => Promise.reject(new Error('database away')));
    await expect(fetchAll(throwing.port, 'a')).rejects.toThrow('0 not available now: database away');
  });

  it('share one read of one content', async () => {
    let reads = 0;
    const content = bytesContent(new Uint8Array(400_000));
    const counting = {
      ...content,
      read: async (buffer: Uint8Array, offset: number) => ++reads && content.read(buffer, offset),
    };
    const { port } = await world(async () => counting);
    await Promise.all(Array.from({ length: 16 }, () => fetchAll(port, 'a', { blksize: '1468', windowsize: '8' })));
    expect(reads).toBe(Math.ceil(400_000 / 1468 / 128));
  });

  it('go on when memory for packets is short', async () => {
    const { port } = await world(hundred, { cacheBytes: 1 });
    expect((await fetchAll(port, 'a', { blksize: '512', windowsize: '4' })).length).toBe(100_000);
  });
});

describe('refusals', () => {
  it('of writing, text modes and what is not there say why', async () => {
    const { port, events } = await world(async () => ({ code: 1, message: 'nothing of that name' }));
    const one = await client();
    const answers: unknown[] = [];
    for (const packet of [
      writeRequest({ kind: 'write', path: 'a', mode: 'octet', options: new Map() }),
      ask('a', {}, 'netascii'),
      ask('a', {}, 'MAIL'),
      ask('a'),
    ]) {
      one.send(packet, port);
      answers.push((await one.next()).packet);
    }
    expect(answers).toEqual([
      { kind: 'error', code: 2, message: 'nothing can be written here' },
      { kind: 'error', code: 4, message: 'mode netascii is not served: ask for octet (binary)' },
      { kind: 'error', code: 4, message: 'mode mail is not served: ask for octet (binary)' },
      { kind: 'error', code: 1, message: 'nothing of that name' },
    ]);
    expect(events).toHaveLength(4);
  });

  it('of too many transfers and of floods leave others alone', async () => {
    const { port, event } = await world(hundred, {
      limits: { sessionsPerClient: 2, requestBurst: 4, requestsPerSecond: 0 },
    });
    const clients = await Promise.all([client(), client(), client(), client(), client()]);
    for (const one of clients) one.send(ask('a'), port);
    expect(await event((one) => one.type === 'refused' && one.reason.includes('asks too often'))).toMatchObject({
      path: 'a',
      count: 1,
    });
    expect(await event((one) => one.type === 'refused' && one.reason.startsWith('2 transfers'))).toBeDefined();
  });

  it('of garbage are told once, and nothing grows', async () => {
    const { port, events, serving, event } = await world(hundred);
    const one = await client();
    const random = seeded(8);
    for (let i = 0; i < 3000; i++) {
      one.send(
        Uint8Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * 256)),
        port,
      );
      if (i % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
    }
    await event(({ type }) => type === 'malformed');
    expect((await fetchAll(port, 'a')).length).toBe(100_000);
    expect(events.filter(({ type }) => type === 'malformed')).toHaveLength(1);
    expect(serving.sessions()).toBeLessThan(5);
  });
});

describe('strangers', () => {
  it('cannot steer a transfer from another port or through another socket', async () => {
    const { port } = await world(hundred);
    const one = await client();
    const stranger = await client();
    one.send(ask('a'), port);
    const { port: transferPort } = await one.next();
    stranger.send(writeError(0, 'stop'), transferPort);
    stranger.send(writeAck(1), transferPort);
    one.send(writeAck(1), transferPort);
    expect((await one.next()).packet).toMatchObject({ kind: 'data', block: 2 });
  });
});

describe('a directory', () => {
  function directory(): string {
    const top = mkdtempSync(join(tmpdir(), 'uc-tftp-'));
    closing.push(() => rmSync(top, { recursive: true }));
    mkdirSync(join(top, 'root/grub'), { recursive: true });
    writeFileSync(join(top, 'root/grub/grub.cfg'), 'menu');
    writeFileSync(join(top, 'secret'), 'secret');
    writeFileSync(join(top, 'root/big'), HUNDRED);
    symlinkSync(join(top, 'secret'), join(top, 'root/out'));
    symlinkSync('grub/grub.cfg', join(top, 'root/in'));
    return join(top, 'root');
  }

  it('is served, and nothing outside it', async () => {
    const { port } = await world(directoryContent(directory()));
    for (const path of ['grub/grub.cfg', '/grub/grub.cfg', '//grub//./grub.cfg', 'in'])
      expect(Buffer.from(await fetchAll(port, path)).toString()).toBe('menu');
    const refused = {
      '../secret': '2 ',
      'grub/../../secret': '2 ',
      '..\\secret': '2 ',
      '/': '2 ',
      '/etc/passwd': '1 ',
      grub: '1 ',
      out: '1 ',
      absent: '1 ',
    };
    for (const [path, code] of Object.entries(refused)) await expect(fetchAll(port, path)).rejects.toThrow(code);
  });

  it('opens a file once for many transfers, and closes it after the last', async () => {
    const root = directory();
    const open = directoryContent(root);
    const handles = (): number =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`) === join(root, 'big');
        } catch {
          return false;
        }
      }).length;
    const taken = await Promise.all(Array.from({ length: 20 }, () => open('big', { address: '127.0.0.1', port: 1 })));
    expect(handles()).toBe(1);
    for (const content of taken) if ('close' in content) content.close();
    await expect.poll(handles).toBe(0);
  });
});

describe('stopping', () => {
  it('tells clients, closes its own sockets and leaves the request socket open', async () => {
    const { port, serving, events } = await world(hundred);
    const one = await client();
    one.send(ask('a'), port);
    await one.next();
    await serving.stop();
    expect((await one.next()).packet).toMatchObject({ kind: 'error', message: 'the server stops' });
    expect(events.at(-1)).toMatchObject({ type: 'ended', end: 'stopped' });
  });
});
