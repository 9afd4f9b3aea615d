/** Undercloud to agent: the command envelope, the commands that exist, and the steps that they list and run. */
import type { Progress } from './conversation.ts';
import { readProgress } from './conversation.ts';
import { type Json, type JsonObject, list, object, optional, ProtocolError, text, truth, whole } from './field.ts';

/** A mismatch carries the same name for clean, deploy and service steps: IPA's AgentCommandStatus.VERSION_MISMATCH. */
export const COMMAND_STATUSES = ['RUNNING', 'SUCCEEDED', 'FAILED', 'CLEAN_VERSION_MISMATCH'] as const;
export type CommandStatus = (typeof COMMAND_STATUSES)[number];

export const STEP_KINDS = ['clean', 'deploy', 'service'] as const;
export type StepKind = (typeof STEP_KINDS)[number];

/** Every command of IPA that this agent answers: `sync` ends within the request, `async` is polled. */
export const COMMANDS = {
  'clean.get_clean_steps': 'sync',
  'clean.execute_clean_step': 'async',
  'deploy.get_deploy_steps': 'sync',
  'deploy.execute_deploy_step': 'async',
  'service.get_service_steps': 'sync',
  'service.execute_service_step': 'async',
  'standby.prepare_image': 'async',
  'standby.get_partition_uuids': 'sync',
  'standby.sync': 'sync',
  'standby.power_off': 'async',
  'standby.run_image': 'async',
  'image.install_bootloader': 'async',
  'log.collect_system_logs': 'sync',
  'poll.get_hardware_info': 'sync',
  'poll.set_node_info': 'sync',
  'system.lockdown': 'sync',
} as const;
export type CommandName = keyof typeof COMMANDS;

export interface CommandRequest {
  name: string;
  params: JsonObject;
  /** Ours: the holder's fence; the agent refuses one lower than the highest it has seen. */
  fence?: number;
  /** Ours: the caller's own name for this command; sent again, it answers the command that already runs or ran. */
  request?: string;
}

/** Reads the body of POST /v1/commands/; `query` may carry fence and request instead of params. Our own parameters are taken out of params. */
export function readCommandRequest(body: unknown, query: Record<string, string | undefined> = {}): CommandRequest {
  const envelope = object(body, 'The command');
  const name = text(envelope.name, 'name', 128);
  if (!/^[a-z_]+\.[a-z_]+$/.test(name))
    throw new ProtocolError(`name must be extension.command, such as standby.sync, not ${JSON.stringify(name)}.`);
  const { undercloud_fence, undercloud_request, ...params } = optional(envelope.params, 'params', object) ?? {};
  const queried = query.fence === undefined ? undefined : Number(query.fence);
  const fence = optional(undercloud_fence ?? queried, 'fence', (v, what) => whole(v, what));
  const request = optional(undercloud_request ?? query.request, 'request', (v, what) => text(v, what, 128));
  return { name, params, ...(fence === undefined ? {} : { fence }), ...(request === undefined ? {} : { request }) };
}

/** Why a command failed. `type` is a name for programs, `message` a sentence for people. */
export interface CommandError {
  type: string;
  code: number;
  message: string;
  details: string;
}

export interface CommandResult {
  id: string;
  /** Without the extension: get_clean_steps, not clean.get_clean_steps. */
  command_name: string;
  command_status: CommandStatus;
  command_error: CommandError | null;
  command_result: JsonObject | null;
  /** Ours. */
  progress?: Progress;
  /** Ours: the request's name for the command. */
  request?: string;
}

/** IPA sends either an object or, from old extensions, a bare string. */
function readCommandError(value: unknown): CommandError | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return { type: 'Error', code: 500, message: value, details: value };
  const error = object(value, 'command_error');
  const word = (field: Json | undefined, instead: string) => (typeof field === 'string' ? field : instead);
  const message = word(error.message, word(error.details, 'The agent gave no reason.'));
  return {
    type: word(error.type, 'Error'),
    code: typeof error.code === 'number' ? error.code : 500,
    message,
    details: word(error.details, message),
  };
}

export function readCommandResult(value: unknown): CommandResult {
  const result = object(value, 'The command result');
  const status = text(result.command_status, 'command_status', 64);
  if (!COMMAND_STATUSES.some((known) => known === status))
    throw new ProtocolError(`command_status is ${JSON.stringify(status)}, which this undercloud does not know.`);
  const progress = optional(result.progress, 'progress', readProgress);
  const request = optional(result.request, 'request', (v, what) => text(v, what, 128));
  return {
    id: text(result.id, 'id', 128),
    command_name: text(result.command_name, 'command_name', 128),
    command_status: status as CommandStatus,
    command_error: readCommandError(result.command_error),
    command_result: optional(result.command_result, 'command_result', object) ?? null,
    ...(progress === undefined ? {} : { progress }),
    ...(request === undefined ? {} : { request }),
  };
}

export function readCommandList(value: unknown): CommandResult[] {
  return list(object(value, 'The command list').commands, 'commands').map(readCommandResult);
}

/** The conductor's rule: names may repeat, and the last entry of a name is the one that counts. */
export function lastCommand(commands: CommandResult[], name: string): CommandResult | undefined {
  return commands.findLast((command) => command.command_name === name);
}

/** A step as an agent offers it. Priority 0 is never run unless asked for. */
export interface StepOffer {
  step: string;
  interface: string;
  priority: number;
  reboot_requested: boolean;
  abortable?: boolean;
  argsinfo?: JsonObject;
}

export interface StepOffers {
  steps: Record<string, StepOffer[]>;
  hardwareManagerVersion: Record<string, string>;
}

/** Reads the command_result of get_<kind>_steps: offers by hardware manager. */
export function readStepOffers(kind: StepKind, value: unknown): StepOffers {
  const result = object(value, `The answer of get_${kind}_steps`);
  const steps: StepOffers['steps'] = {};
  for (const [manager, offers] of Object.entries(object(result[`${kind}_steps`], `${kind}_steps`))) {
    steps[manager] = list(offers, `${kind}_steps.${manager}`, 1000).map((entry, i) => {
      const what = `${kind}_steps.${manager}[${i}]`;
      const offer = object(entry, what);
      const abortable = optional(offer.abortable, `${what}.abortable`, truth);
      const argsinfo = optional(offer.argsinfo, `${what}.argsinfo`, object);
      return {
        step: text(offer.step, `${what}.step`, 128),
        interface: text(offer.interface, `${what}.interface`, 64),
        priority: whole(offer.priority, `${what}.priority`),
        reboot_requested: optional(offer.reboot_requested, `${what}.reboot_requested`, truth) ?? false,
        ...(abortable === undefined ? {} : { abortable }),
        ...(argsinfo === undefined ? {} : { argsinfo }),
      };
    });
  }
  const versions = optional(result.hardware_manager_version, 'hardware_manager_version', object) ?? {};
  return {
    steps,
    hardwareManagerVersion: Object.fromEntries(
      Object.entries(versions).map(([manager, version]) => [
        manager,
        text(version, `hardware_manager_version.${manager}`, 64),
      ]),
    ),
  };
}

/** A step as the conductor asks for it. */
export interface StepRequest {
  step: string;
  interface: string;
  args: JsonObject;
  /** As it came, to be echoed in the result. */
  original: JsonObject;
}

export function readStepRequest(value: unknown): StepRequest {
  const original = object(value, 'step');
  return {
    step: text(original.step, 'step.step', 128),
    interface: text(original.interface, 'step.interface', 64),
    args: optional(original.args, 'step.args', object) ?? {},
    original,
  };
}
