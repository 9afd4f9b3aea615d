// The one file here that has sockets: HTTP/1.1 over TLS (or plain, where the address says so) to one BMC, with bounded answers.
// It knows no Redfish; what a status means is client.ts's business.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { gunzipSync } from 'node:zlib';
import { RedfishError } from './errors.ts';
import type { HttpHead } from './task.ts';

export interface HttpOptions {
  readonly origin: URL;
  /** False trusts any certificate; a PEM text is the one CA that is trusted; true is the system's. */
  readonly verify: boolean | string;
  /** Bytes of the longest answer that is read. Default 8 MiB. */
  readonly mostBytes?: number;
}

export interface HttpAsk {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /**
   * On a connection of its own. A BMC may close an idle connection just when a request goes out on it; nobody can tell then
   * whether it was carried out, so what must not run twice never goes out on a kept one.
   */
  readonly fresh?: boolean;
}

export interface HttpAnswer extends HttpHead {
  readonly body: string;
}

export interface Http {
  /** @throws RedfishError unresolved, network, certificate, not-redfish, bad-response; the signal's reason when aborted */
  ask(ask: HttpAsk): Promise<HttpAnswer>;
  /** The head, and the body as it comes; destroyed by the signal. */
  stream(ask: HttpAsk): Promise<{ head: HttpHead; body: IncomingMessage }>;
  close(): void;
}

/** OpenSSL's and Node's names of what makes a certificate untrusted → in words. */
const certificateFaults: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'its CA is not the one that is trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its CA is not known',
  UNABLE_TO_GET_ISSUER_CERT: 'its CA is not known',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its CA is not known',
  CERT_SIGNATURE_FAILURE: 'its signature is wrong',
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  CERT_REVOKED: 'it was revoked',
  CERT_UNTRUSTED: 'its CA is not trusted',
  CERT_REJECTED: 'it was rejected',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it names another host',
  HOSTNAME_MISMATCH: 'it names another host',
  INVALID_CA: 'its CA may not sign it',
  CA_MD_TOO_WEAK: 'its CA signs with a digest that is too weak',
  EE_KEY_TOO_SMALL: 'its key is too short',
};

const plainAnswers = new Set(['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG']);

const networkFaults: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was reset',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  ETIMEDOUT: 'the connection timed out',
};

export const isReset = (error: unknown): boolean =>
  error instanceof RedfishError && error.code === 'network' && error.fault === networkFaults.ECONNRESET;

function failureOf(error: unknown): RedfishError {
  if (error instanceof RedfishError) return error;
  const { code = '', message = String(error) } = error as { code?: string; message?: string };
  const certificate = certificateFaults[code];
  if (certificate) return new RedfishError('certificate', `the certificate is refused: ${certificate}`);
  if (plainAnswers.has(code)) return new RedfishError('not-redfish', 'it does not speak TLS as wanted');
  // llhttp's parse errors: HPE_INVALID_CONSTANT and the like.
  if (code.startsWith('HPE_')) return new RedfishError('not-redfish', 'what it answers is no HTTP');
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return new RedfishError('unresolved', 'the host name has no address');
  return new RedfishError(
    'network',
    networkFaults[code] ?? (message === 'socket hang up' ? 'the connection was reset' : message),
  );
}

const standardBytes = 8 * 1024 * 1024;

export function createHttp(options: HttpOptions): Http {
  const { origin, verify, mostBytes = standardBytes } = options;
  const secure = origin.protocol === 'https:';
  const trust = secure
    ? { rejectUnauthorized: verify !== false, ...(typeof verify === 'string' && { ca: verify }) }
    : {};
  // Few connections: BMCs have few, and a poll needs one. Idle ones do not hold up the end of the process.
  const pool = { keepAlive: true, maxSockets: 4, maxFreeSockets: 1, timeout: 120_000 };
  const agent = secure ? new HttpsAgent({ ...pool, ...trust }) : new HttpAgent(pool);
  const send = secure ? httpsRequest : httpRequest;

  function head(ask: HttpAsk): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      if (ask.signal.aborted) {
        reject(ask.signal.reason);
        return;
      }
      const request = send({
        ...trust,
        protocol: origin.protocol,
        // Brackets are the URL's, not the address's.
        host: origin.hostname.replace(/^\[(.*)\]$/, '$1'),
        port: origin.port || (secure ? 443 : 80),
        method: ask.method,
        path: ask.path,
        headers: {
          ...ask.headers,
          ...(ask.body !== undefined && { 'content-length': String(Buffer.byteLength(ask.body)) }),
        },
        agent: ask.fresh ? false : agent,
        signal: ask.signal,
      });
      request.on('response', resolve);
      request.on('error', (error) => reject(ask.signal.aborted ? ask.signal.reason : failureOf(error)));
      request.end(ask.body);
    });
  }

  const headOf = (message: IncomingMessage): HttpHead => ({
    status: message.statusCode ?? 0,
    headers: Object.fromEntries(
      Object.entries(message.headers).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, Array.isArray(value) ? (value[0] ?? '') : value]],
      ),
    ),
  });

  return {
    async ask(ask) {
      const message = await head(ask);
      const chunks: Buffer[] = [];
      let length = 0;
      try {
        for await (const chunk of message as AsyncIterable<Buffer>) {
          length += chunk.length;
          if (length > mostBytes) {
            message.destroy();
            throw new RedfishError('bad-response', `the answer is longer than ${mostBytes} bytes`);
          }
          chunks.push(chunk);
        }
      } catch (error) {
        throw ask.signal.aborted ? ask.signal.reason : failureOf(error);
      }
      let bytes = Buffer.concat(chunks);
      if (message.headers['content-encoding'] === 'gzip' && bytes.length > 0) {
        try {
          bytes = gunzipSync(bytes, { maxOutputLength: mostBytes });
        } catch {
          throw new RedfishError('bad-response', 'the answer cannot be unpacked');
        }
      }
      return { ...headOf(message), body: bytes.toString('utf8') };
    },
    async stream(ask) {
      const message = await head({ ...ask, fresh: true });
      // A stream is silent for days; a BMC that lost its power must still be noticed.
      message.socket.setKeepAlive(true, 60_000);
      return { head: headOf(message), body: message };
    },
    close: () => agent.destroy(),
  };
}
