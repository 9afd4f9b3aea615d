/** Deletes a server: its node is taken back, its ports go, the row stays as DELETED. */
import { defineOperation, done, minutes, type Operation, seconds, waitFor } from '../../core/operations/index.ts';
import type { Desk } from '../desk.ts';
import { serverSubject } from '../model.ts';
import { unplug } from './build.ts';

export type DeleteParams = { readonly server: string };

const nothingToUndo = { none: 'a deletion goes forward only' } as const;
const lookEvery = seconds(5);

export function deleteOperation(desk: Desk): Operation<DeleteParams> {
  return defineOperation<DeleteParams>({
    kind: 'compute.delete',
    definition: 1,
    title: 'delete the server',
    steps: [
      {
        name: 'take-node-back',
        title: 'take the node back',
        deadlineMs: minutes(240),
        async do(run) {
          const server = await desk.server(run.params.server);
          const nodeId = server.node_id;
          const node = nodeId ? await desk.baremetal.findNode(run.context, nodeId).catch(() => null) : null;
          if (!node || node.instanceUuid !== server.id) return done();
          const { activity } = await desk.baremetal.activity(node.uuid);
          const going = activity?.waiting?.on ?? activity?.title;
          if (!going) {
            if (node.provisionState === 'available')
              await run.transaction((tx) => desk.baremetal.release(tx, node.uuid));
            else await run.transaction((tx) => desk.baremetal.undeploy(tx, run.context, node.uuid));
          }
          return waitFor({
            on: `node ${server.node_name} to be taken back${going ? `: ${going}` : ''}`,
            remedy: activity?.waiting?.remedy ?? `See \`undercloud node timeline ${server.node_name}\`.`,
            recheckMs: lookEvery,
          });
        },
        undo: nothingToUndo,
      },
      {
        name: 'unplug-ports',
        title: 'take its ports away',
        deadlineMs: minutes(1),
        async do(run) {
          await unplug(desk, await desk.server(run.params.server), run.context, run.transaction);
          return done();
        },
        undo: nothingToUndo,
      },
    ],
    async succeeded(run, tx) {
      const server = await desk.server(run.params.server);
      await desk.setStatus(tx, server, 'DELETED', null, { deleted_at: new Date(desk.house.clock.now()) });
      await desk.house.recorder.append(tx, 'server.deleted', serverSubject(server.id), {
        name: server.name,
        node: server.node_name,
      });
    },
    async failed(run, error, tx) {
      const server = await desk.server(run.params.server);
      const told = {
        code: error.status,
        message: error.message,
        created: new Date(desk.house.clock.now()).toISOString(),
      };
      await desk.setStatus(tx, server, 'ERROR', null, { fault: told });
    },
  });
}
