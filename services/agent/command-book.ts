/** Takes commands, one at a time, and keeps what became of them: a protocol of results that the conductor reads at leisure. */
import { randomUUID } from 'node:crypto';
import { COMMANDS, type CommandName, type CommandRequest, type CommandResult, ProtocolError } from '../ipa/index.ts';
import { commandError } from './failure.ts';
import type { Fetcher } from './fetcher.ts';
import { HANDLERS } from './handlers.ts';
import type { Hardware } from './hardware.ts';
import { VersionMismatch } from './steps.ts';
import type { Memory, Task } from './task.ts';

export interface CommandBookOptions {
  hardware: Hardware;
  fetcher: Fetcher;
  memory: Memory;
  signal: AbortSignal;
  log(line: string): void;
  /** A command's progress moved. */
  onProgress(): void;
  /** A command that is polled has ended. */
  onEnd(): void;
  /** The machine is to be left; called once the result has been told, or after a short wait. */
  onLeave(end: () => Promise<void>): void;
  /** Progress is kept at most this often. Milliseconds. */
  progressMs: number;
}

export interface CommandBook {
  list(): CommandResult[];
  get(id: string): CommandResult | undefined;
  /** Starts a command, or answers the one that the same request has started before. Throws ProtocolError (400, 404, 409). */
  submit(request: CommandRequest): CommandResult;
  /** Resolves with the result when the command has ended. */
  ended(id: string): Promise<CommandResult>;
  running(): CommandResult | undefined;
}

/** Results beyond this are forgotten, oldest first: a node that is polled for months must not fill its memory. */
const KEPT = 200;

export function createCommandBook(options: CommandBookOptions): CommandBook {
  const { hardware, fetcher, memory, signal, log, progressMs } = options;
  const results: CommandResult[] = [];
  const ends = new Map<string, Promise<CommandResult>>();
  let highestFence = -1;

  const running = () => results.find(({ command_status }) => command_status === 'RUNNING');

  async function run(
    result: CommandResult,
    name: CommandName,
    params: CommandRequest['params'],
  ): Promise<CommandResult> {
    let shown = 0;
    let leave: (() => Promise<void>) | undefined;
    const task: Task = {
      hardware,
      fetcher,
      memory,
      signal,
      log,
      progress(step, done, total, bytes) {
        const now = performance.now();
        if (done < total && now - shown < progressMs) return;
        shown = now;
        result.progress = { step, done, total, ...(bytes && { bytes }) };
        options.onProgress();
      },
      afterwards(end) {
        leave = end;
      },
    };
    try {
      result.command_result = await HANDLERS[name](params, task);
      result.command_status = 'SUCCEEDED';
      log(`${name}: done`);
    } catch (error) {
      leave = undefined;
      result.command_error = commandError(error);
      result.command_status = error instanceof VersionMismatch ? 'CLEAN_VERSION_MISMATCH' : 'FAILED';
      log(`${name}: failed: ${result.command_error.message}`);
    }
    if (COMMANDS[name] === 'async') options.onEnd();
    if (leave) options.onLeave(leave);
    return result;
  }

  return {
    list: () => results,
    get: (id) => results.find((result) => result.id === id),
    running,
    submit({ name, params, fence, request }) {
      if (fence !== undefined && fence < highestFence)
        throw new ProtocolError(
          `${name} carries fence ${fence}, and ${highestFence} has been seen: a newer holder has this node.`,
          409,
        );
      if (fence !== undefined) highestFence = fence;
      const again = request === undefined ? undefined : results.findLast((result) => result.request === request);
      if (again) return again;
      if (!Object.hasOwn(COMMANDS, name)) throw new ProtocolError(`There is no command ${name}.`, 404);
      const known = name as CommandName;
      const busy = running();
      if (busy)
        throw new ProtocolError(`Agent is busy: ${busy.command_name} is still running, so ${name} cannot start.`, 409);
      const result: CommandResult = {
        id: randomUUID(),
        command_name: name.split('.')[1]!,
        command_status: 'RUNNING',
        command_error: null,
        command_result: null,
        ...(request === undefined ? {} : { request }),
      };
      results.push(result);
      if (results.length > KEPT) for (const { id } of results.splice(0, results.length - KEPT)) ends.delete(id);
      if (COMMANDS[known] === 'async') log(`${name}: started`);
      ends.set(result.id, run(result, known, params));
      return result;
    },
    ended(id) {
      return ends.get(id) ?? Promise.reject(new ProtocolError(`There is no command ${id}.`, 404));
    },
  };
}
