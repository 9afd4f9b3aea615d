/**
 * Who else answers DHCP or PXE on the provisioning wire. Listens to every DHCP answer that is not ours, and asks once a
 * minute as a PXE machine that cannot exist. A foreign server is named by MAC and address, kept in PostgreSQL until it has
 * been silent for a while, and, where the policy says so, no machine is switched on for a deploy while one is there.
 */
import { randomBytes, randomInt } from 'node:crypto';
import type { ForeignServers } from '../core/config.ts';
import type { House } from '../core/house.ts';
import type { Wait } from '../core/operations/index.ts';
import type { Frame } from '../core/packet-socket.ts';
import { type DhcpPacket, decodePacket, formatAddress, OPTION } from '../dhcp/index.ts';
import { probePacket } from './doctor.ts';
import { broadcastFrame, readUdp } from './frame.ts';
import { forgetForeign, keepForeign, readForeign } from './store/foreign.ts';
import type { Wire } from './wire.ts';

export interface ForeignServer {
  /** Where it answers: `br0`. */
  readonly interface: string;
  readonly mac: string;
  readonly address: string;
  readonly kind: 'DHCP' | 'ProxyDHCP';
  readonly offered: string | null;
  readonly bootFile: string | null;
  /** `heard`: it answered a machine; `probe`: it answered ours. */
  readonly how: string;
  readonly firstSeen: Date;
  readonly lastSeen: Date;
}

export interface WatchDeps {
  readonly house: House;
  readonly wire: Wire;
  readonly interface: string;
  /** Our own address and those that may answer beside us. */
  readonly known: readonly string[];
  readonly policy: ForeignServers;
  /** We stand beside a DHCP server on purpose: one that gives addresses and no boot file is as it should be. */
  readonly isProxy?: boolean;
  /** ms between probes. Default a minute. */
  readonly probeMs?: number;
}

export interface Watch {
  start(): Promise<void>;
  stop(): void;
  current(): readonly ForeignServer[];
  /** What a machine that is about to be switched on waits for; null where it need not wait. */
  hold(): Wait | null;
}

const probeEveryMs = 60_000;
/** A server that has let so many probes pass is gone. */
const missedProbes = 3;
const broadcastFlag = 0x8000;

export function createWatch(deps: WatchDeps): Watch {
  const { house, wire, interface: device } = deps;
  const { clock, db, recorder } = house;
  const probeMs = deps.probeMs ?? probeEveryMs;
  const servers = new Map<string, ForeignServer>();
  const known = new Set(deps.known);
  const subject = { type: 'interface', id: device };
  let probed: Uint8Array = new Uint8Array();
  let cancel = () => {};
  let leave = () => {};

  const failed = (error: Error) =>
    recorder.emit('boot.trouble', subject, { text: `foreign servers could not be kept: ${error.message}`, count: 1 });

  function found(mac: string, address: string, packet: DhcpPacket): void {
    const key = `${mac} ${address}`;
    const file = packet.options.get(OPTION.bootFile);
    const bootFile = packet.file || (file && Buffer.from(file).toString('latin1').replaceAll('\0', '')) || null;
    if (deps.isProxy && packet.yiaddr !== 0 && bootFile === null) return;
    const before = servers.get(key);
    const at = new Date(clock.now());
    const isOurs = probed.length > 0 && Buffer.compare(packet.chaddr.subarray(0, 6), probed) === 0;
    const server: ForeignServer = {
      interface: device,
      mac,
      address,
      kind: packet.yiaddr === 0 ? 'ProxyDHCP' : 'DHCP',
      offered: packet.yiaddr === 0 ? (before?.offered ?? null) : formatAddress(packet.yiaddr),
      bootFile,
      how: isOurs ? 'probe' : 'heard',
      firstSeen: before?.firstSeen ?? at,
      lastSeen: at,
    };
    servers.set(key, server);
    keepForeign(db, device, server).catch(failed);
    if (before) return;
    const gives = server.kind === 'DHCP' ? `offers ${server.offered}` : 'offers a boot file beside other servers';
    const text = `${address} (${mac}) answers ${server.kind} on ${device} and ${gives}${server.bootFile ? ` and ${server.bootFile}` : ''}: machines may take its offer instead of ours. Stop that server, or put the nodes on a network of their own.`;
    recorder.emit('boot.foreign-server', subject, { text, interface: device, ...told(server) });
  }

  const told = ({ mac, address, kind, offered, bootFile }: ForeignServer) => ({
    mac,
    address,
    kind,
    offered,
    bootFile,
  });

  function heard(frame: Frame): void {
    const udp = readUdp(frame.bytes);
    if (udp?.destinationPort !== 68 || known.has(udp.sourceAddress)) return;
    const decoded = decodePacket(udp.payload);
    // Op 2 is an answer.
    if (!decoded.ok || decoded.packet.op !== 2) return;
    const id = decoded.packet.options.get(OPTION.serverId);
    const server = id?.length === 4 ? id.join('.') : udp.sourceAddress;
    if (known.has(server)) return;
    found(udp.sourceMac, udp.sourceAddress, decoded.packet);
  }

  function probe(): void {
    cancel = clock.after(probeMs, probe);
    for (const [key, server] of servers) {
      if (clock.now() - server.lastSeen.getTime() < missedProbes * probeMs + probeMs / 2) continue;
      servers.delete(key);
      forgetForeign(db, device, server.mac, server.address).catch(failed);
      const text = `${server.address} (${server.mac}) has not answered ${server.kind} on ${device} for ${missedProbes} probes: it is taken to be gone`;
      recorder.emit('boot.foreign-server-gone', subject, {
        text,
        interface: device,
        mac: server.mac,
        address: server.address,
      });
    }
    // Locally administered, so that it is nobody's.
    probed = Uint8Array.of(0x02, ...randomBytes(5));
    const bytes = probePacket({ mac: probed, xid: randomInt(2 ** 32), flags: broadcastFlag, isPxe: true });
    const error = wire.send(broadcastFrame(wire.mac, bytes));
    if (error !== null && error !== 'ENETDOWN' && error !== 'EAGAIN')
      recorder.emit('boot.trouble', subject, {
        text: `foreign DHCP servers cannot be looked for on ${device}: ${error}`,
        count: 1,
      });
  }

  return {
    async start() {
      for (const server of await readForeign(db, device))
        if (!known.has(server.address)) servers.set(`${server.mac} ${server.address}`, server);
      leave = wire.onAnswer(heard);
      probe();
    },
    stop() {
      cancel();
      leave();
    },
    current: () => [...servers.values()],
    hold() {
      const [first, ...others] = servers.values();
      if (deps.policy !== 'hold' || !first) return null;
      const more = others.length > 0 ? ` and ${others.length} more` : '';
      return {
        on: `the foreign ${first.kind} server ${first.address} (${first.mac})${more} on ${device} to go, for a machine might take its offer`,
        remedy:
          'Stop that server, or put the nodes on a network of their own. Or let deploys go on beside it: name its address in provisioning.knownServers, or set provisioning.foreignServers to "report".',
        recheckMs: 5_000,
      };
    },
  };
}
