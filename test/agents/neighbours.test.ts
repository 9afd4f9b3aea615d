/** Nodes that write one image at the same time: real agents' writers in processes of their own, the real store, and neighbours who mean harm. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { MIB, packImage } from '../../services/agent/testing/chunked-image.ts';
import { type ImageServer, imageServer, sha256 } from '../setup/image-server.ts';

const chunks = 32;
const image = packImage(randomBytes(chunks * MIB));
let store: ImageServer;
let imageInfo: { id: string; chunks: { index_sha256: string; neighbours_url: string; objects: object } };

beforeAll(async () => {
  store = await imageServer();
  const { world, images } = store;
  // The store knows an object by its hash.
  const named = image.index.objects.map((object) => ({ ...object, name: object.sha256 }));
  for (const data of image.objects.values()) await images.putObject(world.context, sha256(data), Readable.from([data]));
  const { id } = await images.create(world.context, { name: 'crowd' });
  const manifest = {
    ...{ format: 'undercloud.image/1' as const, name: 'crowd', key: 'k', size: image.raw.length },
    sha512: '0'.repeat(128),
    boot: { kernelPath: '/vmlinuz', initrdPath: '/initrd.img', commandLine: 'ro' },
  };
  await images.register(world.context, id, { manifest, index: { ...image.index, objects: named } });
  const info = await images.deployInfo(id, { ttl: 600 });
  const at = (path: string | undefined) => `${store.url}${path}`;
  imageInfo = {
    id,
    chunks: {
      ...{ index_url: at(info.index_url), index_sha256: info.index_sha256 ?? '' },
      neighbours_url: at(info.neighbours_url),
      objects: Object.fromEntries(Object.entries(info.objects ?? {}).map(([name, path]) => [name, at(path)])),
    },
  };
});
afterAll(() => store.close());

interface Said {
  done?: number;
  neighbours?: number;
  log?: string;
  failed?: string;
  end?: { written: number; fetched: number; neighbours?: number };
}

/** A node's process; `heard` resolves with the first thing it says that is wanted. */
function startNode(name: string, bytesPerSecond = 64_000_000) {
  const disk = join(store.dir, name);
  writeFileSync(disk, '');
  truncateSync(disk, (chunks + 2) * MIB);
  const fixture = join(import.meta.dirname, 'node.fixture.ts');
  const child: ChildProcess = spawn(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    ...[fixture, disk, JSON.stringify(imageInfo), String(bytesPerSecond)],
  ]);
  onTestFinished(() => {
    child.kill('SIGKILL');
    rmSync(disk);
  });
  const said: Said[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stdout! }).on('line', (line) => {
    said.push(JSON.parse(line) as Said);
    for (const look of waiting) look();
  });
  const heard = (wanted: (one: Said) => boolean): Promise<Said> =>
    new Promise((resolve, reject) => {
      const look = () => {
        const found = said.find((one) => wanted(one) || one.failed);
        if (!found) return;
        waiting.delete(look);
        if (found.failed) reject(new Error(found.failed));
        else resolve(found);
      };
      waiting.add(look);
      look();
    });
  return {
    kill: () => child.kill('SIGKILL'),
    heard,
    logs: () => said.flatMap(({ log }) => log ?? []).join('\n'),
    async ended() {
      const { end } = await heard((one) => one.end !== undefined);
      const { chunks: refs } = image.index;
      const written = readFileSync(disk).subarray(0, refs.length * MIB);
      return { ...end!, same: written.equals(image.raw) };
    },
  };
}

/** Somebody who says that he has everything, and answers each question for a chunk as he likes. */
async function startLiar(answers: (response: http.ServerResponse) => void) {
  let asked = 0;
  const server = http.createServer((request, response) => {
    if (request.url?.endsWith('/have')) return response.end(Buffer.alloc(Math.ceil(chunks / 8), 0xff));
    asked++;
    answers(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`${imageInfo.chunks.neighbours_url}&port=${port}`);
  expect(answer.status).toBe(200);
  return { port, asked: () => asked };
}

it('have most of it from each other, although one of them vanishes in the middle', async () => {
  // It gives 8 MB/s: the others cannot be done before it is gone.
  const first = startNode('first', 8_000_000);
  expect(await first.ended()).toMatchObject({ same: true });
  const others = ['second', 'third', 'fourth'].map((name) => startNode(name));
  await Promise.all(others.map(({ heard }) => heard(({ neighbours }) => (neighbours ?? 0) > 0)));
  first.kill();
  for (const end of await Promise.all(others.map((node) => node.ended()))) {
    expect(end.same).toBe(true);
    expect(end.neighbours).toBeGreaterThan(0);
    expect(end.fetched + (end.neighbours ?? 0)).toBeGreaterThanOrEqual(chunks * MIB);
  }
});

it('lose nothing but a moment by neighbours who lie, stall, cut short or never end', async () => {
  const length = { 'content-length': MIB };
  const liars = await Promise.all([
    // Bytes of the right length that are not the chunk's.
    startLiar((response) => response.writeHead(200, length).end(randomBytes(MIB))),
    startLiar((response) => response.writeHead(200, length).flushHeaders()),
    startLiar(() => {}),
    startLiar((response) => response.writeHead(200, length).write(randomBytes(1000), () => response.destroy())),
    startLiar((response) => {
      response.on('error', () => {});
      const more = () => response.write(randomBytes(65_536), (error) => !error && more());
      response.writeHead(200);
      more();
    }),
    // A byte at a time, so that it is never silent.
    startLiar((response) => {
      response.writeHead(200, length);
      const drip = setInterval(() => response.write('x'), 100);
      response.on('close', () => clearInterval(drip));
    }),
  ]);
  const nodes = ['one', 'two', 'three'].map((name) => startNode(name));
  const ends = await Promise.all(nodes.map((node) => node.ended()));
  for (const [i, end] of ends.entries()) {
    expect(end.same).toBe(true);
    // Nobody is named twice: one offence is the last.
    const named = [...(nodes[i]?.logs() ?? '').matchAll(/neighbour (\S+) is not asked any more/g)].map(
      ([, name]) => name,
    );
    expect(new Set(named).size).toBe(named.length);
  }
  // At most the transfers that were under way with one liar when it was found out, for each node; those who are slow have a second chance.
  const isSlow = (liar: number) => [1, 2, 5].includes(liar);
  for (const [i, liar] of liars.entries()) expect(liar.asked()).toBeLessThanOrEqual(nodes.length * (isSlow(i) ? 4 : 2));
  expect(liars.reduce((sum, liar) => sum + liar.asked(), 0)).toBeGreaterThan(0);
});

it('show nothing to whoever has no token of this image', async () => {
  const node = startNode('shy');
  await node.ended();
  const list = (await (await fetch(`${imageInfo.chunks.neighbours_url}&port=9`)).json()) as {
    tokens: string[];
    neighbours: { address: string; port: number }[];
  };
  const ports = list.neighbours.map(({ port }) => port);
  const header = 'x-undercloud-neighbour';
  const ask = async (port: number, path: string, token?: string) => {
    const headers = token === undefined ? {} : { [header]: token };
    return fetch(`http://127.0.0.1:${port}/neighbours/${path}`, { headers }).catch(() => null);
  };
  const sum = imageInfo.chunks.index_sha256;
  const statuses = async (path: string, token?: string) =>
    (await Promise.all(ports.map((port) => ask(port, path, token)))).flatMap((answer) => answer?.status ?? []);
  // Some on the list are gone by now.
  expect(await statuses(`${sum}/chunks/5`, list.tokens[0])).toContain(200);
  expect(await statuses(`${sum}/chunks/5`)).not.toContain(200);
  expect(await statuses(`${sum}/chunks/5`, 'x'.repeat(32))).not.toContain(200);
  expect(await statuses(`${sum}/have`, '')).not.toContain(200);
  // The first chunk, once the node's own partition table is in it; what is beyond; another image; another word.
  for (const path of [`${sum}/chunks/0`, `${sum}/chunks/4800`, `${'0'.repeat(64)}/chunks/5`, '../etc/passwd'])
    expect(await statuses(path, list.tokens[0])).not.toContain(200);
  // Nobody gets on the list, or sees it, without the signed link.
  for (const url of [
    imageInfo.chunks.neighbours_url.replace(/signature=..../, 'signature=0000'),
    imageInfo.chunks.neighbours_url.replace(sum, '0'.repeat(64)),
  ])
    expect((await fetch(`${url}&port=9`)).status).toBe(403);
  expect((await fetch(`${imageInfo.chunks.neighbours_url}&port=70000`)).status).toBe(400);
});
