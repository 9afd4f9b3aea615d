import { parseAddress } from './address.ts';
import { DhcpEngine, type EngineConfig } from './engine.ts';
import type { Arrival, BootFor, BootQuery, Decision } from './exchange.ts';
import { MemoryLeaseStore } from './lease-memory.ts';
import { MESSAGE, OPTION } from './option-table.ts';
import { addressValue, textValue } from './option-values.ts';
import { type DhcpPacket, decodePacket, encodePacket } from './packet.ts';
import type { SubnetConfig } from './subnet.ts';

/** An engine with a clock by hand, a memory store and a boot callback that remembers what it was asked. */
export const LAN: SubnetConfig = {
  id: 'lan',
  cidr: '192.0.2.0/24',
  link: 'br0',
  serverAddress: '192.0.2.1',
  mode: 'server',
  pools: [{ from: '192.0.2.100', to: '192.0.2.109' }],
  router: '192.0.2.1',
  dns: ['192.0.2.1'],
};

export interface Bench {
  readonly engine: DhcpEngine;
  readonly store: MemoryLeaseStore;
  readonly asked: BootQuery[];
  readonly notices: string[];
  readonly clock: { now: number };
  send(packet: DhcpPacket, arrival?: Partial<Arrival>): Promise<Decision>;
}

export const ON_LAN: Arrival = { link: 'br0', source: { address: '0.0.0.0', port: 68 }, port: 67 };

export async function bench(
  subnets: readonly SubnetConfig[] = [LAN],
  bootFor?: BootFor,
  more: Partial<EngineConfig> = {},
): Promise<Bench> {
  const store = more.store instanceof MemoryLeaseStore ? more.store : new MemoryLeaseStore();
  const asked: BootQuery[] = [];
  const notices: string[] = [];
  const clock = { now: 1_795_212_090_000 };
  const engine = await DhcpEngine.open({
    subnets,
    bootFor: async (query) => {
      asked.push(query);
      return bootFor ? bootFor(query) : 'nothing';
    },
    now: () => clock.now,
    onNotice: (notice) => notices.push(notice.message),
    ...more,
    store,
  });
  return {
    engine,
    store,
    asked,
    notices,
    clock,
    send: async (packet, arrival) => engine.answer(packet, { ...ON_LAN, ...arrival }),
  };
}

export interface Ask {
  readonly mac?: string;
  readonly requested?: string;
  readonly server?: string;
  readonly ciaddr?: string;
  readonly giaddr?: string;
  readonly flags?: number;
  readonly clientId?: string;
  readonly vendorClass?: string;
  readonly list?: readonly number[];
  readonly options?: readonly (readonly [number, Uint8Array])[];
}

/** A request as a client would send it; through the codec, so that the engine sees what the wire would give it. */
export function ask(message: keyof typeof MESSAGE, fields: Ask = {}): DhcpPacket {
  const options = new Map<number, Uint8Array>([[OPTION.messageType, Uint8Array.of(MESSAGE[message])]]);
  if (fields.requested) options.set(OPTION.requestedAddress, addressValue(number(fields.requested)));
  if (fields.server) options.set(OPTION.serverId, addressValue(number(fields.server)));
  if (fields.clientId) options.set(OPTION.clientId, new Uint8Array(Buffer.from(fields.clientId, 'hex')));
  if (fields.vendorClass) options.set(OPTION.vendorClass, textValue(fields.vendorClass));
  if (fields.list) options.set(OPTION.parameterList, Uint8Array.from(fields.list));
  for (const [code, value] of fields.options ?? []) options.set(code, value);
  const chaddr = new Uint8Array(16);
  chaddr.set((fields.mac ?? '52:54:00:aa:00:01').split(':').map((part) => Number.parseInt(part, 16)));
  const packet: DhcpPacket = {
    op: 1,
    htype: 1,
    hlen: 6,
    hops: 0,
    xid: 0x12345678,
    secs: 0,
    flags: fields.flags ?? 0,
    ciaddr: number(fields.ciaddr ?? '0.0.0.0'),
    yiaddr: 0,
    siaddr: 0,
    giaddr: number(fields.giaddr ?? '0.0.0.0'),
    chaddr,
    sname: '',
    file: '',
    options,
  };
  const decoded = decodePacket(encodePacket(packet).bytes);
  if (!decoded.ok) throw new Error(decoded.reason);
  return decoded.packet;
}

function number(address: string): number {
  return parseAddress(address)!;
}

/** A decision in one line: what, which address, to whom; or the outcome and its reason. */
export function line(decision: Decision): string {
  const { answered, outcome, reason } = decision.record;
  return answered ? `${answered.message} ${answered.address ?? '-'} to ${answered.to}` : `${outcome}: ${reason}`;
}

export function addressOf(decision: Decision): string {
  return decision.record.answered?.address ?? `none (${decision.record.reason})`;
}

/** DISCOVER and REQUEST, as a client does it; the ACK's address, or the reason why there is none. */
export async function lease(at: Bench, fields: Ask = {}): Promise<string> {
  const offer = await at.send(ask('discover', fields));
  if (offer.kind === 'none') return `none (${offer.record.reason})`;
  const requested = offer.record.answered!.address!;
  return addressOf(await at.send(ask('request', { ...fields, requested, server: fields.server ?? '192.0.2.1' })));
}
