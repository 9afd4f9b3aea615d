/** What building and rebuilding share: the node's own deploy, asked for and waited for, and what its end means for the server. */
import type { DeployRequest } from '../../baremetal/index.ts';
import type { Context } from '../../core/context.ts';
import { fault } from '../../core/errors/index.ts';
import { done, minutes, type Operation, type Step, seconds, waitFor } from '../../core/operations/index.ts';
import { configDrive } from '../config-drive.ts';
import type { Desk } from '../desk.ts';
import { asksForKexec } from '../hand-over.ts';
import type { Server } from '../model.ts';

/** The deploy has deadlines of its own for each step; this one only catches a deploy that nobody drives. */
const deployDeadline = minutes(240);
export const lookEvery = seconds(5);

interface OfServer {
  readonly server: string;
}

export async function deployRequest(desk: Desk, server: Server, context: Context): Promise<DeployRequest> {
  const drive = server.config_drive ? await configDrive(await desk.facts(server, context)) : undefined;
  const kexec = asksForKexec({ name: server.name, hints: server.hints, specs: server.flavor.extra_specs });
  return {
    imageId: server.image_id,
    serverId: server.id,
    ...(kexec !== null && { kexec }),
    ...(drive && { configDrive: drive }),
  };
}

export const awaitDeploy = <Params extends OfServer>(desk: Desk, undo: Step<Params>['undo']): Step<Params> => ({
  name: 'await-deploy',
  title: 'wait for the node’s deploy',
  deadlineMs: deployDeadline,
  async do(run) {
    const server = await desk.server(run.params.server);
    const node = await desk.baremetal.findNode(run.context, server.node_id ?? '');
    if (node.provisionState === 'active') return done();
    const { activity } = await desk.baremetal.activity(node.uuid);
    if (!activity && node.provisionState !== 'deploying' && node.provisionState !== 'wait call-back') {
      throw fault('deploy-failed', {
        node: server.node_name,
        server: server.name,
        reason: node.lastError ?? `it is in state ${node.provisionState}`,
      });
    }
    const what = activity?.waiting?.on ?? activity?.title ?? 'its deploy to begin';
    return waitFor({
      on: `node ${server.node_name}: ${what}`,
      remedy: activity?.waiting?.remedy ?? `See \`undercloud node timeline ${server.node_name}\`.`,
      recheckMs: lookEvery,
    });
  },
  undo,
});

export const deployEnds = <Params extends OfServer>(
  desk: Desk,
): Required<Pick<Operation<Params>, 'succeeded' | 'failed'>> => ({
  async succeeded(run, tx) {
    const server = await desk.server(run.params.server);
    await desk.setStatus(tx, server, 'ACTIVE', null, { launched_at: new Date(desk.house.clock.now()), fault: null });
  },
  async failed(run, error, tx) {
    const server = await desk.server(run.params.server);
    // Asked for its deletion meanwhile: that goes on (see servers.ts), and the failure is what was wanted.
    const task = server.task_state === 'deleting' ? 'deleting' : null;
    const told = {
      code: error.status,
      message: error.message,
      created: new Date(desk.house.clock.now()).toISOString(),
    };
    await desk.setStatus(tx, server, 'ERROR', task, { fault: told });
  },
});
