/**
 * Gives neighbours what this node has of an image: raw chunks from its disk, verified when they came there. Over plain HTTP, to whoever shows
 * the image's token; an eavesdropper on the provisioning network sees no more than the store's own answers show him. Bounded, so
 * that the node's own write comes first: transfers at one time, bytes a second, connections, and time for each of them.
 */
import { timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { NEIGHBOUR_HEADER } from '../../ipa/index.ts';

export interface ShareOptions {
  /** sha256 of the image's index. */
  image: string;
  chunks: number;
  lengthOf(chunk: number): number;
  read(buffer: Buffer, position: number): Promise<void>;
  chunkSize: number;
  host?: string | undefined;
  port: number;
  limits?: Partial<ShareLimits>;
}

export interface ShareLimits {
  /** Chunks that are given at one time; who asks beyond is told to come back. */
  transfers: number;
  /** About half of a gigabit port. */
  bytesPerSecond: number;
  connections: number;
  /** ms until a transfer that its reader does not take is cut. */
  transferMs: number;
}

const LIMITS: ShareLimits = { transfers: 4, bytesPerSecond: 64_000_000, connections: 64, transferMs: 10_000 };

export interface Share {
  readonly port: number;
  /** A chunk is on the disk, and verified. */
  have(chunk: number): void;
  /** Whoever shows one of these is let in. */
  accept(tokens: readonly string[]): void;
  /** Raw bytes given so far. */
  readonly given: number;
  close(): Promise<void>;
}

export async function shareChunks(options: ShareOptions): Promise<Share> {
  const { image, chunks, chunkSize, lengthOf, read } = options;
  const limits = { ...LIMITS, ...options.limits };
  const map = Buffer.alloc(Math.ceil(chunks / 8));
  let accepted: Buffer[] = [];
  let busy = 0;
  let given = 0;
  /** When the bytes that were promised so far will have gone at the agreed pace; ms. */
  let paced = 0;

  function isKnown(shown: string | string[] | undefined): boolean {
    if (typeof shown !== 'string') return false;
    const bytes = Buffer.from(shown);
    return accepted.some((token) => token.length === bytes.length && timingSafeEqual(token, bytes));
  }

  function refuse(response: http.ServerResponse, status: number, text: string) {
    response.writeHead(status, { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(text) }).end(text);
  }

  async function give(response: http.ServerResponse, chunk: number) {
    const length = lengthOf(chunk);
    const now = performance.now();
    paced = Math.max(paced, now) + (1000 * length) / limits.bytesPerSecond;
    if (paced - now > 20) await delay(paced - now);
    const buffer = Buffer.allocUnsafeSlow(length);
    await read(buffer, chunk * chunkSize);
    const cut = setTimeout(() => response.destroy(), limits.transferMs);
    try {
      await new Promise<void>((resolve) => {
        response.on('close', resolve);
        response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': length }).end(buffer);
      });
    } finally {
      clearTimeout(cut);
    }
    if (response.writableFinished) given += length;
  }

  async function answer(request: http.IncomingMessage, response: http.ServerResponse) {
    request.resume();
    const [, of, what, number] =
      /^\/neighbours\/([0-9a-f]{64})\/(have|chunks)(?:\/(\d{1,9}))?$/.exec(request.url ?? '') ?? [];
    if (request.method !== 'GET' || of !== image) return refuse(response, 404, 'There is nothing of the kind here.\n');
    if (!isKnown(request.headers[NEIGHBOUR_HEADER]))
      return refuse(response, 401, 'This image is given to those who have its token.\n');
    if (what === 'have') {
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': map.length }).end(map);
      return;
    }
    const chunk = Number(number ?? -1);
    if (chunk < 0 || chunk >= chunks || !(map[chunk >> 3]! & (1 << (chunk & 7))))
      return refuse(response, 404, 'That chunk is not here.\n');
    if (busy >= limits.transfers) return refuse(response, 503, 'Others are being served.\n');
    busy++;
    try {
      await give(response, chunk);
    } finally {
      busy--;
    }
  }

  const server = http.createServer(
    {
      headersTimeout: 5000,
      requestTimeout: 5000,
      keepAliveTimeout: 15_000,
      connectionsCheckingInterval: 2000,
      maxHeaderSize: 4096,
    },
    // A disk that cannot be read is its own write's to tell; the neighbour goes elsewhere.
    (request, response) => answer(request, response).catch(() => response.destroy()),
  );
  server.maxConnections = limits.connections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    have(chunk) {
      map[chunk >> 3]! |= 1 << (chunk & 7);
    },
    accept(tokens) {
      accepted = tokens.map((token) => Buffer.from(token));
    },
    get given() {
      return given;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
