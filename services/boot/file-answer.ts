/** One file over HTTP, as firmware and agents fetch it: HEAD, GET, one range, validators, and how much went out. */
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { descriptorOf, sendFile, smallestSent } from '../core/http/send-file.ts';

/** What is to be sent: a file on disk, or bytes made on the fly. */
export type Served =
  | { readonly file: string; readonly type: string }
  | { readonly bytes: Uint8Array; readonly type: string; readonly etag: string };

export interface Sent {
  readonly status: number;
  /** Bytes of the body that the client's side took. */
  readonly bytes: number;
  /** Of the whole file. */
  readonly size: number;
  readonly whole: boolean;
  readonly tookMs: number;
}

export interface Watch {
  onProgress(bytes: number, size: number): void;
  onEnd(sent: Sent): void;
}

const chunk = 256 * 1024;
const progressMs = 1000;
/** Who has not taken a byte for so long is not there any more: firmware that is reset says no goodbye. */
const goneAfterMs = 60_000;

/** Answers the request. Rejects with ENOENT where there is no such file. */
export async function answerFile(
  request: FastifyRequest,
  reply: FastifyReply,
  served: Served,
  watch: Watch,
  patienceMs = goneAfterMs,
): Promise<FastifyReply> {
  const facts = await factsOf(served);
  const { size, etag } = facts;
  const startedAt = performance.now();
  reply.header('etag', etag).header('accept-ranges', 'bytes').type(served.type);
  if (facts.modified) reply.header('last-modified', facts.modified);
  reply.header('cache-control', 'no-store');
  const range = rangeOf(request, etag, size);
  const { from, to } = range === 'whole' || range === 'none' ? { from: 0, to: size } : range;
  const expected = range === 'none' ? 0 : to - from;
  let status = 200;
  if (request.headers['if-none-match'] === etag) status = 304;
  else if (range === 'none') status = 416;
  else if (range !== 'whole') status = 206;
  if (status === 206) reply.header('content-range', `bytes ${from}-${to - 1}/${size}`);
  if (status === 416) reply.header('content-range', `bytes */${size}`);
  reply.status(status);

  const { socket } = request.raw;
  const before = socket.bytesWritten;
  let headers = 0;
  let bySendfile = 0;
  // What the kernel has taken of this answer, headers aside: more than the client has, but never more than was sent.
  const gone = () => bySendfile || Math.min(expected, Math.max(0, socket.bytesWritten - before - headers));
  const isBody = status < 300 && request.method === 'GET';
  let taken = 0;
  let stoodMs = 0;
  const look = () => {
    const bytes = gone();
    stoodMs = bytes > taken ? 0 : stoodMs + progressMs;
    // What stands still is no progress, and no sign of life.
    if (bytes > taken) watch.onProgress(bytes, size);
    else if (stoodMs >= patienceMs) socket.destroy();
    taken = bytes;
  };
  const progress = isBody ? setInterval(look, progressMs) : undefined;
  progress?.unref();
  reply.raw.once('close', () => {
    clearInterval(progress);
    const whole = reply.raw.writableFinished;
    const bytes = isBody ? (whole ? expected : gone()) : 0;
    watch.onEnd({ status, bytes, size, whole, tookMs: performance.now() - startedAt });
  });

  if (status === 416) return reply.type('text/plain').send(`There are ${size} bytes; the range lies outside.\n`);
  if (status === 304) return reply.send();
  reply.header('content-length', expected);
  headers = 400;
  if (request.method === 'HEAD') return reply.send(Readable.from([]));
  if ('bytes' in served) return reply.send(Buffer.from(served.bytes.subarray(from, to)));
  if (expected === 0) return reply.send(Buffer.alloc(0));
  // A connection that still has an earlier answer to send is not ours to write to yet; TLS has no descriptor to send to.
  const isDirect = reply.raw.socket === socket && descriptorOf(socket) !== undefined;
  if (!isDirect || expected < smallestSent)
    return reply.send(createReadStream(served.file, { start: from, end: to - 1, highWaterMark: chunk }));
  const file = await open(served.file, 'r');
  reply.hijack();
  reply.raw.writeHead(status, reply.getHeaders() as Record<string, string | number>);
  reply.raw.flushHeaders();
  try {
    const sent = await sendFile(socket, file, from, to, (bytes) => {
      bySendfile = bytes;
    });
    if (sent === expected) reply.raw.end();
    else socket.destroy();
  } catch {
    // Headers are out: a connection that breaks is all that can still be said.
    socket.destroy();
  } finally {
    await file.close();
  }
  return reply;
}

async function factsOf(served: Served): Promise<{ size: number; etag: string; modified?: string }> {
  if ('bytes' in served) return { size: served.bytes.length, etag: served.etag };
  const facts = await stat(served.file);
  if (!facts.isFile()) throw Object.assign(new Error(`${served.file} is no file`), { code: 'ENOENT' });
  const etag = `"${facts.size.toString(16)}-${Math.floor(facts.mtimeMs).toString(16)}"`;
  return { size: facts.size, etag, modified: facts.mtime.toUTCString() };
}

/** RFC 9110 section 14.2: what is not one satisfiable range of bytes is answered with the whole file, or with 416. */
function rangeOf(
  request: FastifyRequest,
  etag: string,
  size: number,
): { readonly from: number; readonly to: number } | 'whole' | 'none' {
  const match = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '');
  const condition = request.headers['if-range'];
  if (!match || (condition !== undefined && condition !== etag)) return 'whole';
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return 'whole';
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'none' : { from: size - length, to: size };
  }
  const from = Number(first);
  const to = last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && Number(last) < from) return 'whole';
  return from >= size ? 'none' : { from, to };
}
