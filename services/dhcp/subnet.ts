import { type Cidr, contains, maskOf, parseAddress, requireAddress, requireCidr } from './address.ts';
import { writeDomainSearch } from './domain-search.ts';
import type { Range } from './free-list.ts';
import { OPTION } from './option-table.ts';
import { addressesValue, addressValue, textValue, u16Value, u32Value } from './option-values.ts';
import { route, writeRoutes } from './routes.ts';

/** Values by option code, ready for the wire (`option-values.ts` writes them). */
export type OptionOverrides = Readonly<Record<number, Uint8Array>>;

/**
 * How a subnet is served: `server` gives addresses to everybody, `reservations-only` to known machines alone and is silent for all others (safe
 * beside another server), `proxy` gives no addresses and adds the boot file to somebody else's.
 */
export type ServingMode = 'server' | 'reservations-only' | 'proxy';

export interface SubnetConfig {
  readonly id: string;
  /** `192.0.2.0/24`. */
  readonly cidr: string;
  /** Subnets of one link share the wire (or the relay): a client there may get an address of any of them. */
  readonly link: string;
  /** Our own address towards these clients: option 54, and the next server unless the boot answer says otherwise. */
  readonly serverAddress: string;
  readonly mode: ServingMode;
  /** Inclusive. May be empty where everything is reserved. */
  readonly pools?: readonly { readonly from: string; readonly to: string }[];
  readonly router?: string;
  readonly dns?: readonly string[];
  readonly ntp?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly mtu?: number;
  /** Beside the default route, which is added by itself: the metadata address, for one (`169.254.169.254/32` via the server). */
  readonly routes?: readonly { readonly destination: string; readonly via: string }[];
  /** Default 3600. */
  readonly leaseSeconds?: number;
  /**
   * By what a client is recognised. `mac` (the default) lets a machine keep its address from firmware to installed system, whose client identifiers
   * all differ; `client-id` is RFC 2131's rule and tells two clients with one MAC apart.
   */
  readonly identity?: 'mac' | 'client-id';
  /** Whether we answer NAK to addresses that we know nothing of (default: yes in `server` mode). */
  readonly authoritative?: boolean;
  readonly options?: OptionOverrides;
}

/** Options 51, 58 and 59. */
export interface LeaseTimes {
  readonly lease: Uint8Array;
  readonly renewal: Uint8Array;
  readonly rebinding: Uint8Array;
}

/** RFC 2131 section 4.4.5. */
const RENEW_AT = 0.5;
const REBIND_AT = 0.875;

export function leaseTimes(leaseSeconds: number): LeaseTimes {
  return {
    lease: u32Value(leaseSeconds),
    renewal: u32Value(Math.floor(leaseSeconds * RENEW_AT)),
    rebinding: u32Value(Math.floor(leaseSeconds * REBIND_AT)),
  };
}

export interface Subnet {
  readonly id: string;
  readonly link: string;
  readonly cidr: Cidr;
  readonly mode: ServingMode;
  readonly server: number;
  readonly serverText: string;
  readonly pools: readonly Range[];
  readonly leaseSeconds: number;
  readonly identity: 'mac' | 'client-id';
  readonly authoritative: boolean;
  /** Option 54. */
  readonly serverValue: Uint8Array;
  readonly times: LeaseTimes;
  /** Everything that does not depend on the client, encoded once. */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** Checks one subnet's configuration; throws a sentence that names the subnet, the value and the remedy. */
export function subnet(config: SubnetConfig): Subnet {
  const who = `subnet ${config.id}`;
  const cidr = requireCidr(config.cidr, who);
  const server = requireAddress(config.serverAddress, `${who}: server address`);
  const leaseSeconds = config.leaseSeconds ?? 3600;
  if (!Number.isInteger(leaseSeconds) || leaseSeconds < 60 || leaseSeconds > 0x7fffffff) {
    throw new Error(`${who}: lease time of ${leaseSeconds} s; give a whole number of seconds from 60`);
  }
  const first = cidr.network + (cidr.prefix < 31 ? 1 : 0);
  const last = broadcastOf(cidr) - (cidr.prefix < 31 ? 1 : 0);
  const pools = (config.pools ?? []).map((pool) => {
    const from = requireAddress(pool.from, `${who}: pool`);
    const to = requireAddress(pool.to, `${who}: pool`);
    if (from > to || from < first || to > last) {
      throw new Error(`${who}: pool ${pool.from} to ${pool.to} does not lie within the hosts of ${config.cidr}`);
    }
    return { from, to };
  });
  const sorted = [...pools].sort((a, b) => a.from - b.from);
  sorted.forEach((pool, i) => {
    if (i > 0 && pool.from <= sorted[i - 1]!.to) throw new Error(`${who}: two pools overlap; join them into one`);
  });
  return {
    id: config.id,
    link: config.link,
    cidr,
    mode: config.mode,
    server,
    serverText: config.serverAddress,
    serverValue: addressValue(server),
    times: leaseTimes(leaseSeconds),
    pools,
    leaseSeconds,
    identity: config.identity ?? 'mac',
    authoritative: config.authoritative ?? config.mode === 'server',
    options: standingOptions(config, cidr, who),
  };
}

/** All subnets of a server: ids unique, networks disjoint. */
export function subnets(configs: readonly SubnetConfig[]): Subnet[] {
  const list = configs.map(subnet);
  list.forEach((one, i) => {
    for (const other of list.slice(0, i)) {
      if (one.id === other.id) throw new Error(`two subnets are called ${one.id}; ids are unique`);
      if (contains(one.cidr, other.cidr.network) || contains(other.cidr, one.cidr.network)) {
        throw new Error(`subnets ${other.id} and ${one.id} overlap; an address must belong to one subnet`);
      }
    }
  });
  return list;
}

export function broadcastOf(cidr: Cidr): number {
  return (cidr.network | ~maskOf(cidr.prefix)) >>> 0;
}

function standingOptions(config: SubnetConfig, cidr: Cidr, who: string): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  options.set(OPTION.subnetMask, addressValue(cidr.mask));
  options.set(OPTION.broadcast, addressValue(broadcastOf(cidr)));
  const { router } = config;
  if (router !== undefined) options.set(OPTION.router, addressesValue([router], `${who}: router`));
  if (config.dns?.length) options.set(OPTION.dns, addressesValue(config.dns, `${who}: DNS server`));
  if (config.ntp?.length) options.set(OPTION.ntp, addressesValue(config.ntp, `${who}: NTP server`));
  if (config.domain) options.set(OPTION.domainName, textValue(config.domain));
  if (config.search?.length) options.set(OPTION.domainSearch, writeDomainSearch(config.search));
  if (config.mtu !== undefined) {
    if (!Number.isInteger(config.mtu) || config.mtu < 576 || config.mtu > 9216) {
      throw new Error(`${who}: MTU of ${config.mtu}; give 576 to 9216`);
    }
    options.set(OPTION.mtu, u16Value(config.mtu));
  }
  if (config.routes?.length) {
    const routes = config.routes.map(({ destination, via }) => route(destination, via));
    const hasDefault = routes.some(({ destination }) => destination.prefix === 0);
    // RFC 3442: a client that understands 121 ignores 3, so the default route must come along.
    if (router !== undefined && parseAddress(router) !== undefined && !hasDefault)
      routes.unshift(route('0.0.0.0/0', router));
    options.set(OPTION.classlessRoutes, writeRoutes(routes));
  }
  for (const [code, value] of Object.entries(config.options ?? {})) options.set(Number(code), value);
  return options;
}
