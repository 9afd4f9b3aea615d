/**
 * The CLI's own HTTP client: one token, the catalog, JSON in and out, streams up, errors as sentences whatever dialect they
 * come in. A restart of `undercloud serve` must not break a command that watches: what may be repeated is, for a minute.
 */
import http from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { type Fault, fault } from '../core/errors/index.ts';
import type { Cloud } from './cloud.ts';
import { refusal } from './refusal.ts';

export interface Answer<T> {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: T;
}

export interface Upload {
  /** Bytes of the stream. */
  size: number;
  /** Opened anew for each try. */
  open(): Readable;
}

export interface RequestOptions {
  body?: unknown;
  upload?: Upload;
  headers?: Record<string, string>;
  /** Takes the answer's bytes as they come, for as long as they come; the body is then undefined. Never asked for twice. */
  sink?: (part: Buffer) => void;
  /** Default: the command's own, which Ctrl-C aborts; null finishes also then (tidying up). */
  signal?: AbortSignal | null;
  /** May be sent again when it is not known whether it arrived. Default: GET and HEAD. */
  repeatable?: boolean;
}

export interface Client {
  /** `path` is below the service's catalog entry: `get('baremetal', '/v1/nodes')`. @throws Fault `cloud-refused`, `cloud-unreachable` */
  request<T>(method: string, service: string, path: string, options?: RequestOptions): Promise<Answer<T>>;
  get<T>(service: string, path: string, options?: RequestOptions): Promise<T>;
  /** Undefined when the answer is 404. */
  find<T>(service: string, path: string, options?: RequestOptions): Promise<T | undefined>;
  /** All pages of a list, following its links; `key` is the member that holds the items. */
  list<T>(service: string, path: string, key: string): Promise<T[]>;
  /** What a WebSocket on that path needs; the token is proved by a request first, and is a new one where it has expired. */
  socketAddress(service: string, path: string): Promise<SocketAddress>;
  readonly projectId: string;
  close(): void;
}

export interface SocketAddress {
  readonly url: string;
  readonly token: string;
  /** PEM text; null trusts the system's own authorities. */
  readonly ca: string | null;
  readonly verify: boolean;
}

export interface ClientOptions {
  signal?: AbortSignal;
  /** Told when the undercloud does not answer, and when it does again. */
  notice?: (line: string) => void;
  /** How long a repeatable request is tried again. Default 60 s. */
  patienceMs?: number;
  retryMs?: number;
}

/** Ironic's answers depend on the version asked for. */
const ironicVersion = '1.95';
/** A peer that says nothing for so long is gone; uploads and long calls keep the wire or the server busy for less. */
const silenceMs = 120_000;
/** Tokens are short, but a proxy in front may add headers beyond Node's 16 kB. */
const maxHeaderSize = 65_536;
const mostPages = 10_000;

interface CatalogEntry {
  type: string;
  endpoints: { interface: string; url: string; region?: string }[];
}

interface Login {
  token: { project?: { id: string }; catalog?: CatalogEntry[] };
}

type Send = <T>(method: string, url: string, options: RequestOptions) => Promise<Answer<T>>;

function sender(cloud: Cloud, defaultSignal: AbortSignal | undefined): Send & { close(): void } {
  const trust = { rejectUnauthorized: cloud.verify, ...(cloud.ca && { ca: cloud.ca }) };
  const agentsOf = (keepAlive: boolean) => ({
    'https:': new https.Agent({ keepAlive, ...trust }),
    'http:': new http.Agent({ keepAlive }),
  });
  const kept = agentsOf(true);
  /** A kept connection may be closed by the other side just as it is used again: not for what must not be sent twice. */
  const fresh = agentsOf(false);
  const send = <T>(method: string, url: string, options: RequestOptions): Promise<Answer<T>> => {
    const target = new URL(url);
    const { upload } = options;
    const signal = options.signal === null ? undefined : (options.signal ?? defaultSignal);
    const payload = options.body === undefined ? undefined : JSON.stringify(options.body);
    const headers: Record<string, string> = {
      accept: 'application/json',
      ...(payload !== undefined && {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(payload)),
      }),
      ...(upload && { 'content-type': 'application/octet-stream', 'content-length': String(upload.size) }),
      ...options.headers,
    };
    const secure = target.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const origin = `${target.protocol}//${target.host}`;
      const unreachable = (reason: string, cause?: unknown) =>
        reject(signal?.aborted ? signal.reason : fault('cloud-unreachable', { url: origin, reason }, cause));
      const request = (secure ? https : http).request(target, {
        method,
        headers,
        agent: (isRepeatable(method, options) ? kept : fresh)[secure ? 'https:' : 'http:'],
        maxHeaderSize,
        timeout: options.sink ? 0 : silenceMs,
        ...(signal && { signal }),
      });
      let source: Readable | undefined;
      request.on('timeout', () => request.destroy(new Error(`it was silent for ${silenceMs / 1000} s`)));
      request.on('error', (error) => {
        source?.destroy();
        unreachable(reasonOf(error), error);
      });
      request.on('response', (response) => {
        const parts: Buffer[] = [];
        const { sink } = options;
        const isStream = sink !== undefined && (response.statusCode ?? 0) < 400;
        response.on('data', (part: Buffer) => void (isStream ? sink(part) : parts.push(part)));
        response.on('error', (error) => unreachable(reasonOf(error), error));
        response.on('end', () => {
          source?.destroy();
          const text = Buffer.concat(parts).toString();
          const status = response.statusCode ?? 0;
          if (status >= 400) return reject(refusal(status, text, url));
          const parsed = parse(text);
          if (parsed === undefined && text !== '')
            return reject(
              Object.assign(fault('cloud-refused', { message: `${url} did not answer with JSON.` }), { status: 502 }),
            );
          resolve({ status, headers: response.headers, body: parsed as T });
        });
      });
      if (!upload) return void request.end(payload);
      source = upload.open();
      source.on('error', (error) => {
        request.destroy();
        reject(error);
      });
      source.pipe(request);
    });
  };
  return Object.assign(send, {
    close() {
      for (const agents of [kept, fresh]) for (const agent of Object.values(agents)) agent.destroy();
    },
  });
}

const isRepeatable = (method: string, { repeatable, sink }: RequestOptions): boolean =>
  repeatable ?? (!sink && (method === 'GET' || method === 'HEAD'));

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Node's words for what an operator has to know; `connect ECONNREFUSED 127.0.0.1:6385` says it already. */
function reasonOf(error: NodeJS.ErrnoException): string {
  // Both families were tried, and the sentence of the first is as good as the other's.
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error;
  const words: Record<string, string> = {
    ENOTFOUND: 'its name is not known to the DNS',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by the CA that is configured (cacert)',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by the CA that is configured (cacert)',
    SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by the CA that is configured (cacert)',
    CERT_HAS_EXPIRED: 'its certificate has expired',
  };
  return words[first.code ?? ''] ?? first.message;
}

const passing = (error: unknown): boolean => {
  const { code, status } = error as Fault;
  const certificate = /certificate/.test((error as Fault).message ?? '');
  return (code === 'cloud-unreachable' && !certificate) || (code === 'cloud-refused' && status >= 502 && status <= 504);
};

const loginBody = (cloud: Cloud) => ({
  auth: {
    identity: {
      methods: ['password'],
      password: { user: { name: cloud.username, domain: cloud.userDomain, password: cloud.password } },
    },
    scope: { project: cloud.project },
  },
});

export async function connect(cloud: Cloud, options: ClientOptions = {}): Promise<Client> {
  const { signal, notice = () => {}, patienceMs = 60_000, retryMs = 500 } = options;
  const send = sender(cloud, signal);
  const logIn = () => send<Login>('POST', `${cloud.authUrl}/auth/tokens`, { body: loginBody(cloud) });
  const login = await logIn().catch((error) => {
    send.close();
    throw error;
  });
  let token = String(login.headers['x-subject-token']);
  const catalog = login.body?.token?.catalog ?? [];
  const base = (service: string): string => {
    const endpoints = catalog
      .filter((entry) => entry.type === service)
      .flatMap((entry) => entry.endpoints)
      .filter((one) => one.interface === 'public');
    const url = (endpoints.find((one) => one.region === cloud.region) ?? endpoints[0])?.url;
    if (!url)
      throw fault('not-served-yet', {
        what: `the ${service} service (its catalog has none)`,
        remedy: 'Update the undercloud.',
      });
    return url.replace(/\/$/, '');
  };

  /** A path below the service; or a link that the service gave, which must lie on the same server: the token goes with it. */
  function locate(service: string, path: string): string {
    const root = base(service);
    if (!/^https?:/.test(path)) return root + path;
    const link = new URL(path);
    return new URL(root).origin + link.pathname + link.search;
  }

  async function authorised<T>(method: string, url: string, service: string, wish: RequestOptions): Promise<Answer<T>> {
    const once = () =>
      send<T>(method, url, {
        ...wish,
        headers: {
          'x-auth-token': token,
          ...(service === 'baremetal' && { 'x-openstack-ironic-api-version': ironicVersion }),
          ...wish.headers,
        },
      });
    try {
      return await once();
    } catch (error) {
      // A long watch outlives its token.
      if ((error as Fault).status !== 401) throw error;
      token = String((await logIn()).headers['x-subject-token']);
      return once();
    }
  }

  async function patient<T>(repeatable: boolean, work: () => Promise<T>): Promise<T> {
    const until = Date.now() + patienceMs;
    for (let told = false; ; ) {
      try {
        const answer = await work();
        if (told) notice('The undercloud answers again.');
        return answer;
      } catch (error) {
        if (!repeatable || !passing(error) || Date.now() + retryMs > until || signal?.aborted) throw error;
        if (!told) notice(`${(error as Fault).sentence} Trying again for ${Math.round(patienceMs / 1000)} s.`);
        told = true;
        await wait(retryMs, undefined, { ...(signal && { signal }) });
      }
    }
  }

  const client: Client = {
    projectId: login.body?.token?.project?.id ?? '',
    async request<T>(method: string, service: string, path: string, wish: RequestOptions = {}) {
      const reads = method === 'GET' || method === 'HEAD';
      let url = locate(service, path);
      for (let hops = 0; ; hops += 1) {
        const repeatable = isRepeatable(method, wish);
        const answer = await patient(repeatable, () => authorised<T>(method, url, service, wish));
        // Heat sends clients from a stack's name to its full path.
        const { location } = answer.headers;
        if (!reads || answer.status < 301 || answer.status > 308 || !location || hops > 3) return answer;
        url = locate(service, new URL(location, url).href);
      }
    },
    async get<T>(service: string, path: string, wish?: RequestOptions) {
      return (await client.request<T>('GET', service, path, wish)).body;
    },
    async find<T>(service: string, path: string, wish?: RequestOptions) {
      try {
        return await client.get<T>(service, path, wish);
      } catch (error) {
        if ((error as Fault).status === 404) return undefined;
        throw error;
      }
    },
    async list<T>(service: string, path: string, key: string) {
      const items: T[] = [];
      let next: string | undefined = path;
      for (let pages = 0; next !== undefined && pages < mostPages; pages += 1) {
        const page: Record<string, unknown> = await client.get(service, next);
        const got = (page[key] as T[] | undefined) ?? [];
        items.push(...got);
        // Ironic and Glance: `next`; Nova and Neutron: links with a rel.
        const links = page[`${key}_links`] as { rel: string; href: string }[] | undefined;
        const link = (page.next as string | undefined) ?? links?.find((one) => one.rel === 'next')?.href;
        next = got.length > 0 ? link : undefined;
      }
      return items;
    },
    async socketAddress(service, path) {
      // Node's WebSocket hides the body of a refused handshake: whatever is wrong is said by the plain request.
      await client.get(service, path.split('?')[0] ?? path);
      return { url: locate(service, path).replace(/^http/, 'ws'), token, ca: cloud.ca, verify: cloud.verify };
    },
    close: () => send.close(),
  };
  return client;
}
