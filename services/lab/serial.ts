import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { bannerKey } from './banner-key.ts';
import type { NodeLayout } from './layout.ts';
import { solPort } from './qemu.ts';

/**
 * The serial line of one node. QEMU's socket takes one client only, and two want it: the BMC's SOL and `lab console`. So the owner of the
 * machines is that one client, and passes on what the guest says to everybody attached, and what anybody types to the guest. QEMU itself
 * writes the log, so nothing is lost from it while the owner is away.
 */

const historyBytes = 16 * 1024;
/** A reader that lags this far behind is dropped; it can attach again and finds the rest in the log. */
const mostUnread = 1024 * 1024;

export class SerialLine {
  readonly #layout: NodeLayout;
  readonly #index: number;
  readonly #readers = new Set<Socket>();
  /** Those of them that are somebody at `lab console`; the others are the BMC. */
  readonly #consoles = new Set<Socket>();
  readonly #servers: Server[] = [];
  #history: Buffer;
  #guest: Socket | undefined;
  #tap: (data: Buffer) => void = () => {};

  constructor(index: number, layout: NodeLayout) {
    this.#index = index;
    this.#layout = layout;
    this.#history = tail(layout.consoleLog, historyBytes);
  }

  /** Opens the two doors: a unix socket for `lab console` and a loopback port for SOL. */
  async listen(): Promise<void> {
    rmSync(this.#layout.console, { force: true });
    await this.#open((server) => server.listen(this.#layout.console), true);
    // ipmi_sim keeps a SOL history of its own, so it gets the live line only.
    await this.#open((server) => server.listen(solPort(this.#index), '127.0.0.1'), false);
  }

  /** Takes QEMU's end of the line. Call when QEMU is up; the line drops by itself when QEMU ends. */
  attach(): void {
    this.#guest?.destroy();
    const guest = connect(this.#layout.serial);
    this.#guest = guest;
    const press = bannerKey(
      (typed) => guest.write(typed),
      () => this.#consoles.size === 0,
    );
    guest.on('data', (data) => {
      press(data);
      this.#heard(data);
    });
    guest.on('error', () => {});
    guest.on('close', () => {
      if (this.#guest === guest) this.#guest = undefined;
    });
  }

  /** Hears the line within this process; returns the way to type on it. One at a time: the BMC. */
  tap(heard: (data: Buffer) => void): (typed: Buffer) => void {
    this.#tap = heard;
    return (typed) => void this.#guest?.write(typed);
  }

  untap(): void {
    this.#tap = () => {};
  }

  close(): void {
    this.#guest?.destroy();
    for (const server of this.#servers) server.close();
    for (const reader of this.#readers) reader.destroy();
    rmSync(this.#layout.console, { force: true });
  }

  async #open(listen: (server: Server) => void, withHistory: boolean): Promise<void> {
    const server = createServer((reader) => {
      this.#readers.add(reader);
      reader.setNoDelay(true);
      if (withHistory) {
        this.#consoles.add(reader);
        reader.write(this.#history);
      }
      reader.on('data', (data) => this.#guest?.write(data));
      reader.on('error', () => {});
      reader.on('close', () => {
        this.#readers.delete(reader);
        this.#consoles.delete(reader);
      });
    });
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.once('listening', resolve);
      listen(server);
    });
  }

  #heard(data: Buffer): void {
    this.#history = Buffer.concat([this.#history, data]).subarray(-historyBytes);
    this.#tap(data);
    for (const reader of this.#readers) {
      if (reader.writableLength > mostUnread) reader.destroy();
      else reader.write(data);
    }
  }
}

/** The last `bytes` bytes of a file, empty when there is none. */
export function tail(path: string, bytes: number): Buffer {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return Buffer.alloc(0);
  }
  try {
    const { size } = fstatSync(file);
    const from = Math.max(0, size - bytes);
    const buffer = Buffer.alloc(size - from);
    return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, from));
  } finally {
    closeSync(file);
  }
}
