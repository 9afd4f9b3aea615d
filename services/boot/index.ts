/**
 * Front door of the boot service. One question: given this machine, what should it boot now? Joins dhcp, tftp and http
 * to nodes (baremetal) and addresses (network). Files below `bootDir`:
 *
 *   undionly.kpxe  snponly.efi  ipxe.efi        loaders, over TFTP and over HTTP at /boot/loader/<file>
 *   disk.efi                                    the way to the disk under UEFI; `makeDiskLoader` makes it
 *   shimx64.efi  grubx64.efi  mmx64.efi         Debian's signed chain for Secure Boot (`signedFiles`)
 *   ramdisk/<profile>/kernel, …/ramdisk         the deploy ramdisk
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Context, systemContext } from '../core/context.ts';
import { ephemeralPort } from '../core/datagrams.ts';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Routes } from '../core/http/index.ts';
import type { Wait } from '../core/operations/index.ts';
import {
  DhcpEngine,
  type DhcpPacket,
  type DhcpServing,
  formatMac,
  MESSAGE,
  normaliseMac,
  OPTION,
  parseAddress,
  parseCidr,
  serveDhcp,
} from '../dhcp/index.ts';
import { ERROR_CODE, serveTftp, type TftpServing } from '../tftp/index.ts';
import { startAdvertiser } from './advertiser.ts';
import { type Answers, createAnswers } from './answers.ts';
import { createApiRoutes } from './api-routes.ts';
import { scanForBmcs } from './bmc-scan.ts';
import { type Board, createBoard } from './board.ts';
import { createCandidates } from './candidates.ts';
import { captureBoot } from './capture.ts';
import type { BootDeps } from './deps.ts';
import { argumentsFor } from './kernel-arguments.ts';
import { createLadder } from './ladder.ts';
import type { Wish } from './model.ts';
import { createNames, serveNames } from './names.ts';
import { neighbourMac } from './neighbour.ts';
import { hearNews } from './news.ts';
import { type BootRecord, clientClassOf, createRecord } from './record.ts';
import { createRoutes } from './routes.ts';
import { relayedSubnets, servedSubnet } from './served-subnet.ts';
import { createSignedChain } from './signed-chain.ts';
import { trustArchive } from './trust.ts';
import { createVigil } from './vigil.ts';
import { createWatch, type Watch } from './watch.ts';
import { openWire, type Wire } from './wire.ts';
import { createWishes } from './wishes.ts';

export type { FoundBmc } from './bmc-scan.ts';
export type { Enroller } from './candidates.ts';
export { type DecisionRow, decide, decisionTable } from './decision.ts';
export type { BootDeps, BootRoom, BootSockets } from './deps.ts';
export { makeDiskLoader } from './disk-loader.ts';
export { hearsItself, type NetworkReport, networkDoctor, plainIpv6, type SelfHearing } from './doctor.ts';
export type * from './model.ts';
export { neighbourMac } from './neighbour.ts';
export { signedFiles } from './signed-chain.ts';
export type { ForeignServer } from './watch.ts';

export interface Boot {
  /** For the plain HTTP listener of the provisioning network, mounted unprefixed; takes every path that nobody else has. */
  readonly routes: Routes;
  /** Candidates, scans, the wire, captures: mounted at /boot, on the provisioning API too (discovery reports there). */
  readonly apiRoutes: Routes;
  /** Reads bindings and addresses and begins to answer. @throws Fault `provisioning-not-set-up` before `network.ensureProvisioning` */
  start(): Promise<void>;
  /** Stops answering; leaves the sockets open (they are the supervisor's). */
  stop(): Promise<void>;
  /** The MAC that DHCP gave this address to, from memory: who calls the metadata service. */
  macAt(ip: string): string | null;
  /** What a machine that is about to be switched on for the ramdisk has to wait for; null: nothing. */
  hold(): Wait | null;
}

interface Live {
  readonly board: Board;
  readonly record: BootRecord;
  readonly wire: Wire | null;
  readonly watch: Watch | null;
}

const defaultHttpPort = 8088;
/** PXE ROMs ask again after a second. */
const patienceMs = 500;
const defaultLldpSeconds = 31;
const defaultKernelArguments = [
  ['console', 'tty0'],
  // The last one is where the ramdisk's own words go: serial over LAN reads it.
  ['console', 'ttyS0,115200n8'],
  ['panic', '60'],
] as const;

export function createBoot(house: House, deps: BootDeps): Boot {
  const { network, baremetal, sockets, bootDir, provisioning } = deps;
  const { clock } = house;
  const httpBase = `http://${provisioning.address}:${provisioning.httpPort ?? defaultHttpPort}`;
  const isProxy = provisioning.dhcp === 'proxy';
  let live: Live | null = null;
  const endings: (() => void | Promise<void>)[] = [];
  const trouble = (text: string) => live?.record.trouble(text);

  const ladder = createLadder(house.db, () => clock.now(), trouble);
  const candidates = createCandidates({
    house,
    network,
    enroller: baremetal,
    policy: provisioning.unknownMachines ?? 'nothing',
    interface: provisioning.interface,
    onChange: (mac) => {
      live?.board.refresh([mac]).catch((error: Error) => trouble(`addresses could not be read: ${error.message}`));
    },
  });
  const wishOf = createWishes({ baremetal, strangerBoot: (mac) => candidates.strangerBoot(mac) });
  const trust = trustArchive(deps.caCertificate, deps.imageKey);
  const argumentsOf = (wish: Wish) =>
    argumentsFor(
      {
        standing: deps.kernelArguments ?? defaultKernelArguments,
        apiUrl: deps.apiUrl,
        now: () => clock.now(),
        lldpSeconds: deps.lldpSeconds ?? defaultLldpSeconds,
      },
      wish,
    );

  const ramdiskDir = async (): Promise<string> => {
    const place = (profile: string) => join(bootDir, 'ramdisk', profile);
    if (deps.profile !== undefined) return place(deps.profile);
    const hasLab = await stat(join(place('lab'), 'kernel')).then(
      () => true,
      () => false,
    );
    return place(hasLab ? 'lab' : 'hardware');
  };

  async function start(): Promise<void> {
    const made = await network.provisioning();
    if (!made) throw fault('provisioning-not-set-up', { interface: provisioning.interface });
    const names = provisioning.domain !== undefined && sockets.dns !== undefined;
    const served = { ...provisioning, names };
    const others = await network.listSubnets(systemContext(), { network_id: made.network.id });
    const answers = createAnswers({
      wishOf,
      ladder,
      record: () => record,
      httpBase,
      tftpServer: provisioning.address,
      now: () => clock.now(),
    });
    const engine = await DhcpEngine.open({
      subnets: [servedSubnet(made, served), ...relayedSubnets(made, others, served)],
      store: network.leases,
      bootFor: answers.bootFor,
      now: () => clock.now(),
      after: (ms) => new Promise((resolve) => clock.after(ms, resolve)),
      onNotice: (notice) => record.trouble(`DHCP: ${notice.message}`),
    });
    const board = createBoard({
      network,
      baremetal,
      networkId: made.network.id,
      reservations: engine.reservations,
      takesIn: (mac, boots) => candidates.takesIn(mac, boots),
      ...(isProxy && { neighbour: neighbourMac }),
      isHeard: () => news?.isHeard() ?? false,
      onTrouble: (text) => record.trouble(text),
      now: () => clock.now(),
    });
    const wire = sockets.wire ? openWire(sockets.wire.fd, clock, trouble) : null;
    const watch = wire && watchOf(wire);
    const vigil = createVigil({
      house,
      modelOf: (uuid) => baremetal.modelOf(uuid),
      nodeOf: (uuid) => baremetal.findNode(systemContext(), uuid).catch(() => null),
      foreign: () => (watch?.current() ?? []).map(({ address, mac }) => `${address} (${mac})`),
      onTrouble: trouble,
      ...(deps.speed !== undefined && { speed: deps.speed }),
    });
    const record = createRecord({
      house,
      board,
      vigil,
      isCandidate: (mac) => candidates.isOne(mac),
      interface: provisioning.interface,
      isProxy,
    });
    await Promise.all([board.load(), ladder.load(), candidates.load(), vigil.load()]);
    const news = baremetal.macs
      ? await hearNews({ db: house.db, clock, onMac: board.reread, onAll: board.load, onTrouble: trouble })
      : undefined;
    endings.push(
      () => news?.stop(),
      () => vigil.stop(),
      () => candidates.stop(),
      network.onAddressChange((macs) => {
        board.refresh(macs).catch((error: Error) => record.trouble(`addresses could not be read: ${error.message}`));
      }),
      house.recorder.subscribe(({ kind, data }) => {
        if (kind !== 'node.agent-heartbeat' || !(data as { first?: boolean }).first) return;
        const host = URL.parse((data as { callbackUrl?: string }).callbackUrl ?? '')?.hostname;
        const mac = host === undefined ? null : board.macAt(host);
        if (mac) ladder.cleared(mac);
      }),
    );
    live = { board, record, wire, watch };
    const dhcp = answerDhcp(engine, board, record, answers);
    const tftp = answerTftp(board, record);
    endings.push(
      () => dhcp.stop(),
      () => tftp.stop(),
    );
    if (sockets.ra)
      endings.push(
        startAdvertiser({
          fd: sockets.ra.fd,
          clock,
          onAnswered: (from, mac) => record.solicited(from, mac),
          onTrouble: (text) => record.trouble(text),
        }),
      );
    if (wire) endings.push(() => wire.stop());
    if (watch) {
      await watch.start();
      endings.push(() => watch.stop());
    }
    if (names) endings.push(answerNames(made.subnet.cidr, board, record));
  }

  const watchOf = (wire: Wire): Watch =>
    createWatch({
      house,
      wire,
      interface: provisioning.interface,
      known: [provisioning.address, ...(provisioning.knownServers ?? [])],
      policy: provisioning.foreignServers ?? 'report',
      isProxy,
      ...(deps.probeMs !== undefined && { probeMs: deps.probeMs }),
    });

  function answerNames(cidr: string, board: Board, record: BootRecord): () => void {
    const ours = parseCidr(cidr);
    const onTrouble = (text: string) => record.trouble(text);
    /** A deployed node's address goes by its server's name; its own is found by its cards. */
    const ofNode = async (host: string): Promise<string | null> => {
      const node = await baremetal.findNode(systemContext(), host).catch(() => null);
      if (node?.name?.toLowerCase() !== host) return null;
      for (const { address } of await baremetal.portsOf(node.uuid)) {
        const held = await network.addressOf(address);
        if (held) return held.ip;
      }
      return null;
    };
    const names = createNames({
      domain: provisioning.domain ?? '',
      isOurs: (address) => ours !== undefined && ((parseAddress(address) ?? 0) & ours.mask) >>> 0 === ours.network,
      addressOf: async (host) =>
        host === 'undercloud' ? provisioning.address : (board.addressOf(host) ?? (await ofNode(host))),
      nameAt: (address) => (address === provisioning.address ? 'undercloud' : board.nameAt(address)),
      forwarders: provisioning.nameservers ?? [],
      onTrouble,
    });
    const { dns, dnsTcp } = sockets;
    return dns ? serveNames(names, dns, dnsTcp ?? null, onTrouble) : () => {};
  }

  function answerDhcp(engine: DhcpEngine, board: Board, record: BootRecord, answers: Answers): DhcpServing {
    return serveDhcp({
      socket: sockets.dhcp,
      ...(sockets.proxy && { bootServerSocket: sockets.proxy }),
      link: provisioning.interface,
      engine: {
        knows: (packet, arrival) => engine.knows(packet, arrival),
        async answer(packet, arrival) {
          const mac = packet.hlen === 6 ? formatMac(packet.chaddr, 6) : null;
          if (mac !== null) {
            const begins = packet.ciaddr === 0 && isDiscover(packet);
            const seat = { begins, boots: isFirmware(packet), subnetId: engine.subnetOf(packet, arrival) };
            await prepare(board, mac, seat, () => engine.knows(packet, arrival));
          }
          const decision = await engine.answer(packet, arrival);
          const { outcome, xid } = decision.record;
          if (isProxy && outcome === 'chose-other') await answers.taken(clientClassOf(decision.record), xid);
          return decision;
        },
      },
      now: () => clock.now(),
      onEvent: (event) => record.dhcp(event),
    });
  }

  /**
   * Renewals go by what is in memory. Who begins anew is looked up first, and waited for; but a machine whose address is
   * known does not wait for a database that is away.
   */
  async function prepare(
    board: Board,
    mac: string,
    { begins, boots, subnetId }: { begins: boolean; boots: boolean; subnetId?: string | undefined },
    isKnown: () => boolean,
  ): Promise<void> {
    if (!begins && board.nodeOf(mac) !== null) return;
    const prepared = board.prepare(mac, boots && begins, subnetId);
    await (isKnown() ? Promise.race([prepared, new Promise<void>((done) => clock.after(patienceMs, done))]) : prepared);
  }

  function answerTftp(board: Board, record: BootRecord): TftpServing {
    const files = createSignedChain({
      bootDir,
      ramdiskDir,
      tftpServer: provisioning.address,
      ladder,
      wishAt: async (address) => {
        const mac = board.macAt(address);
        return mac === null ? null : wishOf(mac);
      },
      trust: trust.bytes,
      argumentsOf,
    });
    return serveTftp({
      socket: sockets.tftp,
      createTransferSocket: async () => ephemeralPort(provisioning.address),
      async open(path, client) {
        await board.meet(client.address);
        const mac = board.macAt(client.address);
        if (mac === null)
          return {
            code: ERROR_CODE.accessViolation,
            message: `${client.address} is no address that was given to a machine here`,
          };
        await prepare(board, mac, { begins: false, boots: false }, () => true);
        return files(path, client);
      },
      onEvent: (event) => record.tftp(event),
    });
  }

  /** @throws Fault `node-not-found`, `capture-refused` */
  async function capture(context: Context, what: string, seconds: number): Promise<Readable> {
    if (!live?.wire)
      throw fault('capture-refused', {
        reason: 'the wire cannot be listened to: `serve` was not given a packet socket',
      });
    const mac = normaliseMac(what);
    const node = mac === undefined ? await baremetal.findNode(context, what) : null;
    const macs = node ? (await baremetal.portsOf(node.uuid)).map(({ address }) => address.toLowerCase()) : [mac ?? ''];
    if (macs.length === 0) throw fault('capture-refused', { reason: `${what} has no network card that is enrolled` });
    return captureBoot({ house, wire: live.wire, macs, nodeUuid: node?.uuid ?? null, seconds });
  }

  return {
    routes: createRoutes({
      wishOf,
      ladder,
      live: () => live,
      bootDir,
      ramdiskDir,
      httpBase,
      trust,
      argumentsOf,
      ...(deps.goneAfterMs !== undefined && { goneAfterMs: deps.goneAfterMs }),
    }),
    apiRoutes: createApiRoutes({
      authenticate: deps.authenticate,
      candidates,
      interface: provisioning.interface,
      foreign: () => live?.watch?.current() ?? null,
      policy: provisioning.foreignServers ?? 'report',
      advertises: sockets.ra !== undefined,
      scan: (cidr, credentials, signal) =>
        scanForBmcs({ cidr, credentials, signal, allowed: provisioning.bmcNetworks ?? [] }),
      capture,
      story: (mac) => house.recorder.timeline({ type: 'mac', id: mac }, { limit: 200 }),
    }),
    start,
    async stop() {
      live = null;
      for (const end of endings.splice(0)) await end();
    },
    macAt: (ip) => live?.board.macAt(ip) ?? null,
    hold: () => live?.watch?.hold() ?? null,
  };
}

const isDiscover = (packet: DhcpPacket): boolean => packet.options.get(OPTION.messageType)?.[0] === MESSAGE.discover;

/** What only a boot ROM, UEFI or iPXE says of itself: options 93 and 175. */
const isFirmware = ({ options }: DhcpPacket): boolean => options.has(OPTION.clientArch) || options.has(OPTION.ipxe);
