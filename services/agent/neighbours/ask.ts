/** Asks one neighbour for what it has. Nothing that it does costs more than a bounded time and a bounded number of bytes. */
import http from 'node:http';
import { NEIGHBOUR_HEADER, type NeighbourAddress, neighbourName } from '../../ipa/index.ts';

/**
 * busy: it says that it cannot now. slow: nothing came in time, which a machine that is busy otherwise does once, and one that is ill again
 * and again. offence: it is gone, or says what is not so; it is not asked again.
 */
export type NeighbourFaultKind = 'busy' | 'slow' | 'offence';

export class NeighbourFault extends Error {
  override name = 'NeighbourFault';
  readonly kind: NeighbourFaultKind;
  constructor(kind: NeighbourFaultKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface AskTiming {
  /** ms without a byte. */
  idleMs: number;
  /** ms for all of a chunk: 1 MiB in it is 0.8 Mbit/s, below which the store is the better way however crowded. */
  chunkMs: number;
}

/** Emulated nodes that write at full speed were seen to answer after four seconds; and what is asked of one keeps nobody from the others. */
export const ASK_TIMING: AskTiming = { idleMs: 5000, chunkMs: 10_000 };

export interface Asker {
  /** Its map of chunks: exactly `bytes` long. */
  have(neighbour: NeighbourAddress, token: string, bytes: number, signal: AbortSignal): Promise<Buffer>;
  /** Exactly `length` raw bytes, not verified yet. */
  chunk(
    neighbour: NeighbourAddress,
    token: string,
    chunk: number,
    length: number,
    signal: AbortSignal,
  ): Promise<Buffer>;
  close(): void;
}

export function createAsker(image: string, timing: AskTiming = ASK_TIMING): Asker {
  const pool = new http.Agent({ keepAlive: true, maxSockets: 3, maxFreeSockets: 3 });

  function get(
    neighbour: NeighbourAddress,
    token: string,
    path: string,
    length: number,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const url = `http://${neighbourName(neighbour)}/neighbours/${image}/${path}`;
    return new Promise((resolve, reject) => {
      const request = http.get(url, { agent: pool, signal, headers: { [NEIGHBOUR_HEADER]: token } });
      const end = (kind: NeighbourFaultKind, why: string) => {
        reject(new NeighbourFault(kind, why));
        request.destroy();
      };
      const offence = (why: string) => end('offence', why);
      const deadline = setTimeout(() => end('slow', `it took longer than ${timing.chunkMs / 1000} s`), timing.chunkMs);
      request.on('close', () => clearTimeout(deadline));
      request.setTimeout(timing.idleMs, () => end('slow', `no byte came for ${timing.idleMs / 1000} s`));
      request.on('error', (error) => offence(error.message));
      request.on('response', (response) => {
        const { statusCode = 0 } = response;
        // 401: tokens change, and one of the two has not heard of it yet. 404: it wrote something else since.
        if (statusCode !== 200) {
          response.resume();
          const kind = [401, 503].includes(statusCode) ? 'busy' : 'offence';
          return reject(new NeighbourFault(kind, `it answered ${statusCode}`));
        }
        if (Number(response.headers['content-length']) !== length)
          return offence(`it announced ${response.headers['content-length'] ?? 'no'} bytes for ${length}`);
        const body = Buffer.allocUnsafeSlow(length);
        let filled = 0;
        response.on('data', (piece: Buffer) => {
          filled += piece.copy(body, filled);
        });
        response.on('end', () => (filled === length ? resolve(body) : offence('its answer was cut short')));
        response.on('error', (error) => offence(error.message));
        response.on('aborted', () => offence('its answer was cut short'));
      });
    });
  }

  return {
    have: (neighbour, token, bytes, signal) => get(neighbour, token, 'have', bytes, signal),
    chunk: (neighbour, token, chunk, length, signal) => get(neighbour, token, `chunks/${chunk}`, length, signal),
    close: () => pool.destroy(),
  };
}
