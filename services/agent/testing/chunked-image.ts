/** Test images: packs raw bytes into chunks, and serves files over HTTP with the faults that a test asks for. */
import { hash, randomBytes } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { zstdCompressSync } from 'node:zlib';
import { CHUNK_SIZE, type ChunkIndex, type ChunkRef, encodeChunkIndex, frameSum } from '../../ipa/index.ts';

export const MIB = 1_048_576;
const ZERO = Buffer.alloc(CHUNK_SIZE);

export interface PackedImage {
  raw: Buffer;
  index: ChunkIndex;
  indexText: string;
  indexSha256: string;
  objects: Map<string, Buffer>;
}

/** Objects of about `objectBytes` compressed bytes; equal chunks share a frame. Format 1 knows no sums of frames. */
export function packImage(raw: Buffer, objectBytes = 4 * MIB, format: 1 | 2 = 2): PackedImage {
  const objects: Buffer[][] = [];
  const seen = new Map<string, ChunkRef>();
  let open: Buffer[] = [];
  let used = 0;
  const chunks: ChunkIndex['chunks'] = [];
  for (let at = 0; at < raw.length; at += CHUNK_SIZE) {
    const piece = raw.subarray(at, at + CHUNK_SIZE);
    if (piece.equals(ZERO.subarray(0, piece.length))) {
      chunks.push(null);
      continue;
    }
    const sum = hash('sha256', piece, 'hex');
    const same = seen.get(sum);
    if (same) {
      chunks.push(same);
      continue;
    }
    const frame = zstdCompressSync(piece);
    if (open.length === 0 || used + frame.length > objectBytes) {
      open = [];
      used = 0;
      objects.push(open);
    }
    const ref: ChunkRef = [objects.length - 1, used, frame.length, sum];
    if (format === 2) ref.push(frameSum(frame));
    open.push(frame);
    used += frame.length;
    seen.set(sum, ref);
    chunks.push(ref);
  }
  const packed = objects.map((frames) => Buffer.concat(frames));
  const index: ChunkIndex = {
    format: `undercloud.chunks/${format}`,
    size: raw.length,
    chunkSize: CHUNK_SIZE,
    objects: packed.map((data, i) => ({ name: `object-${i}`, size: data.length, sha256: hash('sha256', data, 'hex') })),
    chunks,
  };
  const indexText = encodeChunkIndex(index);
  return {
    raw,
    index,
    indexText,
    indexSha256: hash('sha256', indexText, 'hex'),
    objects: new Map(packed.map((data, i) => [`object-${i}`, data])),
  };
}

/** Random data in chunks named by 'x', zeros by '.': a map of an image, one letter a MiB; equal letters are equal chunks. */
export function drawnImage(map: string): Buffer {
  const kinds = new Map<string, Buffer>();
  return Buffer.concat(
    [...map].map((letter) => {
      if (letter === '.') return Buffer.alloc(MIB);
      if (letter === 'x') return randomBytes(MIB);
      const known = kinds.get(letter) ?? randomBytes(MIB);
      kinds.set(letter, known);
      return known;
    }),
  );
}

export interface ServedFile {
  data: Buffer;
  /** Cuts the connection after so many bytes of an answer, for the first `times` answers. */
  cut?: { after: number; times: number };
  /** Spoils the byte at this offset in the first `times` answers that hold it. */
  spoil?: { at: number; times: number };
  /** Answers this status instead, for the first `times` requests. */
  refuse?: { status: number; times: number };
  /** Answers 200 with everything, whatever range was asked for. */
  ignoresRanges?: boolean;
  /** Answers headers and then nothing, for the first `times` requests. */
  stall?: { times: number };
  /** Awaited before each answer. */
  answers?: () => Promise<void>;
}

export interface FileServer {
  url(name: string): string;
  files: Map<string, ServedFile>;
  requests: { name: string; range: string | undefined }[];
  /** Closes kept connections, as a server does after some seconds. */
  closeIdle(): void;
  close(): Promise<void>;
}

export async function serveFiles(given: Record<string, ServedFile | Buffer> = {}): Promise<FileServer> {
  const files = new Map(
    Object.entries(given).map(([name, file]) => [name, Buffer.isBuffer(file) ? { data: file } : file]),
  );
  const requests: FileServer['requests'] = [];
  const once = (fault: { times: number } | undefined) => fault !== undefined && fault.times-- > 0;
  const server = http.createServer(async (request, response) => {
    const name = (request.url ?? '/').slice(1).replace(/\?.*/, '');
    const range = request.headers.range;
    requests.push({ name, range });
    const file = files.get(name);
    if (!file) return response.writeHead(404).end('no such file');
    await file.answers?.();
    if (once(file.refuse)) return response.writeHead(file.refuse!.status).end('refused');
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
    const ranged = from !== undefined && !file.ignoresRanges;
    const start = ranged ? Number(from) : 0;
    const end = ranged && to ? Math.min(Number(to) + 1, file.data.length) : file.data.length;
    if (ranged && start >= file.data.length) return response.writeHead(416).end();
    let body = Buffer.from(file.data.subarray(start, end));
    if (file.spoil && file.spoil.at >= start && file.spoil.at < end && once(file.spoil))
      body[file.spoil.at - start]! ^= 0xff;
    const headers: http.OutgoingHttpHeaders = { 'content-length': body.length, etag: `"${name}"` };
    if (ranged) headers['content-range'] = `bytes ${start}-${end - 1}/${file.data.length}`;
    response.writeHead(ranged ? 206 : 200, headers);
    if (once(file.stall)) return response.flushHeaders();
    if (file.cut && body.length > file.cut.after && once(file.cut)) {
      body = body.subarray(0, file.cut.after);
      return response.write(body, () => response.destroy());
    }
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: (name) => `http://127.0.0.1:${port}/${name}`,
    files,
    requests,
    closeIdle: () => server.closeIdleConnections(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Serves a packed image; answers the `chunks` of its image_info. */
export function offerImage(server: FileServer, image: PackedImage) {
  server.files.set('index', { data: Buffer.from(image.indexText) });
  for (const [name, data] of image.objects) server.files.set(name, { data });
  return {
    index_url: server.url('index'),
    index_sha256: image.indexSha256,
    objects: Object.fromEntries(
      [...image.objects.keys()].map((name) => [name, server.url(`${name}?signature=secret`)]),
    ),
  };
}
