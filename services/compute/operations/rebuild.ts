/** Writes another image to a server's node: Nova's rebuild. Name, ports and addresses stay; what was on the disk does not. */
import { defineOperation, done, minutes, type Operation } from '../../core/operations/index.ts';
import type { Desk } from '../desk.ts';
import { awaitDeploy, deployEnds, deployRequest } from './deploy.ts';

export type RebuildParams = { readonly server: string; readonly preserveEphemeral: boolean };

const nothingToUndo = {
  none: 'what was on the disk is gone; the server is in error and may be rebuilt again',
} as const;

export function rebuildOperation(desk: Desk): Operation<RebuildParams> {
  return defineOperation<RebuildParams>({
    kind: 'compute.rebuild',
    definition: 1,
    title: 'rebuild the server',
    steps: [
      {
        name: 'start-deploy',
        title: 'hand the image to the node',
        deadlineMs: minutes(2),
        async do(run) {
          const server = await desk.server(run.params.server);
          const request = {
            ...(await deployRequest(desk, server, run.context)),
            rebuild: true,
            instanceInfo: { preserve_ephemeral: run.params.preserveEphemeral },
          };
          return done(null, async (tx) => {
            await desk.baremetal.deploy(tx, run.context, server.node_id ?? '', request);
          });
        },
        undo: nothingToUndo,
      },
      awaitDeploy(desk, nothingToUndo),
    ],
    ...deployEnds(desk),
  });
}
