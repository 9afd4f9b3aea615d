/**
 * Looks for BMCs in a network that the configuration names: IPMI by presence ping and Get Channel Authentication
 * Capabilities (both need no session), Redfish by its service root; then which of the credentials opens a session. The rate
 * is bounded, and no more than a few credentials are tried: BMCs lock accounts.
 */
import dgram from 'node:dgram';
import https from 'node:https';
import { fault } from '../core/errors/index.ts';
import { formatAddress, parseCidr } from '../dhcp/index.ts';
import { createIpmiTransport, decodePacket, encodePing, IpmiError, openIpmiSocket, RMCP_PORT } from '../ipmi/index.ts';

export interface BmcCredentials {
  readonly username: string;
  readonly password: string;
}

export interface FoundBmc {
  readonly address: string;
  readonly protocols: readonly ('ipmi' | 'redfish')[];
  /** `2.0`, `1.5`; null where only Redfish answers. */
  readonly ipmiVersion: string | null;
  /** Of the service root. */
  readonly redfishVersion: string | null;
  readonly vendor: string | null;
  readonly product: string | null;
  readonly serial: string | null;
  readonly systemUuid: string | null;
  /** The user whose credentials opened a session; null when none did. */
  readonly username: string | null;
  /** Why no credentials worked. */
  readonly refusal: string | null;
  /** Which of those given; for the candidate's record. */
  readonly credentials: BmcCredentials | null;
}

export interface ScanOptions {
  readonly cidr: string;
  readonly allowed: readonly string[];
  readonly credentials: readonly BmcCredentials[];
  readonly signal?: AbortSignal;
  /** For tests. */
  readonly ports?: { readonly ipmi?: number; readonly redfish?: number };
  readonly timeoutMs?: number;
}

/** A /20. */
const mostAddresses = 4096;
const mostCredentials = 4;
/** Addresses asked in a second: some 60 kB/s of small packets. */
const perSecond = 400;
const loginsAtOnce = 32;
const answerMs = 1_500;
const loginMs = 5_000;

/** Get Channel Authentication Capabilities (IPMI 2.0 section 22.13) outside a session: channel 14 (this one), IPMI 2.0 data, administrator. */
const askCapabilities = Buffer.from('0600ff07000000000000000000092018c88100388e04b5', 'hex');

/** @throws Fault `bmc-scan-refused` */
export function checkScan({ cidr, allowed, credentials }: Pick<ScanOptions, 'cidr' | 'allowed' | 'credentials'>): {
  first: number;
  count: number;
} {
  const refuse = (reason: string, remedy: string) => fault('bmc-scan-refused', { cidr, reason, remedy });
  const wanted = parseCidr(cidr);
  if (!wanted) throw refuse('it is no IPv4 network', 'Write it as 198.51.100.0/24.');
  const size = 2 ** (32 - wanted.prefix);
  const isWithin = allowed.some((text) => {
    const one = parseCidr(text);
    return one && wanted.network >= one.network && wanted.network + size <= one.network + 2 ** (32 - one.prefix);
  });
  if (!isWithin)
    throw refuse(
      allowed.length === 0
        ? 'the configuration names no network of BMCs'
        : `the configuration names ${allowed.join(' and ')} alone`,
      'Whose machines are asked must be said beforehand: `undercloud bootstrap --bmc-network CIDR`, or provisioning.bmcNetworks in undercloud.json.',
    );
  if (size > mostAddresses)
    throw refuse(`it has ${size} addresses, and ${mostAddresses} are scanned at once`, 'Scan it in parts.');
  if (credentials.length > mostCredentials)
    throw refuse(
      `${credentials.length} credentials are given, and ${mostCredentials} are tried`,
      'BMCs lock accounts after a few failures: give the likely ones.',
    );
  // Network and broadcast address are nobody's.
  const inner = size > 2;
  return { first: wanted.network + (inner ? 1 : 0), count: inner ? size - 2 : size };
}

export async function scanForBmcs(options: ScanOptions): Promise<FoundBmc[]> {
  const { first, count } = checkScan(options);
  const addresses = Array.from({ length: count }, (_, i) => formatAddress((first + i) >>> 0));
  const [ipmi, redfish] = await Promise.all([askIpmi(addresses, options), askRedfish(addresses, options)]);
  const found = addresses.filter((address) => ipmi.has(address) || redfish.has(address));
  const results: FoundBmc[] = [];
  await inTurns(found, loginsAtOnce, async (address) => {
    const root = redfish.get(address);
    const version = ipmi.get(address);
    const plain = {
      address,
      protocols: [...(version ? (['ipmi'] as const) : []), ...(root ? (['redfish'] as const) : [])],
      ipmiVersion: version ?? null,
      redfishVersion: root?.version ?? null,
      vendor: root?.vendor ?? null,
      product: root?.product ?? null,
      serial: null,
      systemUuid: root?.uuid ?? null,
      username: null,
      refusal: null,
      credentials: null,
    };
    results.push({ ...plain, ...(version ? await logInIpmi(address, options) : await logInRedfish(address, options)) });
  });
  return results.sort((a, b) => addresses.indexOf(a.address) - addresses.indexOf(b.address));
}

async function inTurns<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: Math.min(atOnce, queue.length) }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}

/** By address: the IPMI version that is spoken. Everybody is asked twice, for datagrams get lost. */
async function askIpmi(addresses: readonly string[], options: ScanOptions): Promise<Map<string, string>> {
  const port = options.ports?.ipmi ?? RMCP_PORT;
  const wanted = new Set(addresses);
  const heard = new Map<string, string>();
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  socket.on('error', () => {});
  socket.on('message', (bytes, { address }) => {
    if (!wanted.has(address)) return;
    const packet = decodePacket(bytes);
    if (packet?.kind === 'asf' && packet.ipmi && !heard.has(address)) heard.set(address, 'unknown');
    if (packet?.kind === 'lan15' && packet.payload[5] === 0x38 && packet.payload[6] === 0) {
      // Data byte 2, bit 7: IPMI 2.0 extended data; byte 4, bit 1: the channel takes 2.0 sessions.
      const isTwo = ((packet.payload[8] ?? 0) & 0x80) !== 0 && ((packet.payload[10] ?? 0) & 2) !== 0;
      heard.set(address, isTwo ? '2.0' : '1.5');
    }
  });
  await new Promise<void>((resolve) => socket.bind(0, () => resolve()));
  try {
    for (const round of [1, 2]) {
      let sent = 0;
      const began = performance.now();
      for (const address of addresses) {
        options.signal?.throwIfAborted();
        if (round === 2 && heard.has(address) && heard.get(address) !== 'unknown') continue;
        // ICMP refusals come up as errors of the send: nobody is there.
        socket.send(encodePing(round), port, address, () => {});
        socket.send(askCapabilities, port, address, () => {});
        sent += 1;
        const ahead = (sent / perSecond) * 1000 - (performance.now() - began);
        if (ahead > 20) await pause(ahead);
      }
      await pause(options.timeoutMs ?? answerMs);
    }
  } finally {
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  }
  return heard;
}

interface ServiceRoot {
  readonly version: string;
  readonly vendor: string | null;
  readonly product: string | null;
  readonly uuid: string | null;
}

const mostRootBytes = 65_536;

/** Its certificate is not judged here: that somebody speaks Redfish there is all that is asked. */
function getJson(
  address: string,
  path: string,
  options: ScanOptions,
  credentials?: BmcCredentials,
): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        host: address,
        port: options.ports?.redfish ?? 443,
        path,
        rejectUnauthorized: false,
        timeout: credentials ? loginMs : (options.timeoutMs ?? answerMs),
        headers: { accept: 'application/json' },
        ...(credentials && { auth: `${credentials.username}:${credentials.password}` }),
      },
      (response) => {
        const parts: Buffer[] = [];
        let length = 0;
        response.on('data', (part: Buffer) => {
          length += part.length;
          if (length > mostRootBytes) request.destroy(new Error('too long an answer'));
          else parts.push(part);
        });
        response.on('end', () => {
          try {
            resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(parts).toString() || 'null') });
          } catch {
            resolve({ status: response.statusCode ?? 0, body: null });
          }
        });
        response.on('error', reject);
      },
    );
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
    request.end();
  });
}

const textOf = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' ? value.replaceAll(/[^\x20-\x7e]/g, ' ').slice(0, 200) : null;

async function askRedfish(addresses: readonly string[], options: ScanOptions): Promise<Map<string, ServiceRoot>> {
  const found = new Map<string, ServiceRoot>();
  await inTurns(addresses, 128, async (address) => {
    options.signal?.throwIfAborted();
    const answer = await getJson(address, '/redfish/v1/', options).catch(() => null);
    const root = answer?.body as Record<string, unknown> | null | undefined;
    const version = textOf(root?.RedfishVersion);
    if (answer?.status !== 200 || version === null) return;
    found.set(address, {
      version,
      vendor: textOf(root?.Vendor),
      product: textOf(root?.Product),
      uuid: textOf(root?.UUID),
    });
  });
  return found;
}

type Login = Pick<FoundBmc, 'username' | 'refusal' | 'credentials'> & Partial<FoundBmc>;

const nobody = (refusal: string | null): Login => ({ username: null, refusal, credentials: null });

async function logInIpmi(address: string, options: ScanOptions): Promise<Login> {
  if (options.credentials.length === 0) return nobody(null);
  const socket = await openIpmiSocket();
  const transport = createIpmiTransport({ socket });
  let refusal = '';
  try {
    for (const one of options.credentials) {
      options.signal?.throwIfAborted();
      const session = transport.session({
        host: address,
        port: options.ports?.ipmi ?? RMCP_PORT,
        user: one.username,
        password: one.password,
        keepAlive: 0,
      });
      try {
        const facts = await session.open({ deadline: loginMs });
        const fru = await session.fru(0, { deadline: loginMs }).catch(() => null);
        return {
          username: one.username,
          refusal: null,
          credentials: one,
          vendor: textOf(fru?.product?.manufacturer ?? fru?.board?.manufacturer),
          product: textOf(fru?.product?.name ?? fru?.board?.name),
          serial: textOf(fru?.product?.serial ?? fru?.board?.serial),
          systemUuid: textOf(facts.guid?.smbios),
        };
      } catch (error) {
        refusal = error instanceof IpmiError ? error.message : String(error);
        // Nobody there any more: another password does not help.
        if (error instanceof IpmiError && error.code === 'timeout') break;
      }
    }
    return nobody(refusal);
  } finally {
    await transport.close({ deadline: 1_000 }).catch(() => {});
    socket.close();
  }
}

async function logInRedfish(address: string, options: ScanOptions): Promise<Login> {
  let refusal: string | null = null;
  for (const one of options.credentials) {
    options.signal?.throwIfAborted();
    const answer = await getJson(address, '/redfish/v1/Systems', options, one).catch((error: Error) => error);
    if (!(answer instanceof Error) && answer.status === 200)
      return { username: one.username, refusal: null, credentials: one };
    refusal =
      answer instanceof Error
        ? answer.message
        : `the credentials of ${one.username} were answered with ${answer.status}`;
  }
  return nobody(refusal);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
