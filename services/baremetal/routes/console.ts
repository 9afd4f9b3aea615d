/**
 * A node's console over HTTP. Ironic's own routes tell whether it is kept open; `GET /v1/nodes/{node}/console` upgraded to a WebSocket
 * is the console itself, the same path without an upgrade is its state, and `/console/log` is what was recorded.
 *
 * Frames: binary are the machine's characters (to the client) and what is typed (from it). Text frames are JSON objects with a `type`:
 *
 *     to the client    hello, state, writer, note, size (services/baremetal/console/line.ts), refused {code, message}: the last one
 *     from the client  take, yield, break, steal, resize {columns, rows}
 *
 * A browser cannot set X-Auth-Token: it offers the subprotocols `undercloud.console.v1` and `token.` + base64url of the token.
 */
import websocket from '@fastify/websocket';
import type { FastifyRequest } from 'fastify';
import { toFault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { ConsoleLine, LineMessage, Party } from '../console/index.ts';
import type { Rooms } from '../index.ts';
import type { Node } from '../node.ts';
import { baseOf, letIn, record, refuse, requireWrite, truth } from './dialect.ts';
import { findNode } from './nodes.ts';
import { queryOf, requireKnown } from './paging.ts';

type WebSocket = websocket.WebSocket;

export const consoleProtocol = 'undercloud.console.v1';
const tokenProtocol = 'token.';
/** A reader that lags so far behind gets the newest; the log has all. */
const mostUnsent = 1_048_576;
const mostTypedBytes = 65_536;
const pingMs = 30_000;
const mostTail = 65_536;
const mostLines = 10_000;

export async function consoleSocket(api: Api, rooms: Rooms): Promise<void> {
  await api.register(websocket as never, {
    options: {
      maxPayload: mostTypedBytes,
      // The token is no protocol, and never goes back.
      handleProtocols: (offered: Set<string>) => (offered.has(consoleProtocol) ? consoleProtocol : false),
    },
  });
  api.addHook('onRequest', async (request) => {
    // Nor can it say a version; names are known from 1.5 on, and the route is none of Ironic's.
    request.ironicMinor = Math.max(request.ironicMinor, 5);
    if (request.headers['x-auth-token'] !== undefined) return;
    const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
    const found = offered.find((one) => one.startsWith(tokenProtocol));
    if (found) request.headers['x-auth-token'] = Buffer.from(found.slice(tokenProtocol.length), 'base64url').toString();
  });
  letIn(api, rooms.deps);
  for (const v of ['', '/v1']) {
    api.route({
      method: 'GET',
      url: `${v}/nodes/:node/console`,
      handler: async (request: FastifyRequest) => {
        const node = await findNode(rooms, request);
        requireWrite(request.context, 'baremetal:node:get_console', node);
        const { state, enabled, writer, watchers, recording, reason } = rooms.consoles.view(node.uuid);
        return {
          uuid: node.uuid,
          state,
          enabled,
          writer,
          watchers,
          recording,
          reason,
          url: socketUrl(rooms, request, node),
        };
      },
      wsHandler: (socket: WebSocket, request: FastifyRequest) => void serveConsole(rooms, socket, request),
    } as never);
  }
}

const socketUrl = (rooms: Rooms, request: FastifyRequest, node: Node): string =>
  `${baseOf(rooms, request).replace(/^http/, 'ws')}/v1/nodes/${node.uuid}/console`;

async function serveConsole(rooms: Rooms, socket: WebSocket, request: FastifyRequest): Promise<void> {
  const say = (message: LineMessage | Record<string, unknown>) => {
    if (socket.readyState === 1) socket.send(JSON.stringify(message));
  };
  const typed: [data: Buffer, binary: boolean][] = [];
  let heard: (data: Buffer, binary: boolean) => void = (data, binary) => typed.push([data, binary]);
  let gone = false;
  let detach = () => {};
  socket.on('message', (data: Buffer, binary: boolean) => heard(data, binary));
  socket.on('close', () => {
    gone = true;
    detach();
  });
  let unseen = 0;
  /** Live characters wait until those before them are sent. */
  let early: Buffer[] | null = [];
  const send = (bytes: Buffer) => {
    if (socket.readyState !== 1) return;
    if (socket.bufferedAmount > mostUnsent) {
      unseen += bytes.length;
      return;
    }
    if (unseen > 0)
      say({
        type: 'note',
        text: `${unseen} characters were left out: this terminal reads too slowly. The log has them.`,
      });
    unseen = 0;
    socket.send(bytes, { binary: true });
  };
  try {
    const node = await findNode(rooms, request);
    requireWrite(request.context, 'baremetal:node:get_console', node);
    const wish = wishOf(request);
    const party: Party = {
      name: wish.name,
      data: (bytes) => void (early ? early.push(bytes) : send(bytes)),
      tell: say,
    };
    say({ type: 'hello', node: node.uuid, name: node.name, power_state: node.powerState });
    const { line, before } = await rooms.consoles.attach(node.uuid, party, wish, wish.tail);
    detach = () => line.detach(party);
    if (gone) {
      detach();
      return;
    }
    if (before.length > 0) send(before);
    for (const bytes of early) send(bytes);
    early = null;
    heard = (data, binary) => take(line, party, data, binary);
    for (const [data, binary] of typed.splice(0)) heard(data, binary);
    keepAlive(socket);
  } catch (error) {
    const { code, message, status } = toFault(error);
    say({ type: 'refused', code, message, status });
    socket.close(4_000 + (status % 1_000), code);
  }
}

interface Wish {
  name: string;
  write: boolean;
  take: boolean;
  steal: boolean;
  tail: number;
}

function wishOf(request: FastifyRequest): Wish {
  const query = queryOf(request);
  requireKnown(query, ['watch', 'take_over', 'name', 'tail']);
  const watch = query.watch !== undefined && truth(query.watch, 'watch');
  const takeOver = query.take_over !== undefined && truth(query.take_over, 'take_over');
  const tail = Number(query.tail ?? 2_048);
  if (!Number.isInteger(tail) || tail < 0 || tail > mostTail)
    throw refuse(`tail is 0 to ${mostTail}, not ${query.tail}.`);
  // Shown on other people's terminals: no control character gets there.
  const name = (query.name ?? '').replace(/[^\p{L}\p{N}@._ -]/gu, '').slice(0, 64);
  return {
    name: name || request.context.userId || 'somebody',
    write: !watch,
    take: takeOver && !watch,
    steal: takeOver,
    tail,
  };
}

const isSize = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) > 0 && Number(value) <= 1_000;

/** What a text frame of the client may ask. */
const asks: Readonly<Record<string, (line: ConsoleLine, party: Party, frame: Record<string, unknown>) => void>> = {
  take: (line, party) => line.take(party),
  yield: (line, party) => line.yield(party),
  break: (line, party) => line.break(party),
  steal: (line, party) =>
    void line.steal(party).catch((error) => party.tell({ type: 'note', text: toFault(error).message })),
  resize(line, party, { columns, rows }) {
    if (isSize(columns) && isSize(rows)) line.resize(party, columns, rows);
    else party.tell({ type: 'note', text: 'A resize has columns and rows, whole numbers from 1 to 1000.' });
  },
};

/** One frame of the client. What makes no sense is answered by a note: a bad client must see its mistake. */
function take(line: ConsoleLine, party: Party, data: Buffer, binary: boolean): void {
  if (binary) {
    line.write(party, data);
    return;
  }
  let frame: Record<string, unknown> | null = null;
  try {
    frame = record(JSON.parse(data.toString('utf8')));
  } catch {
    // Told below.
  }
  const type = frame?.type;
  if (frame && typeof type === 'string' && Object.hasOwn(asks, type)) asks[type]?.(line, party, frame);
  else party.tell({ type: 'note', text: `This frame was not understood: ${Object.keys(asks).join(', ')} are.` });
}

/** A terminal whose machine was switched off must not keep the writer's place. */
function keepAlive(socket: WebSocket): void {
  let answered = true;
  socket.on('pong', () => {
    answered = true;
  });
  const timer = setInterval(() => {
    if (answered) socket.ping();
    else socket.terminate();
    answered = false;
  }, pingMs);
  timer.unref();
  socket.on('close', () => clearInterval(timer));
}

/** The recorded log, and Ironic's own two routes. */
export function consoleRoutes(api: Api, rooms: Rooms, v: string): void {
  api.get(`${v}/nodes/:node/console/log`, async (request) => {
    const query = queryOf(request);
    requireKnown(query, ['search', 'since', 'until', 'from', 'limit']);
    const node = await findNode(rooms, request);
    requireWrite(request.context, 'baremetal:node:get_console', node);
    const page = await rooms.consoles.log(node.uuid, {
      limit: Math.min(Math.max(1, whole(query.limit, 'limit') ?? 1_000), mostLines),
      ...(query.from !== undefined && { from: whole(query.from, 'from') }),
      ...(query.since !== undefined && { since: moment(query.since, 'since') }),
      ...(query.until !== undefined && { until: moment(query.until, 'until') }),
      ...(query.search !== undefined && { search: query.search }),
    });
    return {
      lines: page.lines.map(({ offset, at, text }) => ({
        offset,
        at: at === null ? null : new Date(at).toISOString(),
        text,
      })),
      first_offset: page.first,
      end_offset: page.end,
      next_offset: page.next,
    };
  });

  api.get(`${v}/nodes/:node/states/console`, async (request) => {
    const node = await findNode(rooms, request);
    requireWrite(request.context, 'baremetal:node:get_console', node);
    await rooms.consoles.check(node.uuid);
    const enabled = rooms.consoles.enabled(node.uuid);
    return {
      console_enabled: enabled,
      console_info: enabled ? { type: 'websocket', url: socketUrl(rooms, request, node) } : null,
    };
  });

  api.put(`${v}/nodes/:node/states/console`, async (request, reply) => {
    const { enabled } = record(request.body) ?? {};
    if (enabled === undefined) throw refuse('Missing mandatory parameter: enabled');
    const on = truth(enabled, 'enabled');
    const node = await findNode(rooms, request);
    requireWrite(request.context, 'baremetal:node:set_console_state', node);
    await rooms.consoles.enable(node.uuid, on);
    return reply
      .code(202)
      .header('location', `${baseOf(rooms, request)}/v1/nodes/${node.uuid}/states/console`)
      .send();
  });
}

function whole(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw refuse(`Expected an integer for ${name}: ${text}`);
  return Number(text);
}

function moment(text: string, name: string): number {
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw refuse(`${name} is a time such as 2026-11-21T03:04:05Z, not ${text}.`);
  return at;
}
