/** The same requests to both: over kept connections, ours with TLS and a token, the peer's with neither. */
import http from 'node:http';
import https from 'node:https';

export interface Place {
  readonly url: string;
  readonly ca?: string;
  readonly token?: string;
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly header: (name: string) => string | undefined;
}

export interface Client {
  request(method: string, path: string, body?: unknown): Promise<Answer>;
  close(): void;
}

/** @param connections how many requests are under way at once at the most */
export function createClient({ url, ca, token }: Place, connections: number): Client {
  const secure = url.startsWith('https:');
  const options = { keepAlive: true, maxSockets: connections };
  const agent = secure ? new https.Agent({ ...options, ca }) : new http.Agent(options);
  const headers = {
    accept: 'application/json',
    'x-openstack-ironic-api-version': '1.78',
    ...(token && { 'x-auth-token': token }),
  };
  return {
    request: (method, path, body) =>
      new Promise((resolve, reject) => {
        const text = body === undefined ? undefined : JSON.stringify(body);
        const asked = (secure ? https : http).request(`${url}${path}`, {
          method,
          agent,
          headers: {
            ...headers,
            ...(text && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          },
        });
        asked.once('response', (answer) => {
          const parts: Buffer[] = [];
          answer.on('data', (part: Buffer) => parts.push(part));
          answer.once('error', reject);
          answer.once('end', () =>
            resolve({
              status: answer.statusCode ?? 0,
              body: Buffer.concat(parts),
              header: (name) => [answer.headers[name]].flat()[0],
            }),
          );
        });
        asked.once('error', reject);
        asked.end(text);
      }),
    close: () => agent.destroy(),
  };
}

/** `count` requests, as many at once as the client has connections; an answer that is not one of success ends the bench. */
export async function many(count: number, atOnce: number, one: (k: number) => Promise<Answer>): Promise<void> {
  let next = 0;
  const go = async (): Promise<void> => {
    while (next < count) {
      const answer = await one(next++);
      if (answer.status >= 400) throw new Error(`answered ${answer.status}: ${answer.body.toString().slice(0, 300)}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, go));
}
