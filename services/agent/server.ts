/** The agent's own API: where the conductor's commands arrive. HTTPS with the certificate that the heartbeat announces. */
import { timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { COMMANDS, type CommandResult, ProtocolError, readCommandRequest } from '../ipa/index.ts';
import type { AgentCertificate } from './certificate.ts';
import type { CommandBook } from './command-book.ts';
import { reasonOf } from './failure.ts';

export interface CommandServerOptions {
  book: CommandBook;
  token: string;
  version: string;
  /** Without it plain HTTP is served, as a stock agent does with autotls off. */
  certificate?: AgentCertificate | undefined;
  host?: string | undefined;
  port: number;
  /** A command's end has been sent to someone. */
  onTold(result: CommandResult): void;
}

export interface CommandServer {
  port: number;
  close(): Promise<void>;
}

/** A config drive of 64 MiB in base64 and its command. */
const BODY_MAX = 100 * 1_048_576;

async function bodyOf(request: http.IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > BODY_MAX) throw new ProtocolError(`The command is longer than ${BODY_MAX} bytes.`, 413);
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'));
  } catch (cause) {
    throw new ProtocolError(`The command is no JSON: ${reasonOf(cause)}.`);
  }
}

function sameToken(given: string | null, token: string): boolean {
  const a = Buffer.from(given ?? '');
  const b = Buffer.from(token);
  return a.length === b.length && timingSafeEqual(a, b);
}

interface Answer {
  body: unknown;
  told?: CommandResult;
}

export async function serveCommands(options: CommandServerOptions): Promise<CommandServer> {
  const { book, token, version, certificate } = options;
  const startedAt = Date.now() / 1000;

  async function commandAnswer(result: CommandResult, wait: boolean): Promise<Answer> {
    const shown = wait ? await book.ended(result.id) : result;
    return shown.command_status === 'RUNNING' ? { body: shown } : { body: shown, told: shown };
  }

  async function answer(request: http.IncomingMessage): Promise<Answer> {
    // Not parsed against a base: a target that begins with // would be read as a host name.
    const [target = '', queryText = ''] = (request.url ?? '/').split('?', 2);
    const query = new URLSearchParams(queryText);
    const parts = target.split('/').filter(Boolean);
    const route = `${request.method} /${parts.slice(0, 2).join('/')}`;
    const links = [{ href: '/v1/', rel: 'self' }];
    if (route === 'GET /')
      return {
        body: {
          name: 'OpenStack Ironic Python Agent API',
          description: 'Undercloud agent',
          versions: [{ id: 'v1', links }],
          default_version: { id: 'v1', links },
        },
      };
    if (route === 'GET /v1')
      return {
        body: {
          id: 'v1',
          links,
          commands: [{ href: '/v1/commands/', rel: 'self' }],
          status: [{ href: '/v1/status/', rel: 'self' }],
        },
      };
    if (route === 'GET /v1/status') return { body: { started_at: startedAt, version } };
    if (parts[0] !== 'v1' || parts[1] !== 'commands' || parts.length > 3)
      throw new ProtocolError(`There is nothing at ${target.slice(0, 200)}.`, 404);
    if (!sameToken(query.get('agent_token'), token)) throw new ProtocolError('Token invalid.', 401);
    const wait = query.get('wait')?.toLowerCase() === 'true';
    const [, , id] = parts;
    if (request.method === 'GET' && id === undefined) {
      const last = book.list().at(-1);
      return { body: { commands: book.list() }, ...(last && last.command_status !== 'RUNNING' ? { told: last } : {}) };
    }
    if (request.method === 'GET' && id !== undefined) {
      const result = book.get(id);
      if (!result) throw new ProtocolError(`There is no command ${id.slice(0, 64)}.`, 404);
      return commandAnswer(result, wait);
    }
    if (request.method === 'POST' && id === undefined) {
      const command = readCommandRequest(await bodyOf(request), {
        fence: query.get('fence') ?? undefined,
        request: query.get('request') ?? undefined,
      });
      const result = book.submit(command);
      // A sync command ends within its request, as the stock agent's do, whatever `wait` says.
      const sync = COMMANDS[command.name as keyof typeof COMMANDS] === 'sync';
      return commandAnswer(result, wait || sync);
    }
    throw new ProtocolError(`${request.method} is not understood at ${target}.`, 405);
  }

  function listener(request: http.IncomingMessage, response: http.ServerResponse) {
    answer(request)
      .catch((error: unknown) => {
        const status = error instanceof ProtocolError ? error.status : 500;
        response.statusCode = status;
        return {
          body: { faultcode: status < 500 ? 'Client' : 'Server', faultstring: reasonOf(error), debuginfo: null },
        } as Answer;
      })
      .then(({ body, told }) => {
        const text = JSON.stringify(body);
        response.setHeader('content-type', 'application/json');
        response.setHeader('content-length', Buffer.byteLength(text));
        if (told) response.on('finish', () => options.onTold(told));
        response.end(text);
        // An answer before the end of the body (a refusal) ends the connection, or the rest would be read as a request.
        if (!request.complete) response.on('finish', () => request.destroy());
      });
  }

  const server = certificate
    ? https.createServer({ key: certificate.key, cert: certificate.cert }, listener)
    : http.createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
