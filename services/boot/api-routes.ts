/** What boot tells over the API, mounted at /boot: candidates, scans for BMCs, the wire, captures. */
import Type from 'typebox';
import type { Context } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { RecordedEvent } from '../core/events/index.ts';
import { type Api, type Authenticate, type Routes, requireToken } from '../core/http/index.ts';
import { BOOT_TOKEN_HEADER } from '../ipa/index.ts';
import type { BmcCredentials, FoundBmc } from './bmc-scan.ts';
import type { AcceptFields, Candidates } from './candidates.ts';
import type { CandidateRow } from './store/candidates.ts';
import type { ForeignServer } from './watch.ts';

export interface ApiRoutesDeps {
  readonly authenticate: Authenticate;
  readonly candidates: Candidates;
  readonly interface: string;
  /** Null where the wire cannot be listened to. */
  readonly foreign: () => readonly ForeignServer[] | null;
  readonly policy: string;
  readonly advertises: boolean;
  readonly scan: (cidr: string, credentials: readonly BmcCredentials[], signal: AbortSignal) => Promise<FoundBmc[]>;
  /** What a machine that is no node has done, oldest first. */
  readonly story: (mac: string) => Promise<readonly RecordedEvent[]>;
  /** Of the node of that name or uuid, or the card of that MAC. */
  readonly capture: (context: Context, what: string, seconds: number) => Promise<NodeJS.ReadableStream>;
}

const Credentials = Type.Object({
  username: Type.String({ maxLength: 255 }),
  password: Type.String({ maxLength: 255 }),
});
const Accept = Type.Object(
  {
    name: Type.Optional(Type.String({ maxLength: 255 })),
    address: Type.Optional(Type.String({ maxLength: 255 })),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
    username: Type.Optional(Type.String({ maxLength: 255 })),
    password: Type.Optional(Type.String({ maxLength: 255 })),
    resource_class: Type.Optional(Type.String({ maxLength: 255 })),
    provide: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
const Scan = Type.Object(
  { cidr: Type.String({ maxLength: 64 }), credentials: Type.Optional(Type.Array(Credentials, { maxItems: 16 })) },
  { additionalProperties: false },
);
const Capture = Type.Object({ seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600 })) });
const ById = Type.Object({ id: Type.String({ maxLength: 255 }) });

const defaultCaptureSeconds = 600;
/** An inventory of a large machine has some 100 kB. */
const reportLimit = 4 * 1024 * 1024;

function shown(row: CandidateRow) {
  return {
    id: row.id,
    source: row.source,
    state: row.state,
    mac: row.mac,
    macs: row.macs,
    system_uuid: row.system_uuid,
    vendor: row.vendor,
    product: row.product,
    serial: row.serial,
    boot_mode: row.boot_mode,
    bmc_address: row.bmc_address,
    bmc_protocol: row.bmc_protocol,
    has_credentials: row.bmc_secret !== null,
    neighbours: row.neighbours,
    first_seen: row.first_seen.toISOString(),
    last_seen: row.last_seen.toISOString(),
  };
}

const foreignShown = (server: ForeignServer) => ({
  interface: server.interface,
  mac: server.mac,
  address: server.address,
  kind: server.kind,
  offered: server.offered,
  boot_file: server.bootFile,
  how: server.how,
  first_seen: server.firstSeen.toISOString(),
  last_seen: server.lastSeen.toISOString(),
});

function requireAdmin(context: Context): void {
  if (!context.roles.includes('admin')) throw fault('forbidden', { action: 'boot:admin', roles: 'admin' });
}

export function createApiRoutes(deps: ApiRoutesDeps): Routes {
  const { candidates } = deps;
  return async (api) => {
    // Reported by the discovery ramdisk: its boot token is the key.
    api.post('/v1/discovered', { bodyLimit: reportLimit }, async (request, reply) => {
      const token = request.headers[BOOT_TOKEN_HEADER];
      if (typeof token !== 'string' || token === '')
        throw fault('discovery-refused', { reason: `there is no boot token in ${BOOT_TOKEN_HEADER}` });
      const row = await candidates.reported(token, request.body);
      return reply.code(202).send({ candidate: row.id, next: 'power off' });
    });

    await api.register(async (plugin) => {
      const inner = plugin as unknown as Api;
      inner.addHook('onRequest', requireToken(deps.authenticate));
      inner.addHook('onRequest', async (request) => requireAdmin(request.context));

      inner.get('/v1/wire', async () => {
        const foreign = deps.foreign();
        return {
          interface: deps.interface,
          watched: foreign !== null,
          policy: deps.policy,
          advertises_router: deps.advertises,
          foreign_servers: (foreign ?? []).map(foreignShown),
        };
      });

      inner.get('/v1/candidates', async () => ({ candidates: (await candidates.list()).map(shown) }));
      inner.get('/v1/candidates/:id', { schema: { params: ById } }, async (request) => {
        const row = await candidates.find(request.params.id);
        const events = row.mac === null ? [] : await deps.story(row.mac);
        return {
          ...shown(row),
          inventory: row.inventory,
          // As baremetal's timeline of a node.
          events: events.map(({ id, at, kind, data, durationMs, cause }) => ({
            ...{ id, at: at.toISOString(), kind, data },
            duration_ms: durationMs,
            cause,
          })),
        };
      });
      inner.delete('/v1/candidates/:id', { schema: { params: ById } }, async (request, reply) => {
        await candidates.forget(request.context, request.params.id);
        return reply.code(204).send();
      });
      inner.post('/v1/candidates/:id/accept', { schema: { params: ById, body: Accept } }, async (request, reply) => {
        const { resource_class, ...fields } = request.body;
        const made = await candidates.accept(request.context, request.params.id, {
          ...fields,
          ...(resource_class !== undefined && { resourceClass: resource_class }),
        } as AcceptFields);
        return reply.code(202).send({ node: made });
      });

      inner.post('/v1/bmc-scans', { schema: { body: Scan } }, async (request, reply) => {
        const gone = new AbortController();
        // Nobody waits for the answer any more: no reason to go on asking a network.
        reply.raw.once('close', () => {
          if (!reply.raw.writableFinished) gone.abort();
        });
        const { cidr, credentials = [] } = request.body;
        const found = await deps.scan(cidr, credentials, gone.signal);
        const ids = await candidates.scanned(
          found.map((bmc) => ({
            address: bmc.address,
            protocol: bmc.protocols[0] ?? 'ipmi',
            vendor: bmc.vendor,
            product: bmc.product,
            serial: bmc.serial,
            systemUuid: bmc.systemUuid,
            secret: bmc.credentials && JSON.stringify(bmc.credentials),
          })),
        );
        return {
          bmcs: found.map(({ credentials: _secret, ...bmc }, i) => ({
            candidate: ids[i],
            address: bmc.address,
            protocols: bmc.protocols,
            ipmi_version: bmc.ipmiVersion,
            redfish_version: bmc.redfishVersion,
            vendor: bmc.vendor,
            product: bmc.product,
            serial: bmc.serial,
            system_uuid: bmc.systemUuid,
            username: bmc.username,
            refusal: bmc.refusal,
          })),
        };
      });

      inner.get('/v1/captures/:id', { schema: { params: ById, querystring: Capture } }, async (request, reply) => {
        const seconds = request.query.seconds ?? defaultCaptureSeconds;
        const stream = await deps.capture(request.context, request.params.id, seconds);
        return reply.type('application/vnd.tcpdump.pcap').send(stream);
      });
    });
  };
}
