/** Builds a server: an image on a node for a tenant. The node's own deploy does the work; this joins node, ports and image. */
import type { Tx } from '../../core/database/index.ts';
import { fault } from '../../core/errors/index.ts';
import { defineOperation, done, minutes, type Operation } from '../../core/operations/index.ts';
import type { Desk } from '../desk.ts';
import type { NetworkWish, Server } from '../model.ts';
import { updateServer } from '../store.ts';
import { awaitDeploy, deployEnds, deployRequest, lookEvery } from './deploy.ts';

export type BuildParams = { readonly server: string };

/** How long the undo waits for the node to come back before it leaves that to the node's own operation. */
const comeBackMs = minutes(10);

export function buildOperation(desk: Desk): Operation<BuildParams> {
  return defineOperation<BuildParams>({
    kind: 'compute.build',
    definition: 1,
    title: 'build the server',
    steps: [
      {
        name: 'choose-node',
        title: 'choose a node',
        deadlineMs: minutes(1),
        async do(run) {
          const server = await desk.server(run.params.server);
          if (server.node_id) return done({ node: server.node_id });
          const flavor = server.flavor.extra_specs;
          const wanted = await run.transaction(async (tx) => {
            const hint = server.hints.node;
            const node = await desk.baremetal.claim(tx, {
              ...classOf(flavor),
              capabilities: capabilitiesOf(flavor),
              traits: traitsOf(flavor),
              projectId: server.project_id,
              serverId: server.id,
              serverName: server.name,
              ...(hint && { nodeId: (await desk.baremetal.findNode(run.context, hint)).uuid }),
            });
            await desk.setStatus(tx, server, 'BUILD', 'networking', {
              node_id: node.uuid,
              node_name: node.name ?? node.uuid,
            });
            return node;
          });
          return done({ node: wanted.uuid });
        },
        async undo(run) {
          const server = await desk.server(run.params.server);
          const nodeId = server.node_id;
          if (!nodeId) return;
          await run.transaction(async (tx) => {
            const node = await desk.baremetal.findNode(run.context, nodeId).catch(() => null);
            if (node?.instanceUuid === server.id) await desk.baremetal.release(tx, nodeId);
            await updateServer(tx, server.id, { node_id: null });
          });
        },
      },
      {
        name: 'plug-ports',
        title: 'give it ports and addresses',
        deadlineMs: minutes(1),
        async do(run) {
          const server = await desk.server(run.params.server);
          const have = await desk.network.portsOf(server.id);
          if (have.length >= server.networks.length && have.every((port) => port.nodeId))
            return done(have.map((port) => port.id));
          const cards = (await desk.baremetal.portsOf(server.node_id ?? '')).sort(
            (a, b) => Number(b.pxeEnabled) - Number(a.pxeEnabled) || a.id - b.id,
          );
          if (cards.length < server.networks.length) {
            throw fault('node-without-port', {
              node: server.node_name,
              server: server.name,
              ports: cards.length,
              wanted: server.networks.length,
            });
          }
          const ids = await run.transaction(async (tx) => {
            const made: string[] = [];
            for (const [index, wish] of server.networks.entries()) {
              const device = { deviceId: server.id, deviceOwner: 'compute:nova' };
              const port = wish.port
                ? await desk.network.updatePort(run.context, wish.port, device, tx)
                : await desk.network.createPort(
                    run.context,
                    {
                      networkId: wish.network ?? '',
                      projectId: server.project_id,
                      ...device,
                      ...addressOf(wish),
                      dnsName: server.name,
                    },
                    tx,
                  );
              const card = cards[index];
              if (card) await desk.network.bindPort(tx, port.id, { nodeId: card.nodeUuid, mac: card.address });
              made.push(port.id);
            }
            await desk.setStatus(tx, server, 'BUILD', 'spawning');
            return made;
          });
          return done(ids);
        },
        async undo(run) {
          const server = await desk.server(run.params.server);
          await unplug(desk, server, run.context, run.transaction);
        },
      },
      {
        name: 'start-deploy',
        title: 'hand the image to the node',
        deadlineMs: minutes(2),
        async do(run) {
          const server = await desk.server(run.params.server);
          const request = await deployRequest(desk, server, run.context);
          return done(null, async (tx) => {
            await desk.baremetal.deploy(tx, run.context, server.node_id ?? '', request);
          });
        },
        async undo(run) {
          const server = await desk.server(run.params.server);
          const nodeId = server.node_id;
          if (!nodeId) return;
          const until = desk.house.clock.now() + comeBackMs;
          let asked = false;
          while (desk.house.clock.now() < until && !run.signal.aborted) {
            const node = await desk.baremetal.findNode(run.context, nodeId).catch(() => null);
            if (!node || node.instanceUuid !== server.id || node.provisionState === 'available') return;
            if (!asked)
              asked = await run
                .transaction((tx) => desk.baremetal.undeploy(tx, run.context, nodeId))
                .then(
                  () => true,
                  () => false,
                );
            // The node's every change of state wakes this server.
            await run.pause(lookEvery);
          }
        },
      },
      awaitDeploy(desk, { none: 'the step before takes the node back' }),
    ],
    ...deployEnds(desk),
  });
}

/** Takes the server's ports off its node; those that the build made go, those that it was given stay with their owner. */
export async function unplug(
  desk: Desk,
  server: Server,
  context: Parameters<Desk['network']['deletePort']>[0],
  transaction: <T>(work: (tx: Tx) => Promise<T>) => Promise<T>,
): Promise<void> {
  const given = new Set(server.networks.flatMap((wish) => (wish.port ? [wish.port] : [])));
  const ports = await desk.network.portsOf(server.id);
  if (ports.length === 0) return;
  await transaction(async (tx) => {
    for (const port of ports) {
      await desk.network.unbindPort(tx, port.id);
      if (given.has(port.id)) await desk.network.updatePort(context, port.id, { deviceId: '', deviceOwner: '' }, tx);
      else await desk.network.deletePort(context, port.id, tx);
    }
  });
}

const addressOf = (wish: NetworkWish) => (wish.fixedIp ? { fixedIps: [{ ipAddress: wish.fixedIp }] } : {});

/** Placement's way to say the class: `resources:CUSTOM_BAREMETAL_GOLD = 1` is resource class `desk.baremetal.gold`. */
function classOf(specs: Readonly<Record<string, string>>): { resourceClass?: string } {
  const key = Object.keys(specs).find((name) => name.startsWith('resources:CUSTOM_') && Number(specs[name]) > 0);
  return key ? { resourceClass: key.slice('resources:CUSTOM_'.length).toLowerCase() } : {};
}

const capabilitiesOf = (specs: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(specs)
      .filter(([name]) => name.startsWith('capabilities:'))
      .map(([name, value]) => [name.slice('capabilities:'.length), value.replace(/^(s==|=) */, '')]),
  );

const traitsOf = (specs: Readonly<Record<string, string>>): string[] =>
  Object.entries(specs).flatMap(([name, value]) =>
    name.startsWith('trait:') && value === 'required' ? [name.slice('trait:'.length)] : [],
  );
