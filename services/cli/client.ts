/** The CLI's own HTTP client: one token, the catalog, JSON in and out, errors as sentences whatever dialect they come in. */
import http from 'node:http';
import https from 'node:https';
import { fault } from '../core/errors/index.ts';
import type { Cloud } from './cloud.ts';

export interface Answer<T> {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: T;
}

export interface RequestOptions {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface Client {
  /** `path` is below the service's catalog entry: `get('baremetal', '/v1/nodes')`. @throws Fault `cloud-refused`, `cloud-unreachable` */
  request<T>(method: string, service: string, path: string, options?: RequestOptions): Promise<Answer<T>>;
  get<T>(service: string, path: string): Promise<T>;
  readonly projectId: string;
  close(): void;
}

/** Ironic's answers depend on the version asked for. */
const ironicVersion = '1.95';

interface CatalogEntry {
  type: string;
  endpoints: { interface: string; url: string }[];
}

export async function connect(cloud: Cloud): Promise<Client> {
  const agents = {
    'https:': new https.Agent({ keepAlive: true, ...(cloud.ca && { ca: cloud.ca }) }),
    'http:': new http.Agent({ keepAlive: true }),
  };

  function send<T>(method: string, url: string, options: RequestOptions): Promise<Answer<T>> {
    const target = new URL(url);
    const payload = options.body === undefined ? undefined : JSON.stringify(options.body);
    const headers = {
      accept: 'application/json',
      ...(payload !== undefined && {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(payload)),
      }),
      ...options.headers,
    };
    const make = target.protocol === 'https:' ? https : http;
    const agent = agents[target.protocol as keyof typeof agents];
    return new Promise((resolve, reject) => {
      const request = make.request(
        target,
        { method, headers, agent, ...(options.signal && { signal: options.signal }) },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(parts).toString();
            const status = response.statusCode ?? 0;
            if (status >= 400) return reject(refusal(status, text, url));
            resolve({ status, headers: response.headers, body: (text ? JSON.parse(text) : undefined) as T });
          });
        },
      );
      request.on('error', (error) =>
        reject(fault('cloud-unreachable', { url: `${target.protocol}//${target.host}`, reason: error.message }, error)),
      );
      request.end(payload);
    });
  }

  const login = await send<{ token: { project?: { id: string }; catalog?: CatalogEntry[] } }>(
    'POST',
    `${cloud.authUrl.replace(/\/$/, '')}/auth/tokens`,
    {
      body: {
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { name: cloud.username, domain: { name: cloud.userDomain }, password: cloud.password } },
          },
          scope: { project: { name: cloud.project, domain: { name: cloud.projectDomain } } },
        },
      },
    },
  );
  const token = String(login.headers['x-subject-token']);
  const catalog = login.body.token.catalog ?? [];
  const base = (service: string): string => {
    const url = catalog
      .find((entry) => entry.type === service)
      ?.endpoints.find((one) => one.interface === 'public')?.url;
    if (!url) throw fault('cloud-refused', { message: `The undercloud’s catalog has no ${service} service.` });
    return url;
  };

  const client: Client = {
    projectId: login.body.token.project?.id ?? '',
    request: (method, service, path, options = {}) =>
      send(method, base(service) + path, {
        ...options,
        headers: {
          'x-auth-token': token,
          ...(service === 'baremetal' && { 'x-openstack-ironic-api-version': ironicVersion }),
          ...options.headers,
        },
      }),
    async get<T>(service: string, path: string) {
      return (await client.request<T>('GET', service, path)).body;
    },
    close() {
      agents['https:'].destroy();
      agents['http:'].destroy();
    },
  };
  return client;
}

/** The sentence inside an error body of any dialect: Ironic's is JSON in JSON, Heat's an explanation, Neutron's has its own name. */
function refusal(status: number, text: string, url: string): Error {
  const message = sentenceIn(text) ?? `${url} answered ${status}.`;
  return Object.assign(fault('cloud-refused', { message }), { status });
}

function sentenceIn(text: string): string | null {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return text.trim().slice(0, 500) || null;
  }
  for (let depth = 0; depth < 4 && body && typeof body === 'object'; depth += 1) {
    const fields = body as Record<string, unknown>;
    for (const name of ['faultstring', 'message', 'description', 'explanation', 'detail']) {
      if (typeof fields[name] === 'string' && fields[name] !== '') return fields[name];
    }
    const inner = fields.error_message ?? fields.error ?? Object.values(fields)[0];
    try {
      body = typeof inner === 'string' ? JSON.parse(inner) : inner;
    } catch {
      return String(inner);
    }
  }
  return null;
}
