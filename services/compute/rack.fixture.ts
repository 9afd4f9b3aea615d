/** Baremetal as far as compute sees it, in memory: nodes that deploy at once, or when they are told to. For tests. */
import type { Baremetal, DeployRequest, Node } from '../baremetal/index.ts';
import { fault } from '../core/errors/index.ts';

export interface Rack {
  readonly baremetal: Baremetal;
  readonly nodes: Map<string, Node>;
  /** What deploys were asked for, in their order. */
  readonly requests: DeployRequest[];
  /** What the next deploys end in. */
  outcome: 'active' | 'deploy failed' | 'hangs';
  /** Told of a node that has another state, with the server that it has or had: baremetal's events do it. */
  changed(server: string): void;
}

export function createRack(names: readonly string[]): Rack {
  const nodes = new Map<string, Node>();
  for (const [index, name] of names.entries()) {
    const uuid = `00000000-0000-4000-8000-00000000000${index + 1}`;
    nodes.set(uuid, {
      uuid,
      name,
      instanceUuid: null,
      provisionState: 'available',
      lastError: null,
      resourceClass: 'baremetal',
    } as Node);
  }
  const change = (uuid: string, fields: Partial<Node>) => {
    const before = nodes.get(uuid) as Node;
    nodes.set(uuid, { ...before, ...fields });
    if (before.instanceUuid) rack.changed(before.instanceUuid);
  };
  const rack: Rack = {
    nodes,
    requests: [],
    outcome: 'active',
    changed() {},
    baremetal: {
      async claim(_tx: unknown, wanted: { serverId: string }) {
        const mine = [...nodes.values()].find((node) => node.instanceUuid === wanted.serverId);
        const free =
          mine ?? [...nodes.values()].find((node) => !node.instanceUuid && node.provisionState === 'available');
        if (!free) throw fault('no-valid-host', { total: nodes.size });
        change(free.uuid, { instanceUuid: wanted.serverId });
        return nodes.get(free.uuid) as Node;
      },
      async release(_tx: unknown, uuid: string) {
        change(uuid, { instanceUuid: null });
      },
      async findNode(_context: unknown, key: string) {
        const node = nodes.get(key) ?? [...nodes.values()].find((one) => one.name === key);
        if (!node) throw fault('node-not-found', { node: key });
        return node;
      },
      portsOf: async (uuid: string) => [
        { id: 1, nodeUuid: uuid, address: `52:54:00:00:00:0${uuid.at(-1)}`, pxeEnabled: true },
      ],
      async deploy(tx: { afterCommit(fn: () => void): void }, _context: unknown, uuid: string, request: DeployRequest) {
        rack.requests.push(request);
        tx.afterCommit(() => {
          const failed = rack.outcome === 'deploy failed';
          change(uuid, {
            provisionState: rack.outcome === 'hangs' ? 'wait call-back' : rack.outcome,
            ...(failed && { lastError: 'the disk is too small' }),
          });
        });
        return 'operation';
      },
      async undeploy(tx: { afterCommit(fn: () => void): void }, _context: unknown, uuid: string) {
        tx.afterCommit(() => change(uuid, { provisionState: 'available', instanceUuid: null }));
        return 'operation';
      },
      async activity(uuid: string) {
        const waits = nodes.get(uuid)?.provisionState === 'wait call-back';
        return {
          busy: waits,
          last: null,
          activity: waits
            ? { title: 'deploy', waiting: { on: 'the agent’s first heartbeat', remedy: 'Look at its console.' } }
            : null,
        };
      },
    } as unknown as Baremetal,
  };
  return rack;
}
