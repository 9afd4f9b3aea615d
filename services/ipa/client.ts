/** The conductor's side of the wire: commands to one agent, whose certificate is pinned to the one that its heartbeat brought. */
import { X509Certificate } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import {
  type CommandResult,
  readCommandList,
  readCommandResult,
  readStepOffers,
  type StepKind,
  type StepOffers,
} from './command.ts';
import { type JsonObject, ProtocolError, shown } from './field.ts';

/** `ca` is PEM: the only certificate that the peer may show. Time is bounded by `timeoutMs` for the whole exchange. */
export interface AgentRequest {
  method: 'GET' | 'POST';
  url: string;
  body?: string;
  ca?: string;
  timeoutMs: number;
}

export type AgentTransport = (request: AgentRequest) => Promise<{ status: number; body: string }>;

/** An exchange with an agent failed. `status` 0: it was not reached, and the command may or may not have arrived. */
export class AgentCallError extends Error {
  override name = 'AgentCallError';
  readonly status: number;
  constructor(message: string, status: number, cause?: unknown) {
    super(message, { cause });
    this.status = status;
  }
  /** The agent runs another command and takes this one when that has ended. */
  get busy(): boolean {
    return this.status === 409 && !this.fenced;
  }
  /** A newer holder of the node's lease has spoken to the agent: this caller must stop. */
  get fenced(): boolean {
    return this.status === 409 && /fence/i.test(this.message);
  }
}

/** An agent's logs are its largest answer. */
const ANSWER_MAX = 64 * 1_048_576;

/** Each exchange has its own connection: a kept one died of the agent's long fsync (seen in the lab as "socket hang up"). */
export const httpTransport: AgentTransport = ({ method, url, body, ca, timeoutMs }) =>
  new Promise((resolve, reject) => {
    const target = new URL(url);
    const headers =
      body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const pinned = ca === undefined ? undefined : new X509Certificate(ca).raw;
    const common = { method, headers, agent: false as const, signal: AbortSignal.timeout(Math.ceil(timeoutMs)) };
    const answered = (response: http.IncomingMessage) => {
      const pieces: Buffer[] = [];
      let size = 0;
      response.on('data', (piece: Buffer) => {
        size += piece.length;
        if (size > ANSWER_MAX) response.destroy(new Error(`the answer is longer than ${ANSWER_MAX} bytes`));
        else pieces.push(piece);
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString('utf8') }),
      );
      response.on('error', reject);
    };
    const request =
      target.protocol === 'https:'
        ? https.request(
            target,
            {
              ...common,
              ...(ca === undefined ? {} : { ca }),
              // The agent's address changes with its lease; its certificate does not. The very certificate is compared instead.
              checkServerIdentity: (_host, shownCertificate) =>
                pinned === undefined || shownCertificate.raw.equals(pinned)
                  ? undefined
                  : new Error("the certificate is not the one that the agent's heartbeat announced"),
            },
            answered,
          )
        : http.request(target, common, answered);
    request.on('error', reject);
    request.end(body);
  });

export interface AgentClientOptions {
  /** From the heartbeat, such as https://192.0.2.17:9999. */
  callbackUrl: string;
  agentToken: string;
  /** agent_verify_ca of the heartbeat (PEM). */
  verifyCa?: string | undefined;
  /** Sent with every command; the agent refuses a lower one than it has seen. A stock agent ignores it. */
  fence?: number | undefined;
  transport?: AgentTransport;
  /** Default 60,000: stock Ironic's command_timeout. */
  timeoutMs?: number;
}

export interface ExecuteOptions {
  /** Whether the agent answers only when the command has ended. Default false. */
  wait?: boolean;
  timeoutMs?: number;
  /** A name of the caller's own: sending it again after a lost answer does not start the command twice. */
  request?: string;
}

/** Every function throws AgentCallError with a sentence. A command that FAILED is no exception: it is a result. */
export interface AgentClient {
  /** All commands that the agent has had, oldest first. */
  commands(): Promise<CommandResult[]>;
  command(id: string, options?: { wait?: boolean; timeoutMs?: number }): Promise<CommandResult>;
  execute(name: string, params?: JsonObject, options?: ExecuteOptions): Promise<CommandResult>;
  getSteps(kind: StepKind, node: JsonObject, ports: JsonObject[]): Promise<StepOffers>;
  executeStep(
    kind: StepKind,
    step: JsonObject,
    about: { node: JsonObject; ports: JsonObject[]; version?: Record<string, string> },
    options?: ExecuteOptions,
  ): Promise<CommandResult>;
}

function faultOf(body: string): string {
  try {
    const { faultstring, message } = JSON.parse(body) as { faultstring?: unknown; message?: unknown };
    if (typeof faultstring === 'string') return faultstring;
    if (typeof message === 'string') return message;
  } catch {
    // Not JSON: shown as it is.
  }
  return shown(body);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'it did not answer in time';
  // A refused connection to two address families is an AggregateError without a message of its own.
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}

export function createAgentClient(options: AgentClientOptions): AgentClient {
  const { callbackUrl, agentToken, verifyCa, fence, transport = httpTransport, timeoutMs: standard = 60_000 } = options;
  const base = callbackUrl.replace(/\/+$/, '');

  async function exchange<T>(
    what: string,
    method: 'GET' | 'POST',
    path: string,
    query: Record<string, string>,
    body: JsonObject | undefined,
    timeoutMs: number,
    read: (value: unknown) => T,
  ): Promise<T> {
    const url = `${base}${path}?${new URLSearchParams({ ...query, agent_token: agentToken })}`;
    let answer: { status: number; body: string };
    try {
      answer = await transport({
        method,
        url,
        timeoutMs,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(verifyCa === undefined ? {} : { ca: verifyCa }),
      });
    } catch (cause) {
      throw new AgentCallError(`The agent at ${base} could not be asked for ${what}: ${reasonOf(cause)}.`, 0, cause);
    }
    if (answer.status < 200 || answer.status > 299)
      throw new AgentCallError(
        `The agent at ${base} refused ${what} with ${answer.status}: ${faultOf(answer.body)}`,
        answer.status,
      );
    try {
      return read(JSON.parse(answer.body));
    } catch (cause) {
      const why = cause instanceof ProtocolError ? cause.message : `its answer is ${shown(answer.body)}, no JSON.`;
      throw new AgentCallError(`The agent at ${base} answered ${what} wrongly: ${why}`, 502, cause);
    }
  }

  function execute(name: string, params: JsonObject = {}, { wait = false, timeoutMs, request }: ExecuteOptions = {}) {
    // Our additions go into the query: a stock agent passes unknown parameters on to its extension, which would refuse them.
    const query = {
      wait: String(wait),
      ...(fence === undefined ? {} : { fence: String(fence) }),
      ...(request === undefined ? {} : { request }),
    };
    return exchange(name, 'POST', '/v1/commands/', query, { name, params }, timeoutMs ?? standard, readCommandResult);
  }

  return {
    commands: () => exchange('its commands', 'GET', '/v1/commands/', {}, undefined, standard, readCommandList),
    command: (id, { wait = false, timeoutMs = standard } = {}) =>
      exchange(
        `command ${id}`,
        'GET',
        `/v1/commands/${encodeURIComponent(id)}`,
        { wait: String(wait) },
        undefined,
        timeoutMs,
        readCommandResult,
      ),
    execute,
    async getSteps(kind, node, ports) {
      const name = `${kind}.get_${kind}_steps`;
      const result = await execute(name, { node, ports }, { wait: true });
      if (result.command_status !== 'SUCCEEDED')
        throw new AgentCallError(
          `The agent at ${base} could not list its ${kind} steps: ${result.command_error?.message ?? result.command_status}`,
          500,
        );
      try {
        return readStepOffers(kind, result.command_result);
      } catch (cause) {
        throw new AgentCallError(
          `The agent at ${base} answered ${name} wrongly: ${(cause as Error).message}`,
          502,
          cause,
        );
      }
    },
    executeStep(kind, step, { node, ports, version }, executeOptions) {
      const params: JsonObject = {
        step,
        node,
        ports,
        ...(version === undefined ? {} : { [`${kind}_version`]: version }),
      };
      return execute(`${kind}.execute_${kind}_step`, params, executeOptions);
    },
  };
}
