import type { Socket } from 'node:dgram';
import { formatAddress, parseAddress } from './address.ts';

/**
 * Where datagrams come from and go to: what `core/datagrams.ts` makes of a descriptor, or an ordinary socket of Node's. Addresses are numbers.
 */
export interface DatagramPort {
  /** Calls for each datagram; the bytes are the receiver's to keep. Returns the way out. */
  listen(received: (bytes: Uint8Array, address: number, port: number) => void): () => void;
  /** Takes a copy of the bytes. */
  send(bytes: Uint8Array, address: number, port: number, failed: (reason: string) => void): void;
}

export function portOver(socket: Socket | DatagramPort): DatagramPort {
  if ('listen' in socket) return socket;
  return {
    listen(received) {
      const onMessage = (bytes: Buffer, remote: { address: string; port: number }): void =>
        received(bytes, parseAddress(remote.address) ?? 0, remote.port);
      socket.setBroadcast(true);
      socket.on('message', onMessage);
      return () => socket.off('message', onMessage);
    },
    send(bytes, address, port, failed) {
      socket.send(Buffer.from(bytes), port, formatAddress(address), (error) => {
        if (error) failed(error.message);
      });
    },
  };
}
