/**
 * `undercloud node console`: the terminal at one end of a WebSocket. A connection that breaks is made again with a visible note, for
 * `serve` may be restarted; a refusal of the undercloud ends it with the undercloud's own sentence.
 */
import { hostname, userInfo } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import tls from 'node:tls';
import { type Fault, fault } from '../core/errors/index.ts';
import type { Client } from './client.ts';
import { escapeHelp, escapeReader } from './console-escape.ts';
import type { ConsoleTerminal } from './console-terminal.ts';
import { refusalOf } from './refusal.ts';

export interface ConsoleWish {
  readonly node: string;
  readonly watch: boolean;
  readonly takeOver: boolean;
  readonly signal: AbortSignal;
}

const patienceMs = 300_000;
const retryMs = 1_000;
/** A pipe has said all it has to say; what the machine answers is waited for as long as it goes on. */
const quietMs = 2_000;
const protocol = 'undercloud.console.v1';
/** How a connection ended. */
type End = { kind: 'left' } | { kind: 'refused'; fault: Fault } | { kind: 'lost'; reason: string };

interface Frame {
  type?: string;
  text?: string;
  code?: string;
  message?: string;
  status?: number;
  name?: string | null;
  node?: string;
  you?: boolean;
  state?: string;
  columns?: number;
  rows?: number;
}

/** Resolves when the operator leaves. @throws Fault of the undercloud; the signal's reason when it is aborted */
export async function runConsole(cloud: Client, terminal: ConsoleTerminal, wish: ConsoleWish): Promise<void> {
  const { signal } = wish;
  let socket: WebSocket | null = null;
  let writes = false;
  let left: () => void = () => {};
  const leaving = new Promise<void>((resolve) => {
    left = resolve;
  });
  let lastHeard = Date.now();
  const tell = (message: Record<string, unknown>) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
  const send = (bytes: Buffer) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(new Uint8Array(bytes));
  };
  const size = () => terminal.size;

  const read = escapeReader();
  const commands = {
    leave: () => left(),
    help: () => {
      for (const line of escapeHelp()) terminal.note(line);
    },
    take: () => tell({ type: 'take' }),
    yield: () => tell({ type: 'yield' }),
    break: () => tell({ type: 'break' }),
    steal: () => tell({ type: 'steal' }),
    size() {
      const now = size();
      if (!writes || !now)
        terminal.note(now ? 'The size was not typed: you only watch.' : 'This is no terminal with a size.');
      else send(Buffer.from(`stty rows ${now.rows} cols ${now.columns}\r`));
    },
    tilde: () => {},
  } as const;
  terminal.onInput(
    (chunk) => {
      // A watcher's Ctrl-C is no key of the machine's.
      if (terminal.raw && wish.watch && !writes && chunk.includes(0x03)) return left();
      for (const typed of read(chunk)) {
        if ('command' in typed) commands[typed.command]();
        else if (writes || !wish.watch) send(typed.bytes);
      }
    },
    () => {
      if (terminal.raw) return left();
      const look = setInterval(() => {
        if (Date.now() - lastHeard < quietMs) return;
        clearInterval(look);
        left();
      }, 100);
      look.unref();
    },
  );
  terminal.onResize(() => {
    const now = size();
    if (now && writes) tell({ type: 'resize', ...now });
  });

  const connectOnce = async (takeOver: boolean): Promise<End> => {
    const query = new URLSearchParams({
      name: whoAmI(),
      ...(wish.watch && { watch: 'true' }),
      ...(takeOver && { take_over: 'true' }),
    });
    const { url, token, ca, verify } = await cloud.socketAddress(
      'baremetal',
      `/v1/nodes/${encodeURIComponent(wish.node)}/console?${query}`,
    );
    trust(ca, verify);
    return new Promise<End>((resolve) => {
      const made = new WebSocket(url, { headers: { 'x-auth-token': token }, protocols: [protocol] } as never);
      socket = made;
      made.binaryType = 'arraybuffer';
      let refused: Fault | null = null;
      const abort = () => made.close();
      signal.addEventListener('abort', abort, { once: true });
      leaving.then(() => {
        made.close();
        resolve({ kind: 'left' });
      });
      made.addEventListener('message', ({ data }) => {
        lastHeard = Date.now();
        if (typeof data !== 'string') return terminal.show(Buffer.from(data as ArrayBuffer));
        const frame = JSON.parse(data) as Frame;
        if (frame.type === 'refused')
          refused = refusalOf(frame.status ?? 500, frame.message ?? 'The undercloud refuses the console.');
        else if (frame.type === 'hello')
          terminal.note(`${frame.name ?? frame.node}: ~. after a new line leaves, ~? helps`);
        else if (frame.type === 'size') terminal.note(`The writer’s terminal is ${frame.columns} × ${frame.rows}.`);
        else if (frame.text !== undefined) terminal.note(frame.text);
        if (frame.type !== 'writer') return;
        writes = frame.you === true;
        const now = size();
        if (writes && now) tell({ type: 'resize', ...now });
      });
      let failed = '';
      made.addEventListener('error', (event) => {
        const { error, message } = event as Event & { error?: Error; message?: string };
        failed = error?.cause instanceof Error ? error.cause.message : (message ?? '');
      });
      made.addEventListener('close', ({ code, reason }) => {
        signal.removeEventListener('abort', abort);
        writes = false;
        if (refused) resolve({ kind: 'refused', fault: refused });
        else resolve({ kind: 'lost', reason: failed || reason || `the connection was closed (${code})` });
      });
    });
  };

  let until = Date.now() + patienceMs;
  for (let takeOver = wish.takeOver, first = true; ; first = false) {
    const end = await connectOnce(takeOver).catch((error: Fault): End => {
      if (signal.aborted || first) throw error;
      return { kind: 'lost', reason: error.message };
    });
    if (signal.aborted) throw signal.reason;
    if (end.kind === 'left') return;
    const passing = end.kind === 'lost' || [502, 503, 504].includes(end.fault.status);
    if (end.kind === 'refused' && (first || !passing)) throw end.fault;
    if (Date.now() - lastHeard < 2 * retryMs) until = Date.now() + patienceMs;
    if (Date.now() > until)
      throw end.kind === 'refused' ? end.fault : fault('cloud-unreachable', { url: 'the console', reason: end.reason });
    terminal.note(
      `${end.kind === 'lost' ? `The connection was lost: ${end.reason}.` : end.fault.sentence} Trying again.`,
    );
    takeOver = false;
    await Promise.race([wait(retryMs, undefined, { signal }), leaving]);
  }
}

function whoAmI(): string {
  let user = 'somebody';
  try {
    user = userInfo().username;
  } catch {
    // A uid without a name, as containers have.
  }
  return `${user}@${hostname()}`;
}

let trusted = false;

/** WebSockets of Node take the process's trust alone; this process talks to one undercloud. */
function trust(ca: string | null, verify: boolean): void {
  if (ca !== null && !trusted) tls.setDefaultCACertificates([...tls.getCACertificates('default'), ca]);
  trusted = true;
  if (!verify) process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
}
