import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fault } from '../core/errors/index.ts';
import { reason } from './thrown.ts';

/** One connection to a QEMU's monitor (QMP: one JSON object a line, answers in the order of the questions). */

interface QmpMessage {
  QMP?: unknown;
  return?: unknown;
  error?: { class?: string; desc?: string };
  event?: string;
  data?: Record<string, unknown>;
}

interface Waiting {
  command: string;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

export class Qmp {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  /** Settles when QEMU closes the connection, which it does only by ending. */
  readonly closed: Promise<void>;
  onEvent: (event: string, data: Readonly<Record<string, unknown>>) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
    lines.on('line', (line) => this.#take(line));
    // An error is always followed by close, and close is all that matters here; readline repeats its input's errors as its own.
    socket.on('error', () => {});
    lines.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        for (const waiting of this.#waiting.splice(0)) {
          waiting.reject(fault('lab-qemu', { fault: `ended before it answered ${waiting.command}` }));
        }
        resolve();
      });
    });
  }

  /** Connects and leaves negotiation mode. Rejects when nobody listens there (`ENOENT`, `ECONNREFUSED`: QEMU is not up yet, or gone). */
  static async open(path: string): Promise<Qmp> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const qmp = new Qmp(socket);
    await qmp.ask('qmp_capabilities');
    return qmp;
  }

  ask(command: string, given?: Record<string, unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(fault('lab-qemu', { fault: `is gone and cannot be asked for ${command}` }));
        return;
      }
      this.#waiting.push({ command, resolve, reject });
      this.#socket.write(`${JSON.stringify(given ? { execute: command, arguments: given } : { execute: command })}\n`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(line: string): void {
    let message: QmpMessage;
    try {
      message = JSON.parse(line) as QmpMessage;
    } catch (thrown) {
      this.#socket.destroy(new Error(`QEMU's monitor sent something that is not JSON: ${reason(thrown)}`));
      return;
    }
    if (message.event) {
      this.onEvent(message.event, message.data ?? {});
      return;
    }
    if (message.QMP) return;
    const waiting = this.#waiting.shift();
    if (!waiting) return;
    if (message.error)
      waiting.reject(
        fault('lab-qemu', { fault: `refused ${waiting.command}: ${message.error.desc ?? 'no reason given'}` }),
      );
    else waiting.resolve(message.return);
  }
}
