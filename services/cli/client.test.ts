import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { connect } from './client.ts';
import { findCloud } from './cloud.ts';

describe('the client', () => {
  /** Answers logins; everything else by `answer`. */
  async function server(answer: http.RequestListener): Promise<{ url: string; close(): void }> {
    const listener = http.createServer((request, response) => {
      if (!request.url?.endsWith('/auth/tokens')) return answer(request, response);
      const url = `http://${request.headers.host}`;
      const endpoints = [{ interface: 'public', region: 'RegionOne', url: `${url}/image/` }];
      response
        .writeHead(201, { 'x-subject-token': `t${tokens++}` })
        .end(JSON.stringify({ token: { project: { id: 'p' }, catalog: [{ type: 'image', endpoints }] } }));
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return {
      url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
      close: () => {
        listener.close();
        listener.closeAllConnections();
      },
    };
  }
  let tokens = 0;
  const log = (url: string, options = {}) =>
    connect(
      findCloud({ OS_AUTH_URL: `${url}/v3`, OS_USERNAME: 'u', OS_PASSWORD: 'p', OS_PROJECT_NAME: 'q' }, undefined),
      options,
    );

  it('logs in again when its token has expired, and asks again when the undercloud was in trouble', async () => {
    const seen: string[] = [];
    const lines: string[] = [];
    const site = await server((request, response) => {
      seen.push(String(request.headers['x-auth-token']));
      if (seen.length === 1) response.writeHead(401).end('{}');
      else if (seen.length === 2) response.writeHead(503).end('{"message":"The database does not answer."}');
      else response.end('{"ok":true}');
    });
    const client = await log(site.url, { notice: (line: string) => lines.push(line), retryMs: 5 });
    expect(await client.get('image', '/x')).toEqual({ ok: true });
    expect(new Set(seen).size).toBe(2);
    expect(lines).toEqual([expect.stringContaining('The database does not answer.'), 'The undercloud answers again.']);
    client.close();
    site.close();
  });

  it('never sends twice what may not be repeated, and gives up in the end', async () => {
    let count = 0;
    const site = await server((request) => {
      count += 1;
      request.socket.destroy();
    });
    const client = await log(site.url, { patienceMs: 30, retryMs: 5 });
    await expect(client.request('POST', 'image', '/x', { body: {} })).rejects.toThrow(/does not answer/);
    expect(count).toBe(1);
    await expect(client.get('image', '/x')).rejects.toThrow(/does not answer/);
    expect(count).toBeGreaterThan(2);
    await expect(client.get('baremetal', '/x')).rejects.toThrow(/does not serve the baremetal service/);
    client.close();
    site.close();
  });

  it('follows pages and short paths, but takes its token to no other server', async () => {
    const asked: string[] = [];
    const site = await server((request, response) => {
      asked.push(request.url ?? '');
      if (request.url === '/image/short')
        response.writeHead(302, { location: 'http://elsewhere.invalid/image/long' }).end();
      else if (request.url === '/image/long') response.end('{"at":"long"}');
      else if (request.url === '/image/list') response.end('{"items":[1],"next":"http://elsewhere.invalid/image/two"}');
      else response.end('{"items":[2]}');
    });
    const client = await log(site.url);
    expect(await client.get('image', '/short')).toEqual({ at: 'long' });
    expect(await client.list('image', '/list', 'items')).toEqual([1, 2]);
    expect(asked).toEqual(['/image/short', '/image/long', '/image/list', '/image/two']);
    client.close();
    site.close();
  });

  it('says what an answer is that is no JSON', async () => {
    const site = await server((_, response) => response.end('<html>a proxy</html>'));
    const client = await log(site.url);
    await expect(client.get('image', '/x', { repeatable: false })).rejects.toThrow(/did not answer with JSON/);
    client.close();
    site.close();
  });
});
