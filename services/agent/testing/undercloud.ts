/** A stand-in for the Ironic API: takes lookups and heartbeats, remembers them, and lets a test wait for one. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { BOOT_TOKEN_HEADER, type Heartbeat, type JsonObject, readHeartbeat } from '../../ipa/index.ts';

export interface Undercloud {
  url: string;
  nodeUuid: string;
  lookups: { addresses: string; bootToken: string | undefined; version: string | undefined }[];
  heartbeats: Heartbeat[];
  inspections: JsonObject[];
  /** Resolves when a heartbeat (one that has come or one to come) satisfies the test. */
  heartbeat(wanted: (beat: Heartbeat) => boolean): Promise<Heartbeat>;
  close(): Promise<void>;
}

export interface UndercloudOptions {
  version?: string;
  properties?: JsonObject;
  config?: JsonObject;
  /** Status of the first lookups, heartbeats: a fault for each, then all is well. */
  lookupFaults?: number[];
  heartbeatFaults?: number[];
}

export const NODE_UUID = 'd2c107e6-5abf-42bd-a3a4-5d891e6bf6df';
export const AGENT_TOKEN = '9gbBrw79PhZD1iaMV_uqJLjsTF1DQ1BA8el2HQfcU9c';

export async function standInUndercloud(options: UndercloudOptions = {}): Promise<Undercloud> {
  const { version = '1.96', properties = {}, config = {}, lookupFaults = [], heartbeatFaults = [] } = options;
  const lookups: Undercloud['lookups'] = [];
  const heartbeats: Heartbeat[] = [];
  const inspections: JsonObject[] = [];
  const waiting = new Set<(beat: Heartbeat) => void>();
  const server = http.createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
    const body = Buffer.concat(pieces).toString();
    const send = (status: number, value?: unknown) => {
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(value === undefined ? '' : JSON.stringify(value));
    };
    const fault = (status: number) =>
      send(status, {
        error_message: JSON.stringify({ faultcode: 'Client', faultstring: `fault ${status}`, debuginfo: null }),
      });
    const url = new URL(request.url ?? '/', 'http://stand-in');
    if (url.pathname === '/') return send(200, { default_version: { id: 'v1', version } });
    if (url.pathname === '/v1/lookup') {
      lookups.push({
        addresses: url.searchParams.get('addresses') ?? '',
        bootToken: request.headers[BOOT_TOKEN_HEADER] as string | undefined,
        version: request.headers['x-openstack-ironic-api-version'] as string | undefined,
      });
      const status = lookupFaults.shift();
      if (status) return fault(status);
      return send(200, {
        node: { uuid: NODE_UUID, properties, instance_info: {}, driver_internal_info: {}, links: [] },
        config: { heartbeat_timeout: 300, agent_token: AGENT_TOKEN, agent_token_required: true, ...config },
      });
    }
    if (url.pathname === `/v1/heartbeat/${NODE_UUID}`) {
      const status = heartbeatFaults.shift();
      if (status) return fault(status);
      const beat = readHeartbeat(JSON.parse(body));
      heartbeats.push(beat);
      send(202);
      for (const look of waiting) look(beat);
      return;
    }
    if (url.pathname === '/v1/continue_inspection') {
      inspections.push(JSON.parse(body) as JsonObject);
      return send(202, { uuid: NODE_UUID });
    }
    fault(404);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    nodeUuid: NODE_UUID,
    lookups,
    heartbeats,
    inspections,
    heartbeat: (wanted) =>
      new Promise((resolve) => {
        const look = (beat: Heartbeat) => {
          if (!wanted(beat)) return;
          waiting.delete(look);
          resolve(beat);
        };
        waiting.add(look);
        for (const beat of heartbeats) look(beat);
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
