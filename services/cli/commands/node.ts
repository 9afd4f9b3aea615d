/** `undercloud node`: the machines, over the API like any other client. */
import type { Command } from 'commander';
import { fault, toFault } from '../../core/errors/index.ts';
import type { Client } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { doingText, type NodeActivity, nodeActivity, nodeRow } from '../node-activity.ts';
import { fields, table } from '../output.ts';
import { action } from '../program.ts';
import { inParallel, watch } from '../watch.ts';
import { nodeConsoleCommand } from './node-console.ts';
import { nodeDiscoveredCommands } from './node-discovered.ts';
import { nodeHardwareCommands } from './node-hardware.ts';
import { nodeImportCommand } from './node-import.ts';
import { nodePowerCommands } from './node-power.ts';
import { nodeTimelineCommand } from './node-timeline.ts';

interface Node {
  uuid: string;
  name: string | null;
  provision_state: string;
  target_provision_state?: string | null;
  power_state: string | null;
  maintenance: boolean;
  maintenance_reason?: string | null;
  instance_uuid: string | null;
  reservation?: string | null;
  last_error?: string | null;
  driver?: string;
  driver_info?: Record<string, unknown>;
  resource_class?: string | null;
  properties?: Record<string, unknown>;
}

const at = (node: string): string => `/v1/nodes/${encodeURIComponent(node)}`;
const listFields =
  'uuid,name,provision_state,power_state,maintenance,maintenance_reason,instance_uuid,reservation,last_error';
const parallelLooks = 16;

export function nodeCommands(program: Command): void {
  const node = program.command('node').description('the machines: enrol, look, power, boot');
  nodeImportCommand(node);
  nodeDiscoveredCommands(node);
  listCommand(node);
  showCommand(node);
  nodePowerCommands(node);
  nodeHardwareCommands(node);
  nodeTimelineCommand(node);
  verbCommands(node);
  maintenanceCommand(node);
  nodeConsoleCommand(node);
  deleteCommand(node);
}

/** What a list says beside the state: what it waits on, or what went wrong. */
function remark(node: Node, activity: NodeActivity | undefined): string {
  if (activity?.now) {
    const { text, clock } = doingText(activity.now, Date.now());
    return clock ? `${text} (${clock})` : text;
  }
  if (node.maintenance) return `maintenance${node.maintenance_reason ? `: ${node.maintenance_reason}` : ''}`;
  return node.last_error ?? '';
}

function listCommand(node: Command): void {
  node
    .command('list')
    .description('all nodes, with what each waits on')
    .action(
      action(async (session) => {
        const cloud = await session.cloud();
        const nodes = await cloud.list<Node>('baremetal', `/v1/nodes?fields=${listFields}`, 'nodes');
        const busy = nodes.filter((one) => one.reservation);
        const activities = new Map(
          await inParallel(
            busy,
            parallelLooks,
            async (one) => [one.uuid, await nodeActivity(cloud, one.uuid)] as const,
          ),
        );
        session.output.result(
          nodes.map((one) => ({ ...one, activity: activities.get(one.uuid)?.now ?? null })),
          () =>
            nodes.length === 0
              ? 'There are no nodes; `undercloud node import FILE` enrols some.'
              : table(
                  ['name', 'uuid', 'state', 'power', 'server', ''],
                  nodes.map((one) => [
                    one.name,
                    one.uuid,
                    one.provision_state,
                    one.power_state?.replace('power ', ''),
                    one.instance_uuid,
                    remark(one, activities.get(one.uuid)) || ' ',
                  ]),
                ),
        );
        return undefined;
      }),
    );
}

function showCommand(node: Command): void {
  node
    .command('show')
    .argument('<node>', 'name or uuid')
    .description('a node in full: state, hardware, BMC, ports, what it waits on')
    .action(
      action(async (session, name: string) => {
        const cloud = await session.cloud();
        const one = await cloud.get<Node>('baremetal', at(name));
        const [activity, ports] = await Promise.all([
          nodeActivity(cloud, one.uuid),
          cloud.list<{ address: string }>('baremetal', `/v1/ports?node=${one.uuid}`, 'ports'),
        ]);
        const info = one.driver_info ?? {};
        const address = Object.entries(info).find(([key]) => key.endsWith('_address'))?.[1];
        const properties = Object.entries(one.properties ?? {}).map(([key, value]) => `${key} ${plain(value)}`);
        const doing = activity?.now ? doingText(activity.now, Date.now()) : null;
        session.output.result(
          { ...one, ports: ports.map((port) => port.address), activity: activity?.now ?? null },
          () =>
            fields([
              ['name', one.name],
              ['uuid', one.uuid],
              ['state', one.provision_state + (one.target_provision_state ? ` → ${one.target_provision_state}` : '')],
              ['doing', doing && `${doing.text}${doing.clock ? ` (${doing.clock})` : ''}`],
              ['power', one.power_state?.replace('power ', '')],
              ['maintenance', one.maintenance ? one.maintenance_reason || 'yes' : null],
              ['last error', one.last_error],
              ['server', one.instance_uuid],
              ['driver', one.driver],
              ['BMC', address === undefined ? null : plain(address)],
              ['MACs', ports.map((port) => port.address).join(', ')],
              ['resource class', one.resource_class],
              ['properties', properties.join(', ')],
            ]),
        );
        return undefined;
      }),
    );
}

const plain = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Ironic's verbs that an operator needs by hand, and the state each comes to rest in. */
const verbs = {
  manage: { ends: 'manageable', says: 'verify the BMC and make the node manageable' },
  provide: { ends: 'available', says: 'offer a manageable node for servers' },
  inspect: { ends: 'manageable', says: 'read the hardware of a manageable node by the agent' },
  clean: { ends: 'manageable', says: 'erase the partition tables of a manageable node by the agent' },
  abort: { ends: null, says: 'end what the node is at' },
  undeploy: { ends: 'available', says: 'take a deployed node back' },
} as const;
const restless = /ing$|wait$|^deleting/;

function verbCommands(node: Command): void {
  for (const [word, { ends, says }] of Object.entries(verbs)) {
    node
      .command(word)
      .argument('<node...>', 'names or uuids')
      .option('--no-wait', 'return as soon as it has begun')
      .description(says)
      .action(
        action(async (session, names: string[], flags: { wait: boolean }) => {
          const cloud = await session.cloud();
          const target = word === 'undeploy' ? 'deleted' : word;
          const body = {
            target,
            ...(word === 'clean' && { clean_steps: [{ interface: 'deploy', step: 'erase_devices_metadata' }] }),
          };
          const failures: string[] = [];
          for (const name of names) await cloud.request('PUT', 'baremetal', `${at(name)}/states/provision`, { body });
          session.goesOn('The nodes go on in the undercloud; `undercloud node list` shows how far they are.');
          if (!flags.wait) return undefined;
          const began = Date.now();
          const ended = await watch(session, async () => {
            const looks = await inParallel(names, parallelLooks, async (name) => look(cloud, name));
            return {
              rows: (now: number) =>
                looks.map(({ name, states, activity, resting }) => {
                  const failed = resting && ends !== null && states.provision_state !== ends;
                  const row = nodeRow(
                    { key: name, name, since: began },
                    activity,
                    resting ? states.provision_state : null,
                    now,
                  );
                  if (!resting) return row.state === 'running' ? row : { ...row, state: 'running' as const, text: '…' };
                  return failed
                    ? { ...row, state: 'failed' as const, text: states.last_error ?? `is ${states.provision_state}` }
                    : row;
                }),
              ...(looks.every(({ resting }) => resting) && { end: looks }),
            };
          });
          for (const { name, states } of ended ?? [])
            if (ends !== null && states.provision_state !== ends)
              failures.push(`${name}: ${states.last_error ?? `it is ${states.provision_state}`}`);
          session.output.result(
            (ended ?? []).map(({ name, states }) => ({
              node: name,
              provision_state: states.provision_state,
              error: states.last_error,
            })),
            () => (ended ?? []).map(({ name, states }) => `${name}  ${states.provision_state}`),
          );
          return failures.length > 0 ? exitCodes.failed : undefined;
        }),
      );
  }
}

async function look(cloud: Client, name: string) {
  const activity = await nodeActivity(cloud, name);
  const states = await cloud.get<Node>('baremetal', `${at(name)}/states`);
  return { name, activity, states, resting: !activity?.now && !restless.test(states.provision_state) };
}

function maintenanceCommand(node: Command): void {
  node
    .command('maintenance')
    .argument('<node>', 'name or uuid')
    .argument('<on|off>', 'on: no new server is put on it')
    .option('--reason <text>', 'why; shown wherever the node is')
    .description('take a node out of use, or bring it back')
    .action(
      action(async (session, name: string, onOff: string, flags: { reason?: string }) => {
        if (onOff !== 'on' && onOff !== 'off')
          throw fault('usage', { reason: `maintenance is on or off, not ${onOff}.` });
        const on = onOff === 'on';
        const cloud = await session.cloud();
        await cloud.request(on ? 'PUT' : 'DELETE', 'baremetal', `${at(name)}/maintenance`, {
          ...(on && { body: { reason: flags.reason ?? null } }),
        });
        session.output.result({ node: name, maintenance: on }, () => `${name}: maintenance ${onOff}`);
        return undefined;
      }),
    );
}

function deleteCommand(node: Command): void {
  node
    .command('delete')
    .argument('<node...>', 'names or uuids')
    .description('forget nodes; a node that carries a server must be taken back first')
    .action(
      action(async (session, names: string[]) => {
        const cloud = await session.cloud();
        const results = await inParallel(names, 4, async (name) => {
          try {
            await cloud.request('DELETE', 'baremetal', at(name));
            session.output.progress(`✔ ${name}: deleted`, { node: name, state: 'deleted' });
            return { node: name, deleted: true, error: null };
          } catch (error) {
            if (session.interrupted.aborted) throw error;
            const { message } = toFault(error);
            session.output.progress(`✘ ${name}: ${message}`, { node: name, state: 'failed' });
            return { node: name, deleted: false, error: message };
          }
        });
        if (session.output.json) session.output.result(results, () => '');
        return results.every((one) => one.deleted) ? exitCodes.ok : exitCodes.failed;
      }),
    );
}
