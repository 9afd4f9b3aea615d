import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { fault } from '../core/errors/index.ts';
import { readDescription } from './description.ts';
import { labLayout } from './layout.ts';
import { isSystemError } from './thrown.ts';

export interface ConsoleOptions {
  stateDir: string;
  /** The node's name, `node-1`. */
  node: string;
  /** Default: the process's terminal. A terminal is put into raw mode for as long as the console is open. */
  input?: Readable & { isTTY?: boolean; setRawMode?: (on: boolean) => unknown };
  output?: Writable;
  signal?: AbortSignal;
}

/**
 * Reads what is typed as ssh does: `~.` after a new line leaves, `~~` is one tilde. Returns the bytes for the guest, and whether to leave.
 * Keeps its state between chunks.
 */
export function escapeReader(): (chunk: Buffer) => { send: Buffer; leave: boolean } {
  let atLineStart = true;
  let tilde = false;
  return (chunk) => {
    const send: number[] = [];
    for (const byte of chunk) {
      if (tilde) {
        tilde = false;
        if (byte === 0x2e) return { send: Buffer.from(send), leave: true };
        send.push(0x7e);
        if (byte === 0x7e) {
          atLineStart = false;
          continue;
        }
      } else if (byte === 0x7e && atLineStart) {
        tilde = true;
        continue;
      }
      send.push(byte);
      atLineStart = byte === 0x0d || byte === 0x0a;
    }
    return { send: Buffer.from(send), leave: false };
  };
}

/**
 * Attaches to a node's serial line: first the last 16 KiB of what it said, then live, also across power cycles. Resolves on `~.`, at the
 * input's end, on `signal`, or when the lab goes. Everybody attached (SOL too) sees the same line and may type on it.
 */
export async function labConsole(options: ConsoleOptions): Promise<void> {
  const { stateDir, node, input = process.stdin, output = process.stdout, signal } = options;
  const lab = labLayout(stateDir);
  const description = readDescription(stateDir);
  if (!description) throw fault('lab-absent', { directory: lab.directory });
  const names = description.nodes.map((one) => one.name);
  if (!names.includes(node)) throw fault('lab-no-node', { node, nodes: names.join(', ') });

  const socket = connect(lab.node(node).console);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (thrown) =>
      reject(isSystemError(thrown, 'ENOENT', 'ECONNREFUSED') ? fault('lab-no-owner', { node }) : thrown),
    );
  });
  socket.on('error', () => {});
  socket.on('data', (data) => {
    if (!output.write(data)) {
      socket.pause();
      output.once('drain', () => socket.resume());
    }
  });
  const read = escapeReader();
  const typed = (chunk: Buffer | string) => {
    const { send, leave } = read(Buffer.from(chunk));
    if (send.length > 0) socket.write(send);
    if (leave) socket.end();
  };
  const finish = () => socket.end();
  const aborted = () => socket.destroy();
  const raw = input.isTTY === true && input.setRawMode !== undefined;
  if (raw) input.setRawMode?.(true);
  input.on('data', typed);
  input.once('end', finish);
  signal?.addEventListener('abort', aborted, { once: true });
  if (signal?.aborted) aborted();
  try {
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  } finally {
    input.removeListener('data', typed);
    input.removeListener('end', finish);
    signal?.removeEventListener('abort', aborted);
    if (raw) input.setRawMode?.(false);
    input.pause();
  }
}
