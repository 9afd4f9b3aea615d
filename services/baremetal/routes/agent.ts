/** What a machine on the provisioning network may ask: versions, lookup, heartbeat, inspection. The tokens are the key. */
import type { FastifyRequest } from 'fastify';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import { isUuid } from '../../core/uuid.ts';
import {
  BOOT_TOKEN_HEADER,
  ProtocolError,
  readHeartbeat,
  readInspectionCallback,
  readLookupQuery,
} from '../../ipa/index.ts';
import type { Rooms } from '../index.ts';
import { continueInspection, heartbeat, lookup } from '../ramdisk.ts';
import { record, refuse, requireRoute, speakIronic } from './dialect.ts';
import { versionRoutes } from './versions.ts';

/** The protocol's own sentences, as refusals of this API. */
function read<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ProtocolError) throw Object.assign(refuse(error.message), { status: error.status });
    throw error;
  }
}

/** Heartbeat fields by the version that knows them; ours come from agents that were told of the extension. */
const heartbeatFields: readonly [field: string, minor: number][] = [
  ['agent_version', 36],
  ['agent_verify_ca', 68],
];

export function ramdiskRoutes(api: Api, { ground }: Rooms): void {
  for (const v of ['', '/v1']) {
    api.get(`${v}/lookup`, async (request: FastifyRequest) => {
      const query = request.query as Record<string, unknown>;
      const bootToken = request.headers[BOOT_TOKEN_HEADER];
      let asked: ReturnType<typeof readLookupQuery>;
      try {
        asked = readLookupQuery(query);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        throw refuse("At least one of 'addresses' and 'node_uuid' parameters is required");
      }
      return lookup(ground, asked, typeof bootToken === 'string' && bootToken !== '' ? bootToken : null);
    });

    api.post(`${v}/heartbeat/:node`, async (request, reply) => {
      requireRoute(request, 22);
      const { node } = request.params as { node: string };
      const body = record(request.body) ?? {};
      for (const [field, minor] of heartbeatFields)
        if (body[field] !== undefined && body[field] !== null && request.ironicMinor < minor)
          throw refuse(`Field "${field}" not recognised in this version`);
      if (body.callback_url === undefined) throw refuse('Missing mandatory parameter: callback_url');
      if (typeof body.callback_url !== 'string' || !/^https?:\/\//.test(body.callback_url))
        throw refuse('An issue with the supplied "callback_url" has been detected.');
      const beat = read(() => readHeartbeat(body));
      if (!isUuid(node)) throw fault('node-not-found', { node });
      await heartbeat(ground, node.toLowerCase(), beat);
      return reply.code(202).send();
    });

    api.post(`${v}/continue_inspection`, async (request, reply) => {
      const body = record(request.body);
      if (body?.inventory === undefined) throw refuse("Schema error for data: 'inventory' is a required property");
      const data = read(() => readInspectionCallback(body));
      const uuid = await continueInspection(ground, data);
      return reply.code(202).send({ uuid });
    });
  }
}

export function agentRoutes(api: Api, rooms: Rooms): void {
  speakIronic(api, { fallback: false });
  versionRoutes(api, rooms);
  ramdiskRoutes(api, rooms);
}
