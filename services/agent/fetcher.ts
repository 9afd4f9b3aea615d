/** Bytes of a URL, whatever happens to the connection: ranges, kept connections, bounded retries that go on where it broke. */
import http from 'node:http';
import https from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentFailure, reasonOf } from './failure.ts';

export interface FetcherOptions {
  /** PEM certificates trusted beside the system's. */
  ca?: string | undefined;
  insecure?: boolean;
  connections?: number;
  /** Milliseconds without a byte until a connection counts as lost. */
  idleMs?: number;
  /** Failures in a row, each without a MiB of progress, until the fetch is given up. */
  attempts?: number;
  /** First pause; doubles to 32 times that, with jitter. */
  backoffMs?: number;
  random?: () => number;
  log?: (line: string) => void;
}

/** Takes a piece at once, or answers when it may have the next. */
export type Take = (piece: Buffer) => Promise<void> | undefined;

export interface Fetcher {
  /** Gives bytes [from, to) of a URL as they come; without `to` the rest of it. Throws ImageDownloadError with a sentence, or what `take` throws. */
  receive(url: string, from: number, to: number | undefined, take: Take, signal?: AbortSignal): Promise<void>;
  /** The same for who would rather ask. */
  range(
    url: string,
    from: number,
    to: number | undefined,
    signal?: AbortSignal,
  ): AsyncGenerator<Buffer, void, undefined>;
  /** All of [from, to), or of the whole URL up to `most` bytes. */
  bytes(url: string, bounds: { from?: number; to?: number; most: number }, signal?: AbortSignal): Promise<Buffer>;
  /** How often a fetch broke and was gone on from where it did. */
  readonly resumed: number;
  close(): void;
}

function downloadFailure(message: string, cause?: unknown): AgentFailure {
  return new AgentFailure('ImageDownloadError', message, { cause });
}

/** Presigned URLs carry a signature, which belongs into no log. */
export function withoutQuery(url: string): string {
  return url.replace(/\?.*$/s, '?...');
}

const REDIRECTS = [301, 302, 303, 307, 308];
/** Answers that another try may change: time-outs, throttling, and a server or proxy that is being restarted. */
const PASSING = [408, 425, 429, 500, 502, 503, 504];
const PROGRESS = 1_048_576;

export function createFetcher(options: FetcherOptions = {}): Fetcher {
  const {
    connections = 4,
    idleMs = 30_000,
    attempts = 8,
    backoffMs = 500,
    random = Math.random,
    log = () => {},
  } = options;
  const pool = { keepAlive: true, maxSockets: connections, maxFreeSockets: connections };
  const plain = new http.Agent(pool);
  const secure = new https.Agent({
    ...pool,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    rejectUnauthorized: !options.insecure,
  });

  let resumed = 0;

  /** A kept connection that the server has closed meanwhile says nothing about the server: the request is sent again, at most once for each. */
  function ask(
    url: string,
    headers: Record<string, string>,
    signal: AbortSignal | undefined,
    stale = connections,
  ): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      const common = { headers, ...(signal === undefined ? {} : { signal }) };
      const request = url.startsWith('https:')
        ? https.get(url, { ...common, agent: secure }, resolve)
        : http.get(url, { ...common, agent: plain }, resolve);
      request.setTimeout(idleMs, () => request.destroy(new Error(`no answer came for ${idleMs / 1000} s`)));
      request.on('error', (error: NodeJS.ErrnoException) => {
        const closed = request.reusedSocket && error.code === 'ECONNRESET' && stale > 0;
        if (closed) resolve(ask(url, headers, signal, stale - 1));
        else reject(error);
      });
    });
  }

  async function open(
    url: string,
    headers: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<http.IncomingMessage> {
    let at = url;
    for (let hop = 0; hop < 6; hop++) {
      const response = await ask(at, headers, signal);
      // From here on the consumer's own pace decides; `pieces` watches for silence.
      response.socket.setTimeout(0);
      if (!REDIRECTS.includes(response.statusCode ?? 0)) return response;
      response.destroy();
      const location = response.headers.location ?? '';
      if (!URL.canParse(location, at))
        throw downloadFailure(`${withoutQuery(url)} redirects to ${JSON.stringify(location)}, which is no URL.`);
      at = new URL(location, at).href;
      if (!/^https?:/.test(at)) throw downloadFailure(`${withoutQuery(url)} redirects to ${at}, which is not http.`);
    }
    throw downloadFailure(`${withoutQuery(url)} redirects more than five times.`);
  }

  /**
   * Gives the response's pieces; silence ends it, but only while a piece is awaited (a slow disk is not a lost connection). By its events:
   * an iterator costs several turns for each piece of 64 kB, which on a slow machine is more than all the rest.
   */
  function drain(response: http.IncomingMessage, take: Take): Promise<void> {
    return new Promise((resolve, reject) => {
      let taking: Promise<void> | undefined;
      const silence = setTimeout(() => {
        if (taking) silence.refresh();
        else response.destroy(new Error(`no byte came for ${idleMs / 1000} s`));
      }, idleMs);
      // Whoever goes on elsewhere gives no piece while one is being taken.
      const over = (end: () => void) => {
        if (taking) taking.then(end, end);
        else end();
      };
      response.on('data', (piece: Buffer) => {
        silence.refresh();
        taking = take(piece);
        if (!taking) return;
        response.pause();
        taking.then(
          () => {
            taking = undefined;
            silence.refresh();
            response.resume();
          },
          (error) => response.destroy(error),
        );
      });
      response.on('end', () => over(resolve));
      response.on('error', (error) => over(() => reject(error)));
      response.on('close', () => {
        clearTimeout(silence);
        over(() => reject(new Error('the connection was closed')));
      });
    });
  }

  function checked(
    response: http.IncomingMessage,
    url: string,
    at: number,
    to: number | undefined,
    etag: string | undefined,
  ): number | undefined {
    const status = response.statusCode ?? 0;
    const length = Number(response.headers['content-length'] ?? Number.NaN);
    const name = withoutQuery(url);
    if (status === 206) {
      const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers['content-range'] ?? '') ?? [];
      if (Number(start) !== at)
        throw downloadFailure(`${name} answered bytes from ${start ?? 'nowhere'}, asked for ${at}.`);
      if (total !== undefined && total !== '*' && to !== undefined && Number(total) < to)
        throw downloadFailure(
          `${name} has ${total} bytes, and byte ${to - 1} is needed: it is not the object that the index describes.`,
        );
      return to ?? (Number.isFinite(length) ? at + length : undefined);
    }
    if (status === 200) {
      if (at > 0) {
        if (etag !== undefined) throw downloadFailure(`${name} changed while it was read.`);
        throw downloadFailure(`${name} cannot be read from byte ${at}: its server ignores byte ranges.`);
      }
      if (to !== undefined && Number.isFinite(length) && length < to)
        throw downloadFailure(`${name} has ${length} bytes, and byte ${to - 1} is needed.`);
      return to ?? (Number.isFinite(length) ? length : undefined);
    }
    if (PASSING.includes(status)) throw new Error(`it answered ${status}`);
    if (status === 416)
      throw downloadFailure(`${name} is shorter than ${at} bytes: it is not the object that the index describes.`);
    const hint = status === 403 ? ' (the URL may have expired)' : '';
    throw downloadFailure(`${name} answered ${status}${hint}.`);
  }

  async function receive(url: string, from: number, to: number | undefined, take: Take, signal?: AbortSignal) {
    let at = from;
    let failures = 0;
    let sinceProgress = 0;
    let etag: string | undefined;
    for (;;) {
      let response: http.IncomingMessage | undefined;
      let refused: { error: unknown } | undefined;
      try {
        const headers: Record<string, string> = { 'accept-encoding': 'identity' };
        if (at > 0 || to !== undefined) headers.range = `bytes=${at}-${to === undefined ? '' : to - 1}`;
        if (at > from && etag !== undefined) headers['if-range'] = etag;
        response = await open(url, headers, signal);
        const end = checked(response, url, at, to, at > from ? etag : undefined);
        // Only a strong tag may be used with If-Range (RFC 9110, 13.1.5).
        const tag = response.headers.etag;
        if (etag === undefined && tag?.startsWith('"')) etag = tag;
        const refuse = (error: unknown): never => {
          refused = { error };
          throw error;
        };
        await drain(response, (piece) => {
          const wanted = end !== undefined && at + piece.length > end ? piece.subarray(0, end - at) : piece;
          at += wanted.length;
          sinceProgress += wanted.length;
          if (sinceProgress >= PROGRESS) failures = 0;
          // A server that knows no ranges sends more than is wanted: its answer is given up there.
          if (wanted.length < piece.length) response?.destroy();
          if (wanted.length === 0) return undefined;
          try {
            return take(wanted)?.catch(refuse);
          } catch (error) {
            refused = { error };
            response?.destroy();
            return undefined;
          }
        }).catch((error: unknown) => {
          if (refused || at !== end) throw error;
        });
        if (refused) throw refused.error;
        if (end === undefined || at === end) return;
        throw new Error(`the connection ended at byte ${at} of ${end}`);
      } catch (cause) {
        if (refused) throw refused.error;
        if (cause instanceof AgentFailure || signal?.aborted) throw cause;
        failures++;
        sinceProgress = 0;
        const name = withoutQuery(url);
        if (failures >= attempts)
          throw downloadFailure(
            `${name} could not be read at byte ${at} in ${failures} attempts: ${reasonOf(cause)}.`,
            cause,
          );
        resumed++;
        log(`${name}: ${reasonOf(cause)}; attempt ${failures + 1} of ${attempts} goes on at byte ${at}`);
        // Most breaks are over when they are noticed: the first retry is at once.
        if (failures > 1)
          await delay(
            backoffMs * Math.min(2 ** (failures - 2), 32) * (0.5 + random()),
            undefined,
            signal ? { signal } : {},
          );
      } finally {
        // Received is not enough: an answer that nobody reads keeps its connection from the pool.
        if (response && !response.readableEnded) response.destroy();
      }
    }
  }

  async function* range(url: string, from: number, to: number | undefined, signal?: AbortSignal) {
    const left = new AbortController();
    const either = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
    let piece: Buffer | undefined;
    let over = false;
    let come = () => {};
    let taken = () => {};
    const take: Take = (next) => {
      piece = next;
      come();
      return new Promise((resolve) => {
        taken = resolve;
      });
    };
    const whole = receive(url, from, to, take, either).finally(() => {
      over = true;
      come();
    });
    // Told to whoever asks for the next piece, and to nobody if nobody does.
    whole.catch(() => {});
    try {
      for (;;) {
        if (piece) {
          yield piece;
          piece = undefined;
          taken();
        }
        if (over) return await whole;
        await new Promise<void>((resolve) => {
          come = resolve;
        });
      }
    } finally {
      left.abort();
      taken();
      await whole.catch(() => {});
    }
  }

  return {
    receive,
    range,
    get resumed() {
      return resumed;
    },
    async bytes(url, { from = 0, to, most }, signal) {
      const got: Buffer[] = [];
      let size = 0;
      const keep: Take = (piece) => {
        size += piece.length;
        if (size > most)
          throw downloadFailure(`${withoutQuery(url)} is longer than the ${most} bytes that it may have.`);
        got.push(piece);
        return undefined;
      };
      await receive(url, from, to, keep, signal);
      return got.length === 1 ? got[0]! : Buffer.concat(got, size);
    },
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}
