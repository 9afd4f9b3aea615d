/**
 * A part of a file to a TCP connection by sendfile(2): the bytes go from the page cache to the socket inside the kernel. Node reads
 * them into its memory and writes them out again, which costs three to five times as much CPU.
 *
 * The event loop tells nobody that a connection takes more, unless Node itself writes to it. So this takes turns: sendfile until the
 * connection is full, then one small piece by Node, whose callback says that there is room again. sendfile runs on libuv's threads,
 * since the disk may have to be waited for, and on a duplicate of the descriptor, since Node may close its own meanwhile and the number
 * would be another connection's.
 */
import { closeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const dup = libc.func('int dup(int fd)');
const sendfile = libc.func('int64_t sendfile64(int out, int in, _Inout_ int64_t *offset, size_t count)');

/** One call's share: other connections wait for the thread as long. */
const mostAtOnce = 4 << 20;
/** What Node writes itself between two calls. */
const piece = 16 << 10;
/** Below this Node's own way is as cheap. */
export const smallestSent = 128 << 10;

/** The connection's descriptor; undefined where it is no plain TCP connection (TLS encrypts in Node's memory). */
export function descriptorOf(socket: Socket): number | undefined {
  if ('encrypted' in socket) return undefined;
  const fd = (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd;
  return fd !== undefined && fd >= 0 ? fd : undefined;
}

/**
 * Sends bytes `from` (included) to `to` (excluded) of the file. Whatever was written to the connection before has gone out first.
 * Resolves with the number of bytes that the kernel has taken: fewer where the connection broke or the file ended. The file stays open.
 */
export async function sendFile(
  socket: Socket,
  file: FileHandle,
  from: number,
  to: number,
  onProgress: (bytes: number) => void = () => {},
): Promise<number> {
  // It broke while its file was opened.
  if (socket.destroyed) return 0;
  const own = descriptorOf(socket);
  const out = own === undefined ? -1 : (dup(own) as number);
  if (out < 0) throw new Error('sendFile: this connection has no descriptor of its own');
  try {
    return await pump(socket, out, file, from, to, onProgress);
  } finally {
    closeSync(out);
  }
}

async function pump(
  socket: Socket,
  out: number,
  file: FileHandle,
  from: number,
  to: number,
  onProgress: (bytes: number) => void,
): Promise<number> {
  let at = from;
  const buffer = Buffer.allocUnsafe(piece);
  while (at < to && !socket.destroyed) {
    // By Node: it waits until what was written before, and this, is in the kernel.
    const { bytesRead } = await file.read(buffer, 0, Math.min(piece, to - at), at);
    if (bytesRead === 0) break;
    if (!(await written(socket, buffer.subarray(0, bytesRead)))) break;
    at += bytesRead;
    while (at < to && !socket.destroyed) {
      const sent = await sendPart(out, file.fd, at, Math.min(mostAtOnce, to - at));
      if (sent <= 0) break;
      at += sent;
    }
    onProgress(at - from);
  }
  return at - from;
}

/** Negative where the connection takes no more now, or is broken: Node's next write finds out which. */
function sendPart(out: number, file: number, at: number, count: number): Promise<number> {
  return new Promise((resolve, reject) => {
    sendfile.async(out, file, [at], count, (error: Error | null, sent: number) =>
      error ? reject(error) : resolve(sent),
    );
  });
}

function written(socket: Socket, bytes: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const closed = (): void => resolve(false);
    socket.once('close', closed);
    socket.write(bytes, (error) => {
      socket.off('close', closed);
      resolve(!error);
    });
  });
}
