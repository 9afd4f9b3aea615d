import type { Socket } from 'node:dgram';

/**
 * Where datagrams come from and go to: what `core/datagrams.ts` makes of a descriptor, or an ordinary socket of Node's. IPv4 addresses are
 * numbers: a transfer sends and receives ten thousand times, and text would be made and read each time.
 */
export interface DatagramPort {
  /** Calls for each datagram. Returns the way out. */
  listen(received: (bytes: Uint8Array, address: number, port: number) => void): () => void;
  /** Takes a copy of the bytes. With `segment`, they are several datagrams of that many bytes each, the last perhaps shorter. */
  send(bytes: Uint8Array, address: number, port: number, failed?: (reason: string) => void, segment?: number): void;
}

/** A port of our own: `close` resolves when what was sent has left. */
export interface TransferPort extends DatagramPort {
  /** Told when many transfers begin to be under way, and when they are few again: answers to many may wait for one another. */
  gather?(isWanted: boolean): void;
  close(): Promise<void>;
}

export function transferPort(socket: Socket | TransferPort): TransferPort {
  return 'listen' in socket ? socket : over(socket);
}

export function portOver(socket: Socket | DatagramPort): DatagramPort {
  return 'listen' in socket ? socket : over(socket);
}

function over(socket: Socket): TransferPort {
  const leaving = new Set<Promise<void>>();
  const sendOne = (bytes: Uint8Array, address: number, port: number, failed?: (reason: string) => void): void => {
    const left = new Promise<void>((resolve) => {
      socket.send(Buffer.from(bytes), port, addressText(address), (error) => {
        if (error) failed?.(error.message);
        resolve();
      });
    });
    leaving.add(left);
    left.then(() => leaving.delete(left));
  };
  return {
    listen(received) {
      const onMessage = (bytes: Buffer, remote: { address: string; port: number }): void =>
        received(bytes, addressNumber(remote.address), remote.port);
      socket.on('message', onMessage);
      return () => socket.off('message', onMessage);
    },
    send(bytes, address, port, failed, segment = 0) {
      const step = segment > 0 ? segment : bytes.length;
      let at = 0;
      do {
        sendOne(bytes.subarray(at, at + step), address, port, failed);
        at += step;
      } while (at < bytes.length);
    },
    async close() {
      await Promise.all(leaving);
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

export function addressText(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

function addressNumber(text: string): number {
  let value = 0;
  for (const part of text.split('.')) value = value * 256 + Number(part);
  return value;
}
