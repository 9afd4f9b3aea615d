/**
 * The agent's life: find out who I am (inspection, lookup), say where I am (heartbeat), do as I am told (commands), leave.
 * The same code runs in the ramdisk and, with simulated hardware, within a test's own process.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type CommandResult, type JsonObject, type LookupAnswer, MASKED_TOKEN, type Progress } from '../ipa/index.ts';
import { type AgentCertificate, selfSignedCertificate } from './certificate.ts';
import { type CommandBook, createCommandBook } from './command-book.ts';
import { reasonOf } from './failure.ts';
import { createFetcher, type Fetcher, type FetcherOptions } from './fetcher.ts';
import type { Hardware } from './hardware.ts';
import { createHeart, type Heart } from './heart.ts';
import { type CommandServer, serveCommands } from './server.ts';
import { createMemory } from './task.ts';
import { imageKey } from './trust.ts';
import { createUndercloudClient, UndercloudError } from './undercloud-client.ts';

export const AGENT_VERSION = '9.11.0';

export interface AgentTiming {
  lookupTimeoutMs: number;
  lookupIntervalMs: number;
  /** Shortest time between two heartbeats. */
  heartbeatGapMs: number;
  progressMs: number;
  /** How long a result waits to be fetched before the machine is left all the same. */
  leaveMs: number;
}

const TIMING: AgentTiming = {
  lookupTimeoutMs: 600_000,
  lookupIntervalMs: 1000,
  heartbeatGapMs: 5000,
  progressMs: 1000,
  leaveMs: 5000,
};

export interface AgentOptions {
  hardware: Hardware;
  /** Base URLs of the Ironic API. */
  apiUrls: string[];
  bootToken?: string | undefined;
  /** The token that came with virtual media; else the lookup brings one. */
  agentToken?: string | undefined;
  nodeUuid?: string | undefined;
  inspectionUrl?: string | undefined;
  /** PEM: trusted for the API and for images. */
  ca?: string | undefined;
  insecure?: boolean | undefined;
  listenHost?: string | undefined;
  /** 0 takes any free port. */
  listenPort?: number | undefined;
  advertiseHost?: string | undefined;
  advertisePort?: number | undefined;
  /** Default true. */
  tls?: boolean;
  clockSkewSeconds?: number | undefined;
  /** PEM of the Ed25519 key by which the undercloud signs images. Without it every image is taken. */
  imageKey?: string | undefined;
  /** Bytes; the smallest disk taken without root device hints. Default 4 GiB. */
  rootDiskMinimum?: number | undefined;
  timing?: Partial<AgentTiming>;
  /** Where chunks are given to other nodes that write the same image; 0 takes any free port. Without it nothing is shared. */
  neighbourPort?: number | undefined;
  /** Connections, time-outs and retries of image fetches. */
  fetch?: Pick<FetcherOptions, 'connections' | 'idleMs' | 'attempts' | 'backoffMs'>;
  random?: () => number;
  log?: (line: string) => void;
}

export interface Agent {
  /** Resolves after the first heartbeat that was taken. Rejects with a sentence where nobody knows this machine. */
  start(): Promise<{ nodeUuid: string; callbackUrl: string }>;
  /** Resolves when the agent has left: told to, or stopped. */
  readonly left: Promise<void>;
  /** Vanishes at once, as a machine does that loses its power: connections are cut, writes stop. */
  stop(): Promise<void>;
}

export function createAgent(options: AgentOptions): Agent {
  const { hardware, random = Math.random, log = () => {} } = options;
  const timing = { ...TIMING, ...options.timing };
  const stopping = new AbortController();
  const client = createUndercloudClient({
    urls: options.apiUrls,
    bootToken: options.bootToken,
    ca: options.ca,
    insecure: options.insecure,
  });
  const fetcher: Fetcher = createFetcher({
    ca: options.ca,
    insecure: options.insecure ?? false,
    random,
    log,
    ...options.fetch,
  });
  // What neighbours there are is no matter to wait for: the store is there in any case.
  const announce = createFetcher({
    ca: options.ca,
    insecure: options.insecure ?? false,
    connections: 1,
    idleMs: 3000,
    attempts: 1,
  });
  const { neighbourPort: port } = options;
  const memory = createMemory(
    options.rootDiskMinimum,
    options.imageKey === undefined ? undefined : imageKey(options.imageKey),
    port === undefined ? undefined : { announce, host: options.listenHost, port },
  );
  let heart: Heart | undefined;
  let server: CommandServer | undefined;
  let told: ((result: CommandResult) => void) | undefined;
  let gone = () => {};
  const left = new Promise<void>((resolve) => {
    gone = resolve;
  });

  async function stop() {
    stopping.abort();
    heart?.stop();
    fetcher.close();
    announce.close();
    await memory.written?.neighbours?.close();
    await server?.close();
    gone();
  }

  /** Tries until it works or the time is up; the pause grows to ten intervals, and jitter keeps a rack from asking in step. */
  async function persistently<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const started = performance.now();
    for (let tries = 1; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        const pause = timing.lookupIntervalMs * Math.min(1.5 ** (tries - 1), 10) * (0.5 + random());
        if (stopping.signal.aborted) throw error;
        if (performance.now() - started + pause > timing.lookupTimeoutMs)
          throw new Error(
            `The ${what} failed for ${Math.round(timing.lookupTimeoutMs / 1000)} s (${tries} attempts); the last reason: ${reasonOf(error)}`,
            { cause: error },
          );
        if (tries < 4 || tries % 10 === 0) log(`${what}, attempt ${tries}: ${reasonOf(error)}`);
        await delay(pause, undefined, { signal: stopping.signal });
      }
    }
  }

  function tokenOf({ config }: LookupAnswer): string {
    if (config.agent_token !== undefined && config.agent_token !== MASKED_TOKEN) return config.agent_token;
    if (options.agentToken !== undefined) return options.agentToken;
    throw new Error(
      "The undercloud has given this node's agent token to an earlier agent and does not repeat it: power the node off and on to get a new one.",
    );
  }

  /** The way out (power off, reset, kexec) waits until the conductor has read the result, but not for ever. */
  function leave(book: CommandBook, end: () => Promise<void>) {
    const finish = async () => {
      clearTimeout(timer);
      told = undefined;
      heart?.stop();
      try {
        await end();
      } catch (error) {
        // The machine stays: the conductor's own power off or reset is the way out.
        log(`leaving failed: ${reasonOf(error)}`);
        heart?.soon();
        return;
      }
      await stop();
    };
    const timer = setTimeout(finish, timing.leaveMs);
    const last = book.list().at(-1);
    told = (result) => {
      if (result.id === last?.id) void finish();
    };
  }

  async function start() {
    const inventory = await hardware.inventory();
    const addresses = inventory.interfaces.map(({ mac_address }) => mac_address);
    if (options.inspectionUrl !== undefined) {
      const url = options.inspectionUrl;
      await persistently('inspection', () => client.inspected(url, { inventory: inventory as unknown as JsonObject }));
      log(`inspection data sent to ${url}`);
    }
    if (addresses.length === 0)
      throw new Error(
        'This machine has no network interface with a driver in this ramdisk: use the hardware profile of the ramdisk.',
      );
    log(`looking for node with ${addresses.join(', ')}`);
    const answer = await persistently('lookup', () => client.lookup(addresses, options.nodeUuid));
    const token = tokenOf(answer);
    const nodeUuid = answer.node.uuid;
    memory.node = answer.node as unknown as JsonObject;
    log(`this is node ${nodeUuid}`);

    const api = new URL(options.apiUrls[0]!).hostname.replace(/^\[|\]$/g, '');
    const host = options.advertiseHost ?? (await hardware.addressTowards(api));
    const certificate: AgentCertificate | undefined = options.tls === false ? undefined : selfSignedCertificate([host]);
    const extended = options.bootToken !== undefined || answer.config.undercloud !== undefined;
    const book = createCommandBook({
      hardware,
      fetcher,
      memory,
      signal: stopping.signal,
      log,
      progressMs: timing.progressMs,
      onProgress: () => {
        if (extended) heart?.soon();
      },
      onEnd: () => heart?.soon(),
      onLeave: (end) => leave(book, end),
    });
    server = await serveCommands({
      book,
      token,
      version: AGENT_VERSION,
      certificate,
      host: options.listenHost,
      port: options.listenPort ?? 9999,
      onTold: (result) => told?.(result),
    });
    const port = options.advertisePort ?? server.port;
    const callbackUrl = `${certificate ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
    heart = createHeart({
      heartbeatTimeout: answer.config.heartbeat_timeout,
      gapMs: timing.heartbeatGapMs,
      random,
      log,
      send: () => {
        const progress: Progress | undefined = book.running()?.progress;
        return client.heartbeat(nodeUuid, {
          callback_url: callbackUrl,
          agent_token: token,
          agent_version: AGENT_VERSION,
          ...(certificate ? { agent_verify_ca: certificate.cert } : {}),
          ...(extended && options.clockSkewSeconds !== undefined ? { clock_skew_s: options.clockSkewSeconds } : {}),
          ...(extended && progress ? { progress } : {}),
        });
      },
    });
    await Promise.race([heart.first, left]);
    if (stopping.signal.aborted)
      throw new UndercloudError('The agent was stopped before its first heartbeat was taken.', 0);
    log(`waiting for commands at ${callbackUrl}`);
    return { nodeUuid, callbackUrl };
  }

  return { start, left, stop };
}
