import { createSocket } from 'node:dgram';
import { readdirSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { type DatagramOptions, ephemeralPort, type OwnedPort, pauseAfter } from './datagrams.ts';

const loopback = 0x7f000001;
const descriptors = () => readdirSync('/proc/self/fd').length;

interface Side {
  readonly port: OwnedPort;
  readonly heard: { text: string; from: number }[];
  /** Resolves when so many datagrams have come. */
  until(count: number): Promise<void>;
}

function side(
  options: DatagramOptions = {},
  answer?: (bytes: Uint8Array, from: number, port: OwnedPort) => void,
): Side {
  const port = ephemeralPort('127.0.0.1', options);
  onTestFinished(() => port.close());
  const heard: { text: string; from: number }[] = [];
  const waiting = new Set<() => void>();
  port.listen((bytes, address, from) => {
    expect(address).toBe(loopback);
    heard.push({ text: Buffer.from(bytes).toString(), from });
    answer?.(bytes, from, port);
    for (const wake of waiting) wake();
  });
  return {
    port,
    heard,
    until: (count) =>
      new Promise((resolve) => {
        const look = () => {
          if (heard.length < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

/** The number of the port that a side sends from, learnt by sending. */
async function numberOf(from: Side, to: number, heardBy: Side): Promise<number> {
  const before = heardBy.heard.length;
  from.port.send(Buffer.from('hello'), loopback, to);
  await heardBy.until(before + 1);
  return heardBy.heard[before]?.from ?? 0;
}

/** A socket of Node's, to learn the first number. */
async function pair(options: DatagramOptions = {}) {
  const node = createSocket('udp4');
  await new Promise<void>((resolve) => node.bind(0, '127.0.0.1', resolve));
  onTestFinished(() => void node.close());
  const server = side(options, (bytes, from, port) => port.send(bytes, loopback, from));
  const client = side();
  const learn = (one: Side): Promise<number> =>
    new Promise((resolve) => {
      node.once('message', (_bytes, remote) => resolve(remote.port));
      one.port.send(Buffer.from('?'), loopback, node.address().port);
    });
  const serverNumber = await learn(server);
  expect(await numberOf(client, serverNumber, server)).toBe(await learn(client));
  await client.until(1);
  return { server, client, serverNumber };
}

for (const pacedMs of [0, 2]) {
  it(`answers every datagram of a thousand, in order, ${pacedMs === 0 ? 'as they come' : 'looking every 2 ms while they do'}`, async () => {
    const { client, serverNumber } = await pair({ pacedMs });
    const before = client.heard.length;
    for (let i = 0; i < 1000; i++) {
      client.port.send(Buffer.from(`n${i}`), loopback, serverNumber);
      // What the kernel keeps for a socket is bounded; a client waits for its answers now and then.
      if (i % 50 === 49) await client.until(before + i + 1);
    }
    expect(client.heard.slice(before).map(({ text }) => text)).toEqual(Array.from({ length: 1000 }, (_, i) => `n${i}`));
  });
}

it('looks the sooner the more comes, so that neither a wake nor a burst is for nothing', () => {
  // Found, within how many milliseconds, and the pause: one of 8 ms at most.
  const seen = [
    [0, 8, 8],
    [4, 8, 8],
    [16, 4, 8],
    [32, 4, 4],
    [40, 1, 1],
    [63, 1, 1],
    [64, 30, 1],
  ] as const;
  for (const [found, passedMs, pause] of seen) expect(pauseAfter(found, passedMs, 8)).toBe(pause);
});

it('gathers datagrams while it is asked to and busy, answers each in order, and goes on by the doorbell', async () => {
  const { server, client, serverNumber } = await pair();
  for (const isWanted of [true, false, true]) {
    server.port.gather(isWanted);
    const before = client.heard.length;
    for (let i = 0; i < 400; i++) {
      client.port.send(Buffer.from(`n${i}`), loopback, serverNumber);
      if (i % 40 === 39) await client.until(before + i + 1);
    }
    expect(client.heard.slice(before).map(({ text }) => text)).toEqual(Array.from({ length: 400 }, (_, i) => `n${i}`));
  }
});

it('sends one long buffer as several datagrams, the last one shorter', async () => {
  const { server, client, serverNumber } = await pair();
  const before = server.heard.length;
  client.port.send(Buffer.from('aaaabbbbcc'), loopback, serverNumber, undefined, 4);
  await server.until(before + 3);
  expect(server.heard.slice(before).map(({ text }) => text)).toEqual(['aaaa', 'bbbb', 'cc']);
});

it('tells what could not be sent, and sends the others', async () => {
  const { server, client, serverNumber } = await pair();
  const before = server.heard.length;
  const failed: string[] = [];
  // 65,508 bytes are one more than UDP over IPv4 carries.
  client.port.send(Buffer.alloc(65_508), loopback, serverNumber, (reason) => failed.push(reason));
  client.port.send(Buffer.from('after it'), loopback, serverNumber);
  await server.until(before + 1);
  expect([failed, server.heard.at(-1)?.text]).toEqual([['EMSGSIZE'], 'after it']);
});

it('leaves no descriptor open', async () => {
  const before = descriptors();
  const port = ephemeralPort('127.0.0.1');
  port.listen(() => {});
  await port.close();
  // Node closes its doorbell a turn later.
  while (descriptors() > before) await new Promise((resolve) => setImmediate(resolve));
  expect(descriptors()).toBe(before);
});
