/**
 * Who is who on the provisioning wire: which MAC has which address, and which node it is. Kept in memory so that renewals
 * and fetches need no database, and brought up to date by what network tells and by each machine that asks anew.
 */
import { formatAddress, parseAddress, type Reservations } from '../dhcp/index.ts';
import type { HeldAddress, Network } from '../network/index.ts';
import type { BootNode, BootSource } from './model.ts';

export interface BoardDeps {
  readonly network: Network;
  readonly baremetal: BootSource;
  readonly networkId: string;
  readonly reservations: Reservations;
  /**
   * Beside another DHCP server, which gives addresses that we do not know of: the MAC that an address belongs to on the wire. Our own
   * reservations say nothing there.
   */
  readonly neighbour?: (ip: string) => Promise<string | null>;
  /** Whether a MAC that no node has gets an address all the same; `boots`: its firmware asks. */
  readonly takesIn?: (mac: string, boots: boolean) => Promise<boolean>;
  /** Whether what is in memory is known to be up to date (news.ts). Then nobody else is asked. */
  readonly isHeard?: () => boolean;
  readonly onTrouble: (text: string) => void;
  /** Milliseconds. */
  readonly now: () => number;
}

export interface Board {
  /** Takes up every address that is held, and every node's MAC. */
  load(): Promise<void>;
  /** Reads a MAC's node and address again. */
  reread(mac: string): Promise<void>;
  /** Before an exchange: makes sure that a node's MAC has its address, on that subnet if it has none yet, and a stranger's has none. */
  prepare(mac: string, boots?: boolean, subnetId?: string): Promise<void>;
  /** Reads the addresses of these MACs again. */
  refresh(macs: readonly string[]): Promise<void>;
  /** Before an address is asked about: finds out whose it is, where somebody else gave it. */
  meet(ip: string): Promise<void>;
  nodeOf(mac: string): BootNode | null;
  macAt(ip: string): string | null;
  nodeAt(ip: string): BootNode | null;
  /** Host names of ports, in lower case, both ways: for DNS. */
  addressOf(host: string): string | null;
  nameAt(ip: string): string | null;
}

/** How long an answer about a MAC is believed: a machine asks several times within a boot, strangers for ever. */
const believedMs = 2_000;
const mostRemembered = 20_000;
/** RFC 1123: what DHCP may give as a host name. */
const isHostName = (name: string) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(name);

export function createBoard(deps: BoardDeps): Board {
  const { network, baremetal, networkId, reservations } = deps;
  const nodes = new Map<string, BootNode>();
  /** MACs whose address was kept for a node, and is theirs only as long as they are a node's. */
  const kept = new Set<string>();
  const asked = new Map<string, { at: number; boots: boolean; done: Promise<void> }>();
  const names = new Map<string, { readonly host: string; readonly ip: string }>();
  const ipOfName = new Map<string, string>();

  /** Addresses that another server gave, as last seen. */
  const met = new Map<string, string>();
  const macAt = (ip: string): string | null =>
    deps.neighbour ? (met.get(ip) ?? null) : (reservations.at(parseAddress(ip) ?? 0)?.mac ?? null);

  function name(mac: string, held: HeldAddress | undefined): void {
    const before = names.get(mac);
    if (before && ipOfName.get(before.host) === before.ip) ipOfName.delete(before.host);
    names.delete(mac);
    if (!held?.hostName || !isHostName(held.hostName)) return;
    const host = held.hostName.toLowerCase();
    names.set(mac, { host, ip: held.ip });
    ipOfName.set(host, held.ip);
  }

  function place(mac: string, held: HeldAddress | undefined): void {
    name(mac, held);
    if (held?.kept) kept.add(mac);
    else kept.delete(mac);
    const [before] = reservations.of(mac);
    if (before && held && formatAddress(before.address) === held.ip && before.hostName === (held.hostName ?? undefined))
      return;
    if (before) reservations.remove(mac);
    if (!held) return;
    const holder = reservations.at(parseAddress(held.ip) ?? 0);
    // The address has moved from another MAC, whose own news is still on its way.
    if (holder && holder.mac !== mac) reservations.remove(holder.mac);
    const hostName = held.hostName !== null && isHostName(held.hostName) ? held.hostName : null;
    reservations.set({ mac, address: held.ip, ...(hostName !== null && { hostName }) });
  }

  async function refresh(macs: readonly string[]): Promise<void> {
    for (const mac of new Set(macs)) {
      const [held] = await network.heldAddresses(networkId, mac);
      place(mac, held);
      asked.delete(mac);
    }
  }

  async function look(mac: string, boots: boolean, subnetId: string | undefined): Promise<void> {
    const where = subnetId === undefined ? {} : { subnetId };
    const isSure = deps.isHeard?.() ?? false;
    const node = isSure ? (nodes.get(mac) ?? null) : await baremetal.nodeByMac(mac);
    if (!node) {
      nodes.delete(mac);
      if (await deps.takesIn?.(mac, boots)) {
        place(mac, await network.keepAddress(mac, where));
        return;
      }
      // A port with this MAC that somebody made by hand is served; an address that was kept for a node is not any more.
      if (isSure) {
        if (kept.has(mac)) place(mac, undefined);
        return;
      }
      const [held] = await network.heldAddresses(networkId, mac);
      place(mac, held?.kept ? undefined : held);
      return;
    }
    nodes.set(mac, { uuid: node.uuid, name: node.name });
    if (isSure && reservations.of(mac).length > 0) return;
    const owner = { nodeId: node.uuid, ...(node.name && { hostName: node.name }) };
    place(mac, await network.keepAddress(mac, { ...owner, ...where }));
  }

  return {
    async load() {
      const [all, macs] = await Promise.all([network.heldAddresses(networkId), baremetal.macs?.()]);
      const gone = new Set(reservations.macs());
      for (const held of all) {
        place(held.mac, held);
        gone.delete(held.mac);
      }
      for (const mac of gone) place(mac, undefined);
      if (macs) nodes.clear();
      for (const { mac, uuid, name } of macs ?? []) nodes.set(mac, { uuid, name });
      asked.clear();
    },
    async reread(mac) {
      const node = await baremetal.nodeByMac(mac);
      if (node) nodes.set(mac, { uuid: node.uuid, name: node.name });
      else nodes.delete(mac);
      await refresh([mac]);
    },
    prepare(mac, boots = false, subnetId) {
      const at = deps.now();
      const recent = asked.get(mac);
      // Firmware may be taken in where a system was not.
      if (recent && at - recent.at < believedMs && (recent.boots || !boots)) return recent.done;
      if (asked.size >= mostRemembered) asked.clear();
      const done = look(mac, boots, subnetId).catch((error: unknown) => {
        asked.delete(mac);
        // While the database is away, machines that are known are served from memory.
        deps.onTrouble(`${mac} could not be looked up: ${error instanceof Error ? error.message : String(error)}`);
      });
      asked.set(mac, { at, boots, done });
      return done;
    },
    refresh,
    nodeOf: (mac) => nodes.get(mac) ?? null,
    async meet(ip) {
      const mac = await deps.neighbour?.(ip).catch(() => null);
      if (!mac) return;
      if (met.size >= mostRemembered) met.clear();
      met.set(ip, mac);
    },
    macAt,
    nodeAt(ip) {
      const mac = macAt(ip);
      return mac === null ? null : (nodes.get(mac) ?? null);
    },
    addressOf: (host) => ipOfName.get(host) ?? null,
    nameAt(ip) {
      const mac = reservations.at(parseAddress(ip) ?? 0)?.mac;
      return mac === undefined ? null : (names.get(mac)?.host ?? nodes.get(mac)?.name?.toLowerCase() ?? null);
    },
  };
}
