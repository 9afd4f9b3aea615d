/**
 * Front door of the boot service. One question: given this machine, what should it boot now? Joins dhcp, tftp and http
 * to nodes (baremetal) and addresses (network). Files below `bootDir`:
 *
 *   undionly.kpxe  snponly.efi  ipxe.efi        loaders, over TFTP and over HTTP at /boot/loader/<file>
 *   disk.efi                                    the way to the disk under UEFI; `makeDiskLoader` makes it
 *   ramdisk/<profile>/kernel, …/ramdisk         the deploy ramdisk
 */
import { createHash } from 'node:crypto';
import dgram from 'node:dgram';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Routes } from '../core/http/index.ts';
import { DhcpEngine, type DhcpPacket, type DhcpServing, formatMac, MESSAGE, OPTION, serveDhcp } from '../dhcp/index.ts';
import type { Network } from '../network/index.ts';
import { directoryContent, ERROR_CODE, serveTftp, type TftpServing } from '../tftp/index.ts';
import { startAdvertiser } from './advertiser.ts';
import { type Answers, createAnswers } from './answers.ts';
import { type Board, createBoard } from './board.ts';
import type { Served } from './file-answer.ts';
import type { BootSource } from './model.ts';
import { newc } from './newc.ts';
import { type BootRecord, createRecord } from './record.ts';
import { createRoutes } from './routes.ts';
import { servedSubnet } from './served-subnet.ts';

export { type DecisionRow, decide, decisionTable } from './decision.ts';
export { makeDiskLoader } from './disk-loader.ts';
export { type NetworkReport, networkDoctor } from './doctor.ts';
export type * from './model.ts';
export { neighbourMac } from './neighbour.ts';

export interface BootSockets {
  /** UDP 67, bound to the provisioning interface (core/sockets.ts opens it, `datagramFrom` makes a socket of it). */
  readonly dhcp: dgram.Socket;
  /** UDP 69. */
  readonly tftp: dgram.Socket;
  /** Raw ICMPv6, bound to the interface, hop limit 255, joined to ff02::2. */
  readonly ra?: { readonly fd: number };
}

export interface BootDeps {
  readonly network: Network;
  readonly baremetal: BootSource;
  readonly sockets: BootSockets;
  readonly bootDir: string;
  readonly provisioning: {
    readonly interface: string;
    /** Our address on it: `192.0.2.1`. */
    readonly address: string;
    /** Of the plain listener that serves `routes`. Default 8088. */
    readonly httpPort?: number;
  };
  /** What the agent is told: `https://192.0.2.1:6385`. */
  readonly apiUrl: string;
  /** The undercloud's CA in PEM; goes into the ramdisk as etc/undercloud/ca.pem. */
  readonly caCertificate: string;
  /** Which ramdisk; default `lab` if it is there, else `hardware`. */
  readonly profile?: string;
  /** In front of the agent's. Default: both consoles, and a reset a minute after a panic. A value of null is a bare word. */
  readonly kernelArguments?: readonly (readonly [name: string, value: string | null])[];
}

export interface Boot {
  /** For the plain HTTP listener of the provisioning network, mounted unprefixed; takes every path that nobody else has. */
  readonly routes: Routes;
  /** Reads bindings and addresses and begins to answer. @throws Fault `provisioning-not-set-up` before `network.ensureProvisioning` */
  start(): Promise<void>;
  /** Stops answering; leaves the sockets open (they are the supervisor's). */
  stop(): Promise<void>;
  /** The MAC that DHCP gave this address to, from memory: who calls the metadata service. */
  macAt(ip: string): string | null;
}

interface Live {
  readonly board: Board;
  readonly record: BootRecord;
  readonly answers: Answers;
}

const defaultHttpPort = 8088;
/** PXE ROMs ask again after a second. */
const patienceMs = 500;
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
  let live: Live | null = null;
  const endings: (() => void | Promise<void>)[] = [];

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
    const answers = createAnswers({
      baremetal,
      record: () => record,
      httpBase,
      tftpServer: provisioning.address,
    });
    const engine = await DhcpEngine.open({
      subnets: [servedSubnet(made, provisioning)],
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
      onTrouble: (text) => record.trouble(text),
      now: () => clock.now(),
    });
    const record = createRecord({ house, board, interface: provisioning.interface });
    await board.load();
    endings.push(
      network.onAddressChange((macs) => {
        board.refresh(macs).catch((error: Error) => record.trouble(`addresses could not be read: ${error.message}`));
      }),
    );
    const dhcp = answerDhcp(engine, board, record);
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
    live = { board, record, answers };
  }

  function answerDhcp(engine: DhcpEngine, board: Board, record: BootRecord): DhcpServing {
    return serveDhcp({
      socket: sockets.dhcp,
      link: provisioning.interface,
      engine: {
        knows: (packet, arrival) => engine.knows(packet, arrival),
        async answer(packet, arrival) {
          const mac = packet.hlen === 6 ? formatMac(packet.chaddr, 6) : null;
          if (mac !== null)
            await prepare(board, mac, packet.ciaddr === 0 && isDiscover(packet), () => engine.knows(packet, arrival));
          return engine.answer(packet, arrival);
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
  async function prepare(board: Board, mac: string, begins: boolean, isKnown: () => boolean): Promise<void> {
    if (!begins && board.nodeOf(mac) !== null) return;
    const prepared = board.prepare(mac);
    await (isKnown() ? Promise.race([prepared, new Promise<void>((done) => clock.after(patienceMs, done))]) : prepared);
  }

  function answerTftp(board: Board, record: BootRecord): TftpServing {
    const files = directoryContent(bootDir);
    return serveTftp({
      socket: sockets.tftp,
      createTransferSocket: () => transferSocket(provisioning.address),
      async open(path, client) {
        const mac = board.macAt(client.address);
        if (mac === null)
          return {
            code: ERROR_CODE.accessViolation,
            message: `${client.address} is no address that was given to a machine here`,
          };
        await prepare(board, mac, false, () => true);
        return files(path, client);
      },
      onEvent: (event) => record.tftp(event),
    });
  }

  return {
    routes: createRoutes({
      baremetal,
      live: () => live,
      bootDir,
      ramdiskDir,
      httpBase,
      apiUrl: deps.apiUrl,
      trust: trustArchive(deps.caCertificate),
      kernelArguments: deps.kernelArguments ?? defaultKernelArguments,
      now: () => clock.now(),
    }),
    start,
    async stop() {
      live = null;
      for (const end of endings.splice(0)) await end();
    },
    macAt: (ip) => live?.board.macAt(ip) ?? null,
  };
}

const isDiscover = (packet: DhcpPacket): boolean => packet.options.get(OPTION.messageType)?.[0] === MESSAGE.discover;

function trustArchive(certificate: string): Served {
  const bytes = newc([{ path: 'etc/undercloud/ca.pem', content: Buffer.from(certificate) }]);
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`;
  return { bytes, type: 'application/octet-stream', etag };
}

function transferSocket(address: string): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address, port: 0, exclusive: true }, () => {
      socket.off('error', reject);
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}
