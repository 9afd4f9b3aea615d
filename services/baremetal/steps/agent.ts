/** Steps that work through the agent in the deploy ramdisk: await it, give it a command and follow it to its end. */
import type { Tx } from '../../core/database/index.ts';
import { fault } from '../../core/errors/index.ts';
import { done, type Json, minutes, type Outcome, type Run, type Step, waitFor } from '../../core/operations/index.ts';
import { AgentCallError, type AgentClient, type CommandResult, lastCommand } from '../../ipa/index.ts';
import { agentThere, clientOf } from '../agent.ts';
import { requireNode } from '../change.ts';
import type { Ground } from '../ground.ts';
import { agentLeaves, agentSilence, heardAgent } from '../store/agents.ts';
import type { NodeRow } from '../store/nodes.ts';
import { retryBoot } from './boot-retry.ts';
import { bootStage } from './boot-stage.ts';

/** ms, times speed: firmware of large servers takes ten minutes before it asks the network. */
const bootDeadline = minutes(25);
/** ms between looks when nothing is heard; events wake the step long before. */
const recheckMs = 5_000;

export function awaitAgent<Params>(
  ground: Ground,
  step: {
    name: string;
    when?: Step<Params>['when'];
    commit: (run: Run<Params>, tx: Tx) => Promise<unknown>;
  },
): Step<Params> {
  return {
    name: step.name,
    title: 'wait for the agent',
    deadlineMs: bootDeadline * ground.speed,
    ...(step.when && { when: step.when }),
    undo: { none: 'waiting changes nothing' },
    async do(run) {
      const node = await requireNode(ground.house.db, run.subject.id);
      const agent = await agentThere(ground, node);
      if (agent)
        return done({ callbackUrl: agent.callbackUrl }, async (tx) => {
          await step.commit(run, tx);
        });
      const stage = await bootStage(ground, node);
      await retryBoot(ground, run, node);
      return waitFor({ ...stage, recheckMs: recheckMs * Math.min(1, ground.speed) });
    },
  };
}

export interface AgentCommand {
  /** `deploy.execute_deploy_step`. */
  readonly command: string;
  readonly params: Record<string, unknown>;
}

export interface AgentStep<Params> {
  readonly name: string;
  /** Completes "the agent to …" and “could not …”. */
  readonly title: string;
  readonly deadlineMs: number;
  readonly when?: Step<Params>['when'];
  readonly undo: Step<Params>['undo'];
  readonly remedy: string;
  /** How often to ask while the command runs, ms. */
  readonly lookMs?: number;
  /** The command ends the agent: silence afterwards is its success. */
  readonly leaves?: boolean;
  command(run: Run<Params>, node: NodeRow): Promise<AgentCommand>;
  commit?(run: Run<Params>, tx: Tx, result: CommandResult | null): Promise<void>;
}

/** ms, times speed, without a word from an agent that is at work: then it is gone. A TCG guest's fsync has been seen to take 40 s. */
export const silenceMs = 90_000;

export function agentStep<Params>(ground: Ground, step: AgentStep<Params>): Step<Params> {
  return {
    name: step.name,
    title: step.title,
    deadlineMs: step.deadlineMs * ground.speed,
    ...(step.when && { when: step.when }),
    undo: step.undo,
    async do(run) {
      const node = await requireNode(ground.house.db, run.subject.id);
      const agent = await agentThere(ground, node);
      const finish = (result: CommandResult | null) =>
        done((result?.command_result ?? null) as Json, async (tx) => {
          await step.commit?.(run, tx, result);
        });
      if (!agent) throw vanished(ground, node, step.title, 0, 'it is not registered any more.');
      const client = clientOf(ground, agent, run.fence);
      let result: CommandResult;
      try {
        result = await follow(client, step, run, node, ground);
      } catch (error) {
        if (!(error instanceof AgentCallError)) throw error;
        if (step.leaves && agent.leaving && error.status === 0) return finish(null);
        return excuse(ground, node, step.title, error);
      }
      await heardAgent(ground.house.db, node.uuid);
      if (result.command_status === 'RUNNING') return running(ground, step, run, result);
      run.emit('node.agent-command', {
        command: result.command_name,
        id: result.id,
        status: result.command_status,
        error: result.command_error?.message ?? null,
      });
      if (result.command_status === 'SUCCEEDED') return finish(result);
      throw fault('agent-failed', {
        node: node.name ?? node.uuid,
        step: step.title,
        text: result.command_error?.message ?? result.command_status,
        remedy: step.remedy,
      });
    },
  };
}

/** Finds the command by our own name for it, or gives it. The name makes giving it twice harmless. */
async function follow<Params>(
  client: AgentClient,
  step: AgentStep<Params>,
  run: Run<Params>,
  node: NodeRow,
  ground: Ground,
): Promise<CommandResult> {
  const request = `${run.id}/${step.name}`;
  const commands = await client.commands();
  const ours = commands.findLast((command) => command.request === request);
  if (ours) return ours;
  const { command, params } = await step.command(run, node);
  // A stock agent keeps no such name. There the last command of this kind is ours: one operation has one agent for itself.
  const stock = commands.length > 0 && commands.every((one) => one.request === undefined);
  const known = stock ? lastCommand(commands, command.split('.')[1] ?? command) : undefined;
  if (known) return known;
  if (step.leaves) await run.transaction((tx) => agentLeaves(tx, node.uuid));
  await run.assertHeld(1_000);
  const begun = await client.execute(command, params as Parameters<AgentClient['execute']>[1], { request });
  ground.house.recorder.emit('node.agent-command', run.subject, {
    command: begun.command_name,
    id: begun.id,
    status: 'given',
    error: null,
  });
  return begun;
}

function running<Params>(ground: Ground, step: AgentStep<Params>, run: Run<Params>, result: CommandResult): Outcome {
  if (result.progress) run.progress(result.progress.done, result.progress.total, 'bytes');
  return waitFor({
    on: `the agent to ${step.title}${soFar(result)}`,
    remedy: step.remedy,
    recheckMs: (step.lookMs ?? 1_000) * Math.min(1, ground.speed),
  });
}

/** What became of an image's bytes, for whoever waits. */
function soFar({ progress }: CommandResult): string {
  if (!progress?.bytes) return '';
  const { written, skipped, fetched, neighbours } = progress.bytes;
  const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
  return ` (${mib(written)} MiB written, ${mib(skipped)} there already, ${mib(fetched)} fetched${neighbours ? `, ${mib(neighbours)} from neighbours` : ''})`;
}

/** What a failed exchange means: busy and unreachable are waited out for a while, the rest ends the step. */
async function excuse(ground: Ground, node: NodeRow, title: string, error: AgentCallError): Promise<Outcome> {
  const subject = `node ${node.uuid}`;
  if (error.fenced) throw fault('lease-lost', { subject, step: title }, error);
  if (error.busy)
    return waitFor({
      on: 'the agent to end another command',
      remedy: 'It ends by itself; otherwise power cycle the node and deploy again.',
      recheckMs: 1_000 * Math.min(1, ground.speed),
    });
  const silent = (await agentSilence(ground.house.db, node.uuid)) ?? Number.POSITIVE_INFINITY;
  if (error.status !== 0 || silent > silenceMs * ground.speed)
    throw vanished(ground, node, title, Math.round(silent / 1000), error.message);
  return waitFor({
    on: `the agent to answer again (${error.message.replace(/\.$/, '')})`,
    remedy: 'Look at the node’s console: a machine that hangs or restarts by itself has lost its agent.',
    recheckMs: 1_000 * Math.min(1, ground.speed),
  });
}

const vanished = (_ground: Ground, node: NodeRow, step: string, seconds: number, text: string) =>
  fault('agent-vanished', { node: node.name ?? node.uuid, step, seconds, text });
