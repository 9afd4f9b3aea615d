/**
 * baremetal.deploy: an image onto a node's disk, and the node into it.
 *
 * deploying → the machine is switched off, told to boot from the network and switched on → wait call-back, until the agent
 * has spoken → deploying: the agent writes image and config drive and enters the boot loader; disk becomes the boot
 * device; the machine goes over into the written system, by kexec where image and node allow it, else by power off and
 * on → active. A failure ends in `deploy failed` with the machine off: `active` tries again, `deleted` takes it back.
 */
import { Fault, fault } from '../../core/errors/index.ts';
import {
  defineOperation,
  done,
  minutes,
  type Operation,
  type Run,
  seconds,
  waitFor,
} from '../../core/operations/index.ts';
import { type CommandResult, type ImageBytes, readImageBytes } from '../../ipa/index.ts';
import { nodeForAgent, portForAgent } from '../agent.ts';
import { fire, intend, requireNode } from '../change.ts';
import type { Ground } from '../ground.ts';
import { allowsKexec } from '../hand-over.ts';
import type { DeployInfo } from '../image.ts';
import { type Preserve, preserveOf } from '../preserve.ts';
import { agentStep } from '../steps/agent.ts';
import { leaveAgent } from '../steps/leave.ts';
import { bootDisk, powerStep } from '../steps/power.ts';
import { agentSession } from '../steps/session.ts';
import { configDriveOf, forgetAgent } from '../store/agents.ts';
import { patchNode } from '../store/nodes.ts';
import { listPorts } from '../store/ports.ts';
import { failNode } from './ending.ts';

export interface DeployParams {
  readonly imageId: string;
  readonly kexec: boolean;
  readonly [key: string]: string | boolean;
}

/** s that the image's URLs hold: longer than the write's own deadline. */
const urlSeconds = 4 * 3600;
const gib = 2 ** 30;

export const configDriveOwner = (uuid: string): string => `node ${uuid} config drive`;

const tryAgain = 'Correct it, then deploy again (`active`) or take the node back (`deleted`).';

/** Where the request, the image and the node allow it. */
async function wantsKexec(ground: Ground, run: Run<DeployParams>): Promise<boolean> {
  const possible = (run.results.validate as { kexec?: boolean } | undefined)?.kexec === true;
  if (!run.params.kexec || !possible) return false;
  const node = await requireNode(ground.house.db, run.subject.id);
  return allowsKexec(node);
}

function imageInfo(
  imageId: string,
  uuid: string,
  info: DeployInfo,
  configDrive: string | null,
  preserve: Preserve | null,
): Record<string, unknown> {
  return {
    id: info.id ?? imageId,
    urls: [info.stream_url],
    disk_format: info.disk_format,
    container_format: 'bare',
    stream_raw_images: true,
    os_hash_algo: info.os_hash_algo,
    os_hash_value: info.os_hash_value,
    node_uuid: uuid,
    ...(configDrive !== null && { configdrive: configDrive }),
    ...(info.manifest && { manifest: info.manifest }),
    ...(preserve && { preserve }),
    ...(info.index_url !== undefined && {
      chunks: {
        index_url: info.index_url,
        index_sha256: info.index_sha256,
        objects: info.objects ?? {},
        compare: 'auto',
        ...(info.neighbours_url !== undefined && { neighbours_url: info.neighbours_url }),
      },
    }),
  };
}

/** What the agent says of an image that came in chunks; a stock agent says nothing of the kind. */
function writtenBytes(result: CommandResult | null): ImageBytes | null {
  const step = result?.command_result?.deploy_result;
  if (typeof step !== 'object' || step === null || Array.isArray(step) || !step.bytes) return null;
  return readImageBytes(step.bytes, 'deploy_result.bytes');
}

const startSystem = (ground: Ground) =>
  powerStep<DeployParams>(ground, {
    name: 'start-system',
    title: 'start the written system',
    target: 'on',
    // After kexec the machine is on already, and the look ends at once.
    undo: { none: 'the machine is switched off by an earlier step’s undo' },
  });

const ending = (ground: Ground): Pick<Operation<DeployParams>, 'succeeded' | 'failed'> => ({
  async succeeded(run, tx) {
    await forgetAgent(tx, run.subject.id);
    await intend(ground, tx, run.subject.id, 'disk', 'active: its system is on its disk');
    await fire(ground, tx, run.subject.id, 'done', {
      cause: 'deploy',
      with: { lastError: null, deployStep: {}, used: true },
    });
  },
  failed: (run, error, tx) => failNode(ground, run, error, tx, 'deploy'),
});

export function deployOperation(ground: Ground): Operation<DeployParams> {
  return defineOperation<DeployParams>({
    kind: 'baremetal.deploy',
    definition: 1,
    title: 'deploy',
    steps: [
      {
        name: 'validate',
        title: 'check node and image',
        // As long as an image's conversion may take.
        deadlineMs: minutes(360),
        async do(run) {
          const node = await requireNode(ground.house.db, run.subject.id);
          const refuse = (reason: string, remedy: string) =>
            fault('deploy-invalid', { node: node.name ?? node.uuid, reason, remedy });
          if (run.params.imageId === '')
            throw refuse('instance_info names no image.', 'Set instance_info/image_source to an image’s name or id.');
          preserveOf(node);
          const ports = await listPorts(ground.house.db, { nodeUuid: node.uuid });
          if (!ports.some(({ pxeEnabled }) => pxeEnabled))
            throw refuse(
              'it has no port that boots from the network.',
              `Enrol its MAC: baremetal port create --node ${node.uuid} MAC`,
            );
          const info = await ground.images.deployInfo(run.params.imageId, { ttl: urlSeconds }).catch((error: Error) => {
            if (error instanceof Fault && error.code === 'image-converting') return null;
            throw error;
          });
          if (!info)
            return waitFor({
              on: `image ${run.params.imageId} to be converted to a raw disk`,
              remedy: 'It takes some seconds a GiB; see `undercloud image show`.',
              recheckMs: seconds(2),
            });
          const localGb = Number(node.properties.local_gb ?? 0);
          // An inspected local_gb is one less than the disk has; the agent knows the truth in the end.
          if (localGb > 0 && info.size > (localGb + 1) * gib)
            throw refuse(
              `the image ${info.name} needs ${info.size} bytes and the disk has ${localGb} GiB.`,
              'Take a smaller image or another node.',
            );
          return done({ image: info.name, size: info.size, kexec: info.kexec !== undefined });
        },
        undo: { none: 'looking changes nothing' },
      },
      ...agentSession<DeployParams>(ground, {
        reason: 'deploying: the agent is awaited',
        working: 'deploying',
        waiting: 'wait call-back',
      }),
      agentStep<DeployParams>(ground, {
        name: 'write-image',
        title: 'write the image to the disk',
        deadlineMs: minutes(60),
        undo: { none: 'the next image overwrites it' },
        remedy: tryAgain,
        async command(run, node) {
          // Asked for anew at each start: signed URLs expire.
          const info = await ground.images.deployInfo(run.params.imageId, { ttl: urlSeconds });
          const sealed = await configDriveOf(ground.house.db, node.uuid);
          const configDrive = sealed === null ? null : ground.house.secrets.open(sealed, configDriveOwner(node.uuid));
          const ports = await listPorts(ground.house.db, { nodeUuid: node.uuid });
          return {
            command: 'deploy.execute_deploy_step',
            params: {
              step: {
                interface: 'deploy',
                step: 'write_image',
                args: { image_info: imageInfo(run.params.imageId, node.uuid, info, configDrive, preserveOf(node)) },
              },
              node: nodeForAgent(node),
              ports: ports.map(portForAgent),
            },
          };
        },
        async commit(run, tx, result) {
          await patchNode(tx, run.subject.id, { used: true });
          const bytes = writtenBytes(result);
          if (bytes) run.emit('node.image-written', bytes);
        },
      }),
      agentStep<DeployParams>(ground, {
        name: 'boot-loader',
        title: 'enter the boot loader',
        deadlineMs: minutes(5),
        undo: { none: 'the next deploy enters its own' },
        remedy: tryAgain,
        lookMs: 250,
        command: async () => ({ command: 'image.install_bootloader', params: { label: 'undercloud' } }),
      }),
      bootDisk<DeployParams>(ground, { name: 'disk-first' }),
      agentStep<DeployParams>(ground, {
        name: 'kexec',
        title: 'start the written system by kexec',
        deadlineMs: minutes(5),
        when: (run) => wantsKexec(ground, run),
        undo: { none: 'the machine is switched off by an earlier step’s undo' },
        remedy: 'Deploy without kexec: the machine then goes through its firmware.',
        leaves: true,
        lookMs: 250,
        async command(run) {
          const info = await ground.images.deployInfo(run.params.imageId, { ttl: urlSeconds });
          return { command: 'standby.run_image', params: { kexec: info.kexec } };
        },
      }),
      leaveAgent<DeployParams>(ground, {
        name: 'leave-agent',
        when: async (run) => !(await wantsKexec(ground, run)),
      }),
      startSystem(ground),
    ],
    ...ending(ground),
  });
}

/** Machines that are not there (deploy interface `fake`): switched on, and active. */
export function deployWithoutAgentOperation(ground: Ground): Operation<DeployParams> {
  return defineOperation<DeployParams>({
    kind: 'baremetal.deploy-without-agent',
    definition: 1,
    title: 'deploy',
    steps: [startSystem(ground)],
    ...ending(ground),
  });
}
