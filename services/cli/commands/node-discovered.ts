/** `undercloud node discovered|accept|forget`: machines that nobody has enrolled, found by their boot or by a scan for BMCs. */
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import type { TimelineEvent } from '../event-sentences.ts';
import { asInput, readInput } from '../input-file.ts';
import { fields, table } from '../output.ts';
import { action } from '../program.ts';
import { timelineLines } from './node-timeline.ts';

const service = 'undercloud-boot';

interface Neighbour {
  chassis: string | null;
  port: string | null;
  system: string | null;
}

interface Candidate {
  id: string;
  source: 'boot' | 'bmc-scan';
  state: 'booting' | 'reported';
  mac: string | null;
  macs: string[];
  vendor: string | null;
  product: string | null;
  serial: string | null;
  boot_mode: string | null;
  bmc_address: string | null;
  has_credentials: boolean;
  neighbours: Record<string, Neighbour>;
  first_seen: string;
  last_seen: string;
  inventory?: {
    cpu?: { count?: number; model_name?: string };
    memory?: { physical_mb?: number };
    disks?: { name?: string; size?: number }[];
  } | null;
  events?: TimelineEvent[];
}

const at = (candidate: string): string => `/v1/candidates/${encodeURIComponent(candidate)}`;
const shortId = (one: Candidate): string => one.id.slice(0, 8);
const model = (one: Candidate): string => [one.vendor, one.product].filter(Boolean).join(' ') || '?';
const places = (one: Candidate): string =>
  Object.entries(one.neighbours)
    .map(([card, { system, chassis, port }]) => `${card}: ${system ?? chassis ?? '?'} ${port ?? ''}`.trim())
    .join(', ');

/** What keeps it from being a node, in a word. */
const remark = (one: Candidate): string => {
  if (one.state === 'booting') return 'boots the ramdisk; its inventory is awaited';
  if (one.mac === null) return 'only its BMC is known: boot it from the network';
  if (one.has_credentials) return 'ready: the credentials of its BMC are known';
  return one.bmc_address === null ? 'accept it with the address of its BMC' : 'accept it with credentials';
};

export function nodeDiscoveredCommands(node: Command): void {
  node
    .command('discovered')
    .argument('[candidate]', 'one in full: its id (or the beginning), MAC, or BMC address')
    .description(
      'machines that are no nodes yet: what booted into discovery, and BMCs that a scan has found; one in full, with what it did',
    )
    .action(
      action(async (session, candidate: string | undefined) => {
        const cloud = await session.cloud();
        if (candidate !== undefined) {
          const one = await cloud.get<Candidate>(service, at(candidate));
          const { inventory } = one;
          const disks = (inventory?.disks ?? []).map((disk) => `${disk.name} ${Math.round((disk.size ?? 0) / 1e9)} GB`);
          session.output.result(one, () => [
            ...fields([
              ['candidate', one.id],
              ['found by', one.source === 'boot' ? 'its boot from the network' : 'a scan for BMCs'],
              ['is', model(one)],
              ['serial', one.serial],
              ['boots', one.boot_mode],
              ['MACs', one.macs.join(', ') || one.mac],
              ['BMC', one.bmc_address],
              ['switches', places(one) || null],
              [
                'CPUs',
                inventory?.cpu?.count === undefined ? null : `${inventory.cpu.count} × ${inventory.cpu.model_name}`,
              ],
              ['memory', inventory?.memory?.physical_mb === undefined ? null : `${inventory.memory.physical_mb} MB`],
              ['disks', disks.join(', ') || null],
              ['first seen', one.first_seen],
              ['last seen', one.last_seen],
              ['next', remark(one)],
            ]),
            '',
            ...timelineLines((one.events ?? []).filter(({ kind }) => kind !== 'http.progress')),
          ]);
          return undefined;
        }
        const { candidates } = await cloud.get<{ candidates: Candidate[] }>(service, '/v1/candidates');
        session.output.result(candidates, () =>
          candidates.length === 0
            ? 'Nothing was discovered. Machines are discovered where the policy says so (`undercloud bootstrap --discover`), BMCs by `undercloud bmc scan`.'
            : table(
                ['candidate', 'is', 'MAC', 'BMC', 'switch', 'last seen', ''],
                candidates.map((one) => [
                  shortId(one),
                  model(one),
                  one.mac,
                  one.bmc_address,
                  places(one),
                  one.last_seen.slice(0, 16).replace('T', ' '),
                  remark(one),
                ]),
              ),
        );
        return undefined;
      }),
    );

  node
    .command('accept')
    .argument('<candidate>', 'its id (or the beginning of it), MAC, or BMC address')
    .option('--name <name>', 'what the node is to be called')
    .option('--address <address>', 'of its BMC, where the machine could not tell')
    .option('--port <port>', 'of its BMC (default 623)')
    .option('--username <user>', 'of its BMC, where no scan has found credentials that work')
    .option('--password <password>', 'seen by everybody who lists processes: rather use --password-file')
    .option('--password-file <file>', 'a file whose first line is the password')
    .option('--resource-class <class>', 'what servers ask for')
    .option('--no-provide', 'stop at `manageable`: verified, but not given to anybody')
    .description('make a node of a discovered machine; its BMC is verified like that of any node')
    .action(
      action(async (session, candidate: string, flags: AcceptFlags) => {
        const cloud = await session.cloud();
        const port = flags.port === undefined ? undefined : Number(flags.port);
        if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536))
          throw fault('usage', { reason: `--port is a number from 1 to 65535, not ${flags.port}.` });
        const password = flags.passwordFile
          ? readInput(flags.passwordFile).toString('utf8').split(/\r?\n/)[0]
          : flags.password;
        const { body } = await asInput(
          cloud.request<{ node: { uuid: string; name: string | null } }>('POST', service, `${at(candidate)}/accept`, {
            body: {
              ...(flags.name !== undefined && { name: flags.name }),
              ...(flags.address !== undefined && { address: flags.address }),
              ...(port !== undefined && { port }),
              ...(flags.username !== undefined && { username: flags.username }),
              ...(password !== undefined && { password }),
              ...(flags.resourceClass !== undefined && { resource_class: flags.resourceClass }),
              provide: flags.provide,
            },
          }),
        );
        const name = body.node.name ?? body.node.uuid;
        session.output.result(
          body.node,
          () => `Enrolled as ${name}; its BMC is being verified: \`undercloud node show ${name}\`.`,
        );
        return undefined;
      }),
    );

  node
    .command('forget')
    .argument('<candidate>', 'its id (or the beginning of it), MAC, or BMC address')
    .description('drop a candidate and the address that was kept for it; its next boot discovers it anew')
    .action(
      action(async (session, candidate: string) => {
        const cloud = await session.cloud();
        await cloud.request('DELETE', service, at(candidate));
        session.output.result({ candidate, forgotten: true }, () => `${candidate}: forgotten`);
        return undefined;
      }),
    );
}

interface AcceptFlags {
  name?: string;
  address?: string;
  port?: string;
  username?: string;
  password?: string;
  passwordFile?: string;
  resourceClass?: string;
  provide: boolean;
}
