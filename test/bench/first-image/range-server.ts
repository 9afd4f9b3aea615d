/** Files by their names, with byte ranges: what a store is to a node. */
import { createReadStream, existsSync, statSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';

export interface RangeServer {
  port: number;
  close(): void;
}

/** The files of these directories, on loopback; the first that has a name gives it. */
export async function serveDirectories(directories: readonly string[]): Promise<RangeServer> {
  const server = http.createServer((request, response) => {
    const name = basename(request.url ?? '');
    const file = directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
    if (!file) return response.writeHead(404).end();
    const { size } = statSync(file);
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const start = Number(from ?? 0);
    const end = to ? Number(to) : size - 1;
    response.writeHead(from === undefined ? 200 : 206, {
      ...(from !== undefined && { 'content-range': `bytes ${start}-${end}/${size}` }),
      'content-length': end - start + 1,
    });
    return createReadStream(file, { start, end, highWaterMark: 2 ** 20 }).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
