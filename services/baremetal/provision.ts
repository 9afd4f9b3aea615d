/** Verbs on a node: which operation each starts, checked against the table first; and verbs that wait for one to end. */
import { type Context, systemContext } from '../core/context.ts';
import type { Tx } from '../core/database/index.ts';
import { Fault, fault } from '../core/errors/index.ts';
import type { Operation } from '../core/operations/index.ts';
import { requireIdle, startOn } from './busy.ts';
import { fire, requireNode, usesAgent } from './change.ts';
import { interfaceOf } from './drivers.ts';
import { type Ground, nodeSubject } from './ground.ts';
import { prefersKexec } from './hand-over.ts';
import type { JsonObject } from './node.ts';
import { checkBmcOperation } from './operations/check-bmc.ts';
import { type CleanParams, cleanOperation } from './operations/clean.ts';
import { wantsCleaning } from './operations/cleaning.ts';
import {
  configDriveOwner,
  type DeployParams,
  deployOperation,
  deployWithoutAgentOperation,
} from './operations/deploy.ts';
import { inspectOperation } from './operations/inspect.ts';
import { type PowerParams, powerOperation } from './operations/power.ts';
import { rotatePasswordOperation } from './operations/rotate-password.ts';
import { undeployOperation } from './operations/undeploy.ts';
import { type VerifyParams, verifyOperation } from './operations/verify.ts';
import { nextState } from './states.ts';
import { keepConfigDrive } from './store/agents.ts';
import { type NodeRow, patchNode, pendingNodes } from './store/nodes.ts';
import { findVerb, powerActions } from './verbs.ts';

export interface NodeOperations {
  readonly verify: Operation<VerifyParams>;
  readonly power: Operation<PowerParams>;
  readonly deploy: Operation<DeployParams>;
  readonly deployWithoutAgent: Operation<DeployParams>;
  readonly undeploy: Operation<null>;
  readonly undeployAndErase: Operation<null>;
  readonly clean: Operation<CleanParams>;
  readonly inspect: Operation<null>;
  readonly checkBmc: Operation<null>;
  readonly rotatePassword: Operation<null>;
}

export const nodeOperations = (ground: Ground): NodeOperations => ({
  verify: verifyOperation(ground),
  power: powerOperation(ground),
  deploy: deployOperation(ground),
  deployWithoutAgent: deployWithoutAgentOperation(ground),
  undeploy: undeployOperation(ground, false),
  undeployAndErase: undeployOperation(ground, true),
  clean: cleanOperation(ground),
  inspect: inspectOperation(ground),
  checkBmc: checkBmcOperation(ground),
  rotatePassword: rotatePasswordOperation(ground),
});

export interface DeployRequest {
  readonly imageId: string;
  /** base64 of a gzipped ISO or FAT image. */
  readonly configDrive?: string;
  readonly serverId?: string;
  /** Start the written system by kexec where image and node allow it; absent: as the node says (hand-over.ts). */
  readonly kexec?: boolean;
  readonly instanceInfo?: JsonObject;
  /** `rebuild` keeps the instance of an active node. */
  readonly rebuild?: boolean;
}

export interface Provision {
  deploy(tx: Tx, context: Context, uuid: string, request: DeployRequest): Promise<string>;
  undeploy(tx: Tx, context: Context, uuid: string): Promise<string | null>;
  verify(tx: Tx, context: Context, uuid: string, params: VerifyParams): Promise<string>;
  verb(context: Context, uuid: string, verb: string, body: JsonObject): Promise<void>;
  power(context: Context, uuid: string, target: string, timeoutSeconds: number | null): Promise<void>;
  /** Verbs that waited for an operation which has ended. */
  takeUpPending(uuid?: string): Promise<void>;
}

/** Characters: Ironic's limit of 64 MiB, in base64. */
const configDriveMax = 96 * 1_048_576;

export function createProvision(ground: Ground, operations: NodeOperations): Provision {
  const { db, secrets } = ground.house;

  function requireEvent(node: NodeRow, verb: string): NonNullable<ReturnType<typeof findVerb>>['event'] {
    const row = findVerb(verb);
    if (!row || nextState(node.provisionState, row.event) === null)
      throw fault('node-verb-refused', { verb, node: node.uuid, state: node.provisionState });
    if (!row.carriedOut) throw fault('node-unsupported', { driver: node.driver, extension: verb });
    return row.event;
  }

  /** Ironic refuses these while an operator has taken the node aside. */
  function requireNoMaintenance(node: NodeRow, operation: string): void {
    if (node.maintenance) throw fault('node-maintenance', { node: node.uuid, operation });
  }

  async function deploy(tx: Tx, context: Context, uuid: string, request: DeployRequest): Promise<string> {
    const node = await requireNode(tx, uuid, true);
    const verb = request.rebuild ? 'rebuild' : 'active';
    const event = requireEvent(node, verb);
    requireNoMaintenance(node, verb);
    if (request.rebuild && node.protected) throw fault('node-protected', { node: uuid });
    if (request.configDrive !== undefined) {
      if (request.configDrive.length > configDriveMax)
        throw fault('bad-request', {
          reason: `The config drive of node ${uuid} has ${request.configDrive.length} characters, more than ${configDriveMax}.`,
        });
      await keepConfigDrive(tx, uuid, secrets.seal(request.configDrive, configDriveOwner(uuid)));
    }
    const imageId = request.imageId || String(node.instanceInfo.image_source ?? '');
    const operation = usesAgent(node) ? operations.deploy : operations.deployWithoutAgent;
    const kexec = request.kexec ?? prefersKexec(node);
    const id = await startOn(ground, tx, operation, uuid, { imageId, kexec }, context);
    await fire(ground, tx, uuid, event, {
      cause: verb,
      requestId: context.requestId,
      with: {
        lastError: null,
        instanceInfo: {
          ...node.instanceInfo,
          ...request.instanceInfo,
          ...(imageId !== '' && { image_source: imageId }),
        },
        ...(request.serverId !== undefined && { instanceUuid: request.serverId }),
      },
    });
    return id;
  }

  async function undeploy(tx: Tx, context: Context, uuid: string): Promise<string | null> {
    const node = await requireNode(tx, uuid, true);
    if (node.protected) throw fault('node-protected', { node: uuid });
    let id: string;
    try {
      const operation = wantsCleaning(ground, node) ? operations.undeployAndErase : operations.undeploy;
      id = await startOn(ground, tx, operation, uuid, null, context);
    } catch (error) {
      const kind = error instanceof Fault && error.code === 'node-busy' ? error.details.operation : null;
      if (kind === operations.undeploy.kind || kind === operations.undeployAndErase.kind) return null;
      if (kind !== operations.deploy.kind && kind !== operations.deployWithoutAgent.kind) throw error;
      // The deploy ends first, with its undos; then takeUpPending starts what was asked for.
      await patchNode(tx, uuid, { pendingVerb: 'deleted' });
      tx.afterCommit(() => {
        ground.house.operations.cancel(nodeSubject(uuid), 'the node is taken back').catch(() => {});
      });
      return null;
    }
    const event = requireEvent(node, 'deleted');
    await fire(ground, tx, uuid, event, {
      cause: 'deleted',
      requestId: context.requestId,
      with: { lastError: null, pendingVerb: null },
    });
    return id;
  }

  async function clean(tx: Tx, context: Context, node: NodeRow, verb: 'provide' | 'clean', body: JsonObject) {
    requireNoMaintenance(node, verb);
    const manual = verb === 'clean';
    const steps = Array.isArray(body.clean_steps) ? (body.clean_steps as JsonObject[]) : [];
    if (manual && steps.length !== 1)
      throw fault('bad-request', {
        reason:
          'clean_steps must name one step of the agent, such as [{"interface": "deploy", "step": "erase_devices_metadata"}].',
      });
    const step = steps[0] ?? {};
    const asked = { cause: verb, requestId: context.requestId };
    if (!manual && !wantsCleaning(ground, node)) {
      await fire(ground, tx, node.uuid, 'provide', { ...asked, with: { lastError: null } });
      await fire(ground, tx, node.uuid, 'done', asked);
      return;
    }
    const params: CleanParams = {
      manual,
      step: String(step.step ?? 'erase_devices_metadata'),
      interface: String(step.interface ?? 'deploy'),
    };
    await startOn(ground, tx, operations.clean, node.uuid, params, context);
    await fire(ground, tx, node.uuid, verb, {
      ...asked,
      target: manual ? 'manageable' : 'available',
      with: { lastError: null },
    });
  }

  async function abort(context: Context, node: NodeRow): Promise<void> {
    requireEvent(node, 'abort');
    const cancelled = await ground.house.operations.cancel(nodeSubject(node.uuid), 'abort was asked for');
    if (!cancelled)
      await db.transaction((tx) =>
        fire(ground, tx, node.uuid, 'abort', { cause: 'abort', requestId: context.requestId }),
      );
  }

  async function plainVerb(tx: Tx, context: Context, node: NodeRow, verb: string, body: JsonObject): Promise<void> {
    const { uuid } = node;
    const asked = { cause: verb, requestId: context.requestId };
    switch (verb) {
      case 'manage': {
        if (node.provisionState === 'enroll') {
          await startOn(ground, tx, operations.verify, uuid, { provide: false, removeOnFailure: false }, context);
          await fire(ground, tx, uuid, 'manage', { ...asked, with: { lastError: null } });
        } else await fire(ground, tx, uuid, 'manage', { ...asked, with: { lastError: null } });
        return;
      }
      case 'inspect': {
        requireNoMaintenance(node, verb);
        if (interfaceOf(node.driver, 'inspect', node.interfaces.inspect) === 'no-inspect')
          throw fault('node-unsupported', { driver: node.driver, extension: 'inspect' });
        if (!usesAgent(node)) {
          // A machine that is not there has nothing in it.
          await fire(ground, tx, uuid, 'inspect', asked);
          await fire(ground, tx, uuid, 'done', asked);
          return;
        }
        await startOn(ground, tx, operations.inspect, uuid, null, context);
        await fire(ground, tx, uuid, 'inspect', {
          ...asked,
          with: { lastError: null, inspectionStartedAt: new Date(), inspectionFinishedAt: null },
        });
        return;
      }
      case 'provide':
      case 'clean':
        return clean(tx, context, node, verb, body);
      default: {
        // adopt: its system runs already, and nobody touches it.
        await fire(ground, tx, uuid, 'adopt', asked);
        await fire(ground, tx, uuid, 'done', { ...asked, with: { lastError: null, boot: 'disk', used: true } });
      }
    }
  }

  return {
    deploy,
    undeploy,
    async verify(tx, context, uuid, params) {
      const id = await startOn(ground, tx, operations.verify, uuid, params, context);
      const node = await requireNode(tx, uuid, true);
      if (node.provisionState === 'enroll')
        await fire(ground, tx, uuid, 'manage', { cause: 'import', requestId: context.requestId });
      return id;
    },
    async verb(context, uuid, verb, body) {
      const row = findVerb(verb);
      if (row?.event === 'abort') return abort(context, await requireNode(db, uuid));
      // A busy node says so before the table is asked: its state is about to change.
      if (row?.event !== 'delete') await requireIdle(ground, uuid);
      await db.transaction(async (tx) => {
        const node = await requireNode(tx, uuid, true);
        if (row?.event === 'delete') {
          await undeploy(tx, context, uuid);
          return;
        }
        requireEvent(node, verb);
        if (row?.event === 'deploy' || row?.event === 'rebuild') {
          const drive = body.configdrive;
          await deploy(tx, context, uuid, {
            imageId: String(node.instanceInfo.image_source ?? ''),
            rebuild: row.event === 'rebuild',
            ...(typeof drive === 'string' && drive !== '' && { configDrive: drive }),
          });
          return;
        }
        await plainVerb(tx, context, node, verb, body);
      });
    },
    async power(context, uuid, target, timeoutSeconds) {
      await db.transaction(async (tx) => {
        const node = await requireNode(tx, uuid, true);
        const row = powerActions[target];
        if (!row)
          throw fault('node-verb-refused', {
            verb: target,
            node: uuid,
            state: node.powerState === null ? 'None' : `power ${node.powerState}`,
          });
        const params: PowerParams = { action: row.action, timeoutSeconds };
        await startOn(ground, tx, operations.power, uuid, params, context);
        await patchNode(tx, uuid, { targetPowerState: row.target, lastError: null });
      });
    },
    async takeUpPending(uuid) {
      for (const pending of await pendingNodes(db, uuid ?? null)) {
        const last = await ground.house.operations.last(nodeSubject(pending));
        if (last?.state === 'running' || last?.state === 'undoing') continue;
        const context = last?.context ?? systemContext();
        await db
          .transaction(async (tx) => {
            await undeploy(tx, context, pending);
          })
          .catch((error) =>
            // The state does not bear the verb any more: what was pending is void, and the reason is told.
            db.transaction((tx) => patchNode(tx, pending, { pendingVerb: null, lastError: (error as Error).message })),
          );
      }
    },
  };
}
