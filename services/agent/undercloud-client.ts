/** The agent's view of the Ironic API: version, lookup, heartbeat, inspection. Each exchange on its own connection, bounded in time. */
import http from 'node:http';
import https from 'node:https';
import {
  AGENT_API_VERSION,
  BOOT_TOKEN_HEADER,
  type Heartbeat,
  type JsonObject,
  type LookupAnswer,
  readLookupAnswer,
} from '../ipa/index.ts';
import { reasonOf } from './failure.ts';

export interface UndercloudClientOptions {
  /** Base URLs; the first that answers is kept until it fails. */
  urls: string[];
  bootToken?: string | undefined;
  ca?: string | undefined;
  insecure?: boolean | undefined;
  timeoutMs?: number | undefined;
}

/** The undercloud answered, but not with what was asked; `status` is its HTTP status, 0 where it was not reached. */
export class UndercloudError extends Error {
  override name = 'UndercloudError';
  readonly status: number;
  constructor(message: string, status: number, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

export interface UndercloudClient {
  lookup(addresses: string[], nodeUuid?: string): Promise<LookupAnswer>;
  /** Fields that the peer's version does not know are left out. */
  heartbeat(nodeUuid: string, beat: Heartbeat): Promise<void>;
  /** Answers what the undercloud wants next: `power off` of a machine that was discovered; else undefined. */
  inspected(url: string, data: JsonObject): Promise<string | undefined>;
}

const ANSWER_MAX = 16 * 1_048_576;

interface Exchange {
  method: 'GET' | 'POST';
  url: string;
  headers: Record<string, string>;
  body?: string;
}

function exchange(
  { method, url, headers, body }: Exchange,
  options: UndercloudClientOptions,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const answered = (response: http.IncomingMessage) => {
      const pieces: Buffer[] = [];
      let size = 0;
      response.on('data', (piece: Buffer) => {
        size += piece.length;
        if (size > ANSWER_MAX) response.destroy(new Error('the answer is too long'));
        else pieces.push(piece);
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString('utf8') }),
      );
      response.on('error', reject);
    };
    const common = { method, headers, agent: false as const, signal: AbortSignal.timeout(options.timeoutMs ?? 30_000) };
    const trust = { ...(options.ca === undefined ? {} : { ca: options.ca }), rejectUnauthorized: !options.insecure };
    const request = url.startsWith('https:')
      ? https.request(url, { ...common, ...trust }, answered)
      : http.request(url, common, answered);
    request.on('error', reject);
    request.end(body);
  });
}

/** Ironic wraps its fault in a string within the object: {"error_message": "{\"faultstring\": ...}"}. */
function faultOf(body: string): string {
  try {
    const outer = JSON.parse(body) as { error_message?: unknown; faultstring?: unknown };
    const inner =
      typeof outer.error_message === 'string'
        ? (JSON.parse(outer.error_message) as typeof outer)
        : (outer.error_message ?? outer);
    const { faultstring } = inner as { faultstring?: unknown };
    if (typeof faultstring === 'string') return faultstring;
  } catch {
    // Shown as it is.
  }
  return body.slice(0, 200) || 'no reason given';
}

const minorOf = (version: string) => Number(version.split('.')[1] ?? 0);

export function createUndercloudClient(options: UndercloudClientOptions): UndercloudClient {
  let current = 0;
  let version: string | undefined;

  async function ask(
    what: string,
    method: 'GET' | 'POST',
    url: string,
    headers: Record<string, string>,
    body?: unknown,
  ): Promise<string> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const sent: Record<string, string> = { accept: 'application/json', ...headers };
    if (text !== undefined)
      Object.assign(sent, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) });
    let answer: { status: number; body: string };
    try {
      answer = await exchange({ method, url, headers: sent, ...(text === undefined ? {} : { body: text }) }, options);
    } catch (cause) {
      throw new UndercloudError(
        `${new URL(url).origin} could not be reached for the ${what}: ${reasonOf(cause)}.`,
        0,
        cause,
      );
    }
    if (answer.status < 200 || answer.status > 299)
      throw new UndercloudError(
        `${new URL(url).origin} answered the ${what} with ${answer.status}: ${faultOf(answer.body)}`,
        answer.status,
      );
    return answer.body;
  }

  function parsed<T>(what: string, body: string, read: (value: unknown) => T): T {
    try {
      return read(JSON.parse(body));
    } catch (cause) {
      throw new UndercloudError(`The answer to the ${what} is not understood: ${reasonOf(cause)}`, 502, cause);
    }
  }

  /** After a failure to connect, the next URL has its turn. */
  async function atApi<T>(use: (base: string) => Promise<T>): Promise<T> {
    const base = options.urls[current % options.urls.length];
    if (base === undefined) throw new UndercloudError('No API URL is known.', 0);
    try {
      return await use(base);
    } catch (error) {
      if (error instanceof UndercloudError && (error.status === 0 || error.status >= 500)) {
        current++;
        version = undefined;
      }
      throw error;
    }
  }

  /** min(the server's newest, ours): older Ironics refuse a version that they do not know with 406. */
  async function negotiated(base: string): Promise<string> {
    if (version !== undefined) return version;
    const body = await ask('version', 'GET', `${base}/`, {});
    const newest = parsed(
      'version',
      body,
      (value) => (value as { default_version?: { version?: unknown } }).default_version?.version,
    );
    const theirs = typeof newest === 'string' && /^1\.\d+$/.test(newest) ? newest : AGENT_API_VERSION;
    version = minorOf(theirs) < minorOf(AGENT_API_VERSION) ? theirs : AGENT_API_VERSION;
    return version;
  }

  return {
    lookup: (addresses, nodeUuid) =>
      atApi(async (base) => {
        const headers: Record<string, string> = { 'x-openstack-ironic-api-version': await negotiated(base) };
        if (options.bootToken !== undefined) headers[BOOT_TOKEN_HEADER] = options.bootToken;
        // Commas and colons stay as they are: so does the stock agent, and so do the logs read well.
        const query = `addresses=${addresses.join(',')}${nodeUuid === undefined ? '' : `&node_uuid=${encodeURIComponent(nodeUuid)}`}`;
        return parsed('lookup', await ask('lookup', 'GET', `${base}/v1/lookup?${query}`, headers), readLookupAnswer);
      }),
    heartbeat: (nodeUuid, beat) =>
      atApi(async (base) => {
        const spoken = await negotiated(base);
        const { agent_verify_ca, agent_token, agent_version, ...rest } = beat;
        const body = {
          ...rest,
          ...(agent_version !== undefined && minorOf(spoken) >= 36 ? { agent_version } : {}),
          ...(agent_token !== undefined && minorOf(spoken) >= 62 ? { agent_token } : {}),
          ...(agent_verify_ca !== undefined && minorOf(spoken) >= 68 ? { agent_verify_ca } : {}),
        };
        await ask(
          'heartbeat',
          'POST',
          `${base}/v1/heartbeat/${nodeUuid}`,
          { 'x-openstack-ironic-api-version': spoken },
          body,
        );
      }),
    async inspected(url, data) {
      const headers: Record<string, string> =
        options.bootToken === undefined ? {} : { [BOOT_TOKEN_HEADER]: options.bootToken };
      const body = await ask('inspection', 'POST', url, headers, data);
      try {
        const { next } = JSON.parse(body) as { next?: unknown };
        return typeof next === 'string' ? next : undefined;
      } catch {
        // The stock service answers nothing that matters here.
        return undefined;
      }
    },
  };
}
