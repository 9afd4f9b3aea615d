// A Redfish BMC without hardware: the machine (virtual-redfish-machine.ts) behind the BMC half of services/redfish, served over HTTPS
// with a certificate that is handed in, or over plain HTTP on loopback.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, systemClock } from '../core/clock.ts';
import {
  createRedfishMockup,
  type Mockup,
  type MockupFlavour,
  type MockupFlavourName,
  mockupFlavours,
} from '../redfish/index.ts';
import { VirtualRedfishMachine, type VirtualRedfishOptions } from './virtual-redfish-machine.ts';

export interface ServeRedfishOptions extends Partial<Omit<VirtualRedfishOptions, 'clock' | 'ignoresBoot'>> {
  flavour?: MockupFlavourName;
  /** What this one has otherwise. */
  change?: Partial<MockupFlavour>;
  clock?: Clock;
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 0: any that is free. */
  port?: number;
  /** PEM; without it plain HTTP is spoken. */
  tls?: { key: string; cert: string };
  maxSessions?: number;
}

export interface VirtualRedfish {
  readonly machine: VirtualRedfishMachine;
  readonly mockup: Mockup;
  /** `https://127.0.0.1:443`. */
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

const mostBody = 1024 * 1024;
/** What an endless answer has before its connection is cut by who serves it. */
const endlessBytes = 64 * 1024 * 1024;

export async function serveVirtualRedfish(options: ServeRedfishOptions = {}): Promise<VirtualRedfish> {
  const { clock = systemClock, host = '127.0.0.1', port = 0, tls, flavour = 'contoso' } = options;
  const machine: VirtualRedfishMachine = new VirtualRedfishMachine({
    serial: 'VR0001',
    uuid: '38947555-7742-3448-3784-823347823834',
    ...options,
    clock,
    ignoresBoot: () => mockup.faults.boot === 'ignores',
  });
  const mockup: Mockup = createRedfishMockup({
    machine,
    flavour: { ...mockupFlavours[flavour], ...options.change },
    // As BMCs do: once, and whoever is not there has missed it.
    onPush: (destination, event) =>
      void fetch(destination, {
        method: 'POST',
        body: JSON.stringify(event),
        headers: { 'Content-Type': 'application/json' },
      }).catch(() => {}),
    ...(options.maxSessions !== undefined && { maxSessions: options.maxSessions }),
  });
  const { faults } = mockup;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length <= mostBody) chunks.push(chunk);
    }
    if (faults.deaf) return;
    const asked = {
      method: request.method ?? 'GET',
      url: request.url ?? '/',
      headers: request.headers as Record<string, string | undefined>,
      body: Buffer.concat(chunks).toString('utf8'),
    };
    const leave = mockup.stream(asked, (text) => {
      if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write(text);
    });
    if (leave) {
      response.on('close', leave);
      return;
    }
    if (faults.slowMs > 0) await new Promise<void>((resolve) => void clock.after(faults.slowMs, resolve));
    const { status, headers, body } = mockup.handle(asked);
    const text = body === null ? '' : JSON.stringify(body);
    const common = {
      'OData-Version': '4.0',
      'Cache-Control': 'no-cache',
      ...(body && { 'Content-Type': 'application/json' }),
    };
    response.writeHead(status, { ...common, ...headers });
    const read = asked.method === 'GET' && status === 200;
    if (read && faults.endless > 0) {
      faults.endless -= 1;
      endless(response);
    } else if (read && faults.truncated > 0) {
      faults.truncated -= 1;
      response.end(text.slice(0, Math.floor(text.length / 2)));
    } else if (faults.notRedfish) response.end('<html><title>It works!</title></html>');
    else response.end(text);
  }

  function endless(response: ServerResponse): void {
    const piece = Buffer.alloc(256 * 1024, ' ');
    let sent = 0;
    const more = () => {
      while (!response.destroyed && sent < endlessBytes) {
        sent += piece.length;
        if (!response.write(piece)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  }

  const take = (request: IncomingMessage, response: ServerResponse) => {
    serve(request, response).catch(() => response.destroy());
  };
  const server: Server = tls ? createSecureServer(tls, take) : createServer(take);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    machine,
    mockup,
    port: bound,
    address: `${tls ? 'https' : 'http'}://${host}:${bound}`,
    async close() {
      machine.stop();
      mockup.close();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
