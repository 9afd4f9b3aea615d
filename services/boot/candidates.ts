/**
 * Machines that nobody has enrolled. Where the policy is `discover`, one that boots from the network gets an address and
 * the deploy ramdisk in discovery mode, which tells what it is made of and switches the machine off; from then on it is a
 * candidate: it boots what else it has, until somebody accepts it as a node or forgets it.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { UnknownMachines } from '../core/config.ts';
import type { Context } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { House } from '../core/house.ts';
import type { Network } from '../network/index.ts';
import { readReport } from './report.ts';
import {
  type CandidateRow,
  candidateByTokenHash,
  deleteCandidate,
  deleteStale,
  insertBooting,
  keepReport,
  keepScanned,
  readCandidates,
  type ScannedBmc,
  touchCandidate,
} from './store/candidates.ts';
import type { StrangerBoot } from './wishes.ts';

/** What boot asks of baremetal to make a node of a candidate; `createBaremetal` passes by shape. */
export interface Enroller {
  importNodes(
    context: Context,
    instackenv: unknown,
    options?: { provide?: boolean },
  ): Promise<readonly { uuid: string; name: string | null; operation: string | null }[]>;
}

export interface CandidatesDeps {
  readonly house: House;
  readonly network: Network;
  readonly enroller: Enroller;
  readonly policy: UnknownMachines;
  /** Where that machine boots: `br0`. */
  readonly interfaceOf: (mac: string) => string;
  /** After a change that the board has to hear of. */
  readonly onChange: (mac: string) => void;
}

export interface AcceptFields {
  readonly name?: string;
  readonly address?: string;
  readonly port?: number;
  readonly username?: string;
  readonly password?: string;
  readonly resourceClass?: string;
  /** Go on to `available`. Default true. */
  readonly provide?: boolean;
}

export interface Candidates {
  load(): Promise<void>;
  stop(): void;
  /** What a MAC that no node has is to boot; null: no answer for it. */
  strangerBoot(mac: string): StrangerBoot | null;
  isOne(mac: string): boolean;
  /** Whether this stranger gets an address. `boots`: firmware asks, so it may become a candidate now. */
  takesIn(mac: string, boots: boolean): Promise<boolean>;
  /** The discovery ramdisk's report. @throws Fault `discovery-refused` */
  reported(token: string, body: unknown): Promise<CandidateRow>;
  scanned(bmcs: readonly Omit<ScannedBmc, 'id'>[]): Promise<string[]>;
  list(): Promise<CandidateRow[]>;
  /** By id, the beginning of an id, MAC or BMC address. @throws Fault `candidate-not-found` */
  find(text: string): Promise<CandidateRow>;
  forget(context: Context, text: string): Promise<CandidateRow>;
  accept(
    context: Context,
    text: string,
    fields: AcceptFields,
  ): Promise<{ uuid: string; name: string | null; operation: string | null }>;
}

/** Machines in discovery at one time, none of which has reported: invented MACs must not take a network's addresses. */
const mostBooting = 64;
/** Who has not reported by then does not; its address is given back. */
const staleMs = 60 * 60_000;
const sweepMs = 10 * 60_000;

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');
const sealOwner = (id: string, what: string): string => `candidate ${id} ${what}`;

interface Known {
  readonly id: string;
  state: CandidateRow['state'];
  readonly token: string | null;
  readonly since: Date;
}

export function createCandidates(deps: CandidatesDeps): Candidates {
  const { house, network, policy } = deps;
  const { db, secrets, recorder, clock } = house;
  /** By MAC. */
  const known = new Map<string, Known>();
  let cancel = () => {};

  function remember(row: CandidateRow): void {
    const sealed = row.token_sealed;
    const token = sealed === null ? null : secrets.open(sealed, sealOwner(row.id, 'token'));
    const one = { id: row.id, state: row.state, token, since: row.first_seen };
    for (const mac of new Set([...(row.mac ? [row.mac] : []), ...row.macs])) known.set(mac, one);
  }

  async function begin(mac: string): Promise<boolean> {
    const booting = [...known.values()].filter((one) => one.state === 'booting').length;
    if (booting >= mostBooting) {
      recorder.emit(
        'boot.trouble',
        { type: 'interface', id: deps.interfaceOf(mac) },
        {
          text: `${mac} is not taken in for discovery: ${booting} machines are at it already. Accept or forget candidates (\`undercloud node discovered\`), or look for who invents MACs.`,
          count: 1,
        },
      );
      return false;
    }
    const id = randomUUID();
    const token = randomBytes(32).toString('base64url');
    known.set(mac, { id, state: 'booting', token, since: new Date(clock.now()) });
    try {
      await insertBooting(db, { id, mac, sealed: secrets.seal(token, sealOwner(id, 'token')), hash: hashOf(token) });
    } catch (error) {
      // What is not durable is not handed out: it asks again.
      known.delete(mac);
      throw error;
    }
    return true;
  }

  async function sweep(): Promise<void> {
    const gone = await db.transaction(async (tx) => {
      const rows = await deleteStale(tx, staleMs);
      for (const { mac } of rows) await network.forgetAddress(tx, mac);
      return rows;
    });
    for (const { mac } of gone) known.delete(mac);
  }

  function sweepLater(): void {
    cancel = clock.after(sweepMs, () => {
      sweep().catch(() => {});
      sweepLater();
    });
  }

  async function drop(row: CandidateRow): Promise<void> {
    for (const [mac, one] of known) if (one.id === row.id) known.delete(mac);
    if (row.mac) deps.onChange(row.mac);
  }

  const credentialsOf = (row: CandidateRow): { username: string; password: string } | null =>
    row.bmc_secret === null ? null : JSON.parse(secrets.open(row.bmc_secret, sealOwner(row.id, 'bmc')));

  const candidates: Candidates = {
    async load() {
      for (const row of await readCandidates(db)) remember(row);
      sweepLater();
    },
    stop: () => cancel(),

    strangerBoot(mac) {
      const one = known.get(mac);
      if (!one || policy !== 'discover') return null;
      if (one.state === 'booting' && one.token !== null)
        return {
          intent: 'discover',
          token: one.token,
          reason: 'no node has this MAC, and unknown machines are to be discovered',
        };
      return {
        intent: 'none',
        reason: `discovered ${one.since.toISOString().slice(0, 16).replace('T', ' ')} UTC and not accepted yet (\`undercloud node accept ${one.id.slice(0, 8)}\`)`,
      };
    },

    isOne: (mac) => known.has(mac),

    async takesIn(mac, boots) {
      if (policy !== 'discover') return false;
      if (known.has(mac)) {
        if (boots) await touchCandidate(db, mac);
        return true;
      }
      return boots ? begin(mac) : false;
    },

    async reported(token, body) {
      const row = await candidateByTokenHash(db, hashOf(token));
      if (!row) throw fault('discovery-refused', { reason: 'no machine in discovery has this token' });
      const report = readReport(body);
      if (row.mac === null || !report.macs.includes(row.mac))
        throw fault('discovery-refused', {
          reason: `the token is that of ${row.mac}, which is none of the machine’s cards`,
        });
      const kept = await db.transaction(async (tx) => {
        await keepReport(tx, row.id, report);
        const cards = `${report.macs.length} network card${report.macs.length === 1 ? '' : 's'}`;
        const what = [report.vendor, report.product].filter(Boolean).join(' ') || 'a machine';
        const bmc = report.bmcAddress === null ? 'no BMC address known' : `BMC ${report.bmcAddress}`;
        await recorder.append(
          tx,
          'boot.machine-discovered',
          { type: 'mac', id: row.mac ?? '' },
          {
            text: `${what} (${row.mac}, ${cards}, ${bmc}) was discovered on ${deps.interfaceOf(row.mac ?? '')}: \`undercloud node accept ${row.id.slice(0, 8)}\` enrols it`,
            candidate: row.id,
            mac: row.mac ?? '',
            vendor: report.vendor,
            product: report.product,
            bmcAddress: report.bmcAddress,
          },
        );
        return { ...row, state: 'reported' as const, macs: report.macs };
      });
      remember(kept);
      return kept;
    },

    async scanned(bmcs) {
      return db.transaction(async (tx) => {
        const ids: string[] = [];
        for (const bmc of bmcs) {
          const id = randomUUID();
          const kept = await keepScanned(tx, { ...bmc, id, secret: null });
          // Sealed for the row that it came to stand in, which may have been there before.
          if (bmc.secret !== null)
            await keepScanned(tx, { ...bmc, id: kept, secret: secrets.seal(bmc.secret, sealOwner(kept, 'bmc')) });
          ids.push(kept);
        }
        return ids;
      });
    },

    list: () => readCandidates(db),

    async find(text) {
      const wanted = text.toLowerCase();
      const rows = await readCandidates(db);
      const exact = rows.filter(
        (row) => row.id === wanted || row.bmc_address === wanted || row.mac === wanted || row.macs.includes(wanted),
      );
      const fits = exact.length > 0 || wanted.length < 4 ? exact : rows.filter((row) => row.id.startsWith(wanted));
      const [one, ...more] = fits;
      if (!one || more.length > 0) throw fault('candidate-not-found', { candidate: text, count: fits.length });
      return one;
    },

    async forget(_context, text) {
      const row = await candidates.find(text);
      await db.transaction(async (tx) => {
        await deleteCandidate(tx, row.id);
        if (row.mac) await network.forgetAddress(tx, row.mac);
      });
      await drop(row);
      return row;
    },

    async accept(context, text, fields) {
      const row = await candidates.find(text);
      const missing = (what: string, remedy: string) =>
        fault('candidate-incomplete', { candidate: row.mac ?? row.bmc_address ?? row.id, what, remedy });
      if (row.state !== 'reported')
        throw missing(
          'its inventory',
          'It still boots the ramdisk: `undercloud node discovered` shows when it has reported.',
        );
      const address = fields.address ?? row.bmc_address;
      // A scan may have found that BMC, and credentials for it, where the machine could not tell of it.
      const scanned = (await readCandidates(db)).find((one) => address !== null && one.bmc_address === address) ?? null;
      const found = credentialsOf(row) ?? (scanned && credentialsOf(scanned));
      const username = fields.username ?? found?.username;
      const password = fields.password ?? found?.password;
      if (!address) throw missing('the address of its BMC', 'Give it with --address.');
      if (username === undefined)
        throw missing(
          'the user of its BMC',
          'Give it with --username, or let `undercloud bmc scan` find credentials that work.',
        );
      if (password === undefined) throw missing('the password of its BMC', 'Give it with --password-file.');
      if (row.mac === null)
        throw missing(
          'the MAC of the card that it boots from',
          'Only its BMC is known: switch it on so that it boots from the network, and accept what is then discovered, with --address.',
        );
      const inventory = row.inventory as {
        cpu?: { count?: number; architecture?: string };
        memory?: { physical_mb?: number };
        disks?: { size?: number }[];
      } | null;
      const largest = Math.max(0, ...(inventory?.disks ?? []).map((disk) => Number(disk.size ?? 0)));
      const [imported] = await deps.enroller.importNodes(
        context,
        {
          nodes: [
            {
              ...(fields.name !== undefined && { name: fields.name }),
              pm_type: (row.bmc_protocol ?? scanned?.bmc_protocol) === 'redfish' ? 'redfish' : 'ipmi',
              pm_addr: address,
              ...(fields.port !== undefined && { pm_port: String(fields.port) }),
              pm_user: username,
              pm_password: password,
              ports: [{ address: row.mac, physical_network: 'ctlplane' }],
              ...(inventory?.cpu?.count && { cpu: String(inventory.cpu.count) }),
              ...(inventory?.memory?.physical_mb && { memory: String(inventory.memory.physical_mb) }),
              ...(largest > 2 ** 30 && { disk: String(Math.floor(largest / 2 ** 30)) }),
              ...(inventory?.cpu?.architecture && { arch: inventory.cpu.architecture }),
              ...(row.boot_mode && { capabilities: `boot_mode:${row.boot_mode}` }),
              ...(fields.resourceClass !== undefined && { resource_class: fields.resourceClass }),
            },
          ],
        },
        { provide: fields.provide ?? true },
      );
      if (!imported) throw fault('candidate-not-found', { candidate: text, count: 0 });
      // The address that was kept for the MAC stays: it is the node's from now on.
      await db.transaction(async (tx) => {
        await deleteCandidate(tx, row.id);
        if (scanned?.source === 'bmc-scan') await deleteCandidate(tx, scanned.id);
      });
      await drop(row);
      return imported;
    },
  };
  return candidates;
}
