/**
 * Front door of the boot service. One question: given this machine, what should it boot now? Joins dhcp, tftp and http
 * to nodes (baremetal) and addresses (network). Files below `bootDir`:
 *
 *   undionly.kpxe  snponly.efi  ipxe.efi        loaders, over TFTP and over HTTP at /boot/loader/<file>
 *   disk.efi                                    the way to the disk under UEFI; `makeDiskLoader` makes it
 *   shimx64.efi  grubx64.efi  mmx64.efi         Debian's signed chain for Secure Boot (`signedFiles`)
 *   ramdisk/<profile>/kernel, …/ramdisk         the deploy ramdisk
 */
import type { Readable } from 'node:stream';
import { type Context, systemContext } from '../core/context.ts';
import { ephemeralPort } from '../core/datagrams.ts';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Routes } from '../core/http/index.ts';
import type { Wait } from '../core/operations/index.ts';
import { DhcpEngine, type DhcpServing, formatAddress, formatMac, normaliseMac, serveDhcp } from '../dhcp/index.ts';
import { ERROR_CODE, serveTftp, type TftpServing } from '../tftp/index.ts';
import { createAddressProbe } from './address-probe.ts';
import { startAdvertiser } from './advertiser.ts';
import { type Answers, createAnswers } from './answers.ts';
import { createApiRoutes } from './api-routes.ts';
import { isDiscover, isFirmware } from './asking.ts';
import { scanForBmcs } from './bmc-scan.ts';
import { type Board, createBoard } from './board.ts';
import { createCandidates } from './candidates.ts';
import { captureBoot } from './capture.ts';
import type { BootDeps, BootLink } from './deps.ts';
import { argumentsFor } from './kernel-arguments.ts';
import { createLadder } from './ladder.ts';
import { type Capturing, joinWatches, joinWires, type Watching } from './links.ts';
import type { Wish } from './model.ts';
import { serveNames } from './names.ts';
import { neighbourMac } from './neighbour.ts';
import { hearNews } from './news.ts';
import { createNodeNames } from './node-names.ts';
import { ramdiskPlace } from './ramdisk-place.ts';
import { type BootRecord, clientClassOf, createRecord } from './record.ts';
import { createRoutes } from './routes.ts';
import { firstSubnet, lies, otherSubnets } from './served-subnet.ts';
import { createSignedChain } from './signed-chain.ts';
import { trustArchive } from './trust.ts';
import { createVigil } from './vigil.ts';
import { createWatch, type Watch } from './watch.ts';
import { openWire, type Wire } from './wire.ts';
import { createWishes } from './wishes.ts';

export type { FoundBmc } from './bmc-scan.ts';
export type { Enroller } from './candidates.ts';
export { type DecisionRow, decide, decisionTable } from './decision.ts';
export type { BootDeps, BootLink, BootRoom, BootSockets } from './deps.ts';
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
  /** The interface behind which that machine was given its address. */
  readonly linkOf: (mac: string) => string | undefined;
  readonly wire: Capturing | null;
  readonly watch: Watching | null;
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
  const links: readonly BootLink[] = [
    { interface: provisioning.interface, address: provisioning.address, sockets },
    ...(deps.further ?? []),
  ];
  let live: Live | null = null;
  const endings: (() => void | Promise<void>)[] = [];
  const trouble = (text: string) => live?.record.trouble(text);

  const ladder = createLadder(house.db, () => clock.now(), trouble);
  const candidates = createCandidates({
    house,
    network,
    enroller: baremetal,
    policy: provisioning.unknownMachines ?? 'nothing',
    interfaceOf: (mac) => live?.linkOf(mac) ?? provisioning.interface,
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

  const ramdiskDir = ramdiskPlace(bootDir, deps.profile);

  async function start(): Promise<void> {
    const made = await network.provisioning();
    if (!made) throw fault('provisioning-not-set-up', { interface: provisioning.interface });
    const names = provisioning.domain !== undefined && sockets.dns !== undefined;
    const served = { ...provisioning, names, further: deps.further ?? [] };
    const others = await network.listSubnets(systemContext(), { network_id: made.network.id });
    const answers = createAnswers({
      wishOf,
      ladder,
      record: () => record,
      httpBase,
      tftpServer: provisioning.address,
      now: () => clock.now(),
    });
    const wires = links.flatMap((link) => {
      const { wire } = link.sockets;
      return wire ? [{ link, wire: openWire(wire.fd, clock, trouble) }] : [];
    });
    const subnets = [firstSubnet(made, others, served), ...otherSubnets(made, others, served)];
    const linkOf = (address: string) => subnets.find(({ cidr }) => lies(address, cidr))?.link;
    const engine = await DhcpEngine.open({
      subnets,
      probe: createAddressProbe({
        wireOf: (address) => wires.find(({ link }) => link.interface === linkOf(address))?.wire ?? null,
        clock,
      }),
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
    const watches = wires.map(({ link, wire }) => watchOf(link, wire));
    const watch = joinWatches(watches);
    const vigil = createVigil({
      house,
      modelOf: (uuid) => baremetal.modelOf(uuid),
      nodeOf: (uuid) => baremetal.findNode(systemContext(), uuid).catch(() => null),
      foreign: () => (watch?.current() ?? []).map(({ address, mac }) => `${address} (${mac})`),
      onTrouble: trouble,
      ...(deps.speed !== undefined && { speed: deps.speed }),
    });
    const recordOf = (device: string): BootRecord =>
      createRecord({ house, board, vigil, isCandidate: (mac) => candidates.isOne(mac), interface: device, isProxy });
    const record = recordOf(provisioning.interface);
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
    live = {
      board,
      record,
      linkOf: (mac) => engine.reservations.of(mac).map(({ address }) => linkOf(formatAddress(address)))[0],
      wire: joinWires(wires.map(({ wire }) => wire)),
      watch,
    };
    for (const link of links) {
      // Strangers and troubles are told of the wire that they were met on.
      const its = link.interface === provisioning.interface ? record : recordOf(link.interface);
      const dhcp = answerDhcp(link, engine, board, its, answers);
      const tftp = answerTftp(link, board, its);
      endings.push(
        () => dhcp.stop(),
        () => tftp.stop(),
      );
      const { ra } = link.sockets;
      const told = { onAnswered: its.solicited, onTrouble: its.trouble };
      if (ra) endings.push(startAdvertiser({ fd: ra.fd, clock, ...told }));
    }
    for (const { wire } of wires) endings.push(() => wire.stop());
    for (const one of watches) {
      await one.start();
      endings.push(() => one.stop());
    }
    const cidrs = [made.subnet, ...others].map(({ cidr }) => cidr);
    if (names) endings.push(...answerNames(cidrs, board, record));
  }

  const watchOf = (link: BootLink, wire: Wire): Watch =>
    createWatch({
      house,
      wire,
      interface: link.interface,
      known: [link.address, ...(provisioning.knownServers ?? [])],
      policy: provisioning.foreignServers ?? 'report',
      isProxy,
      ...(deps.probeMs !== undefined && { probeMs: deps.probeMs }),
    });

  function answerNames(cidrs: readonly string[], board: Board, record: BootRecord): (() => void)[] {
    const onTrouble = (text: string) => record.trouble(text);
    const names = createNodeNames({ provisioning, network, baremetal, board, cidrs, onTrouble });
    return links.flatMap(({ sockets: { dns, dnsTcp } }) =>
      dns ? [serveNames(names, dns, dnsTcp ?? null, onTrouble)] : [],
    );
  }

  function answerDhcp(
    { interface: device, sockets: { dhcp, proxy } }: BootLink,
    engine: DhcpEngine,
    board: Board,
    record: BootRecord,
    answers: Answers,
  ): DhcpServing {
    return serveDhcp({
      socket: dhcp,
      ...(proxy && { bootServerSocket: proxy }),
      link: device,
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

  function answerTftp(link: BootLink, board: Board, record: BootRecord): TftpServing {
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
      socket: link.sockets.tftp,
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
