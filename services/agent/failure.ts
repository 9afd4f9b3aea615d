/** Why a command ended badly: what becomes of the envelope's command_error. */
import { type CommandError, ProtocolError } from '../ipa/index.ts';

/** `type` is IPA's name for the kind of failure, where it has one; the message is a sentence with the value at fault. */
export class AgentFailure extends Error {
  override name = 'AgentFailure';
  readonly type: string;
  readonly code: number;
  constructor(type: string, message: string, options: { code?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.type = type;
    this.code = options.code ?? 500;
  }
}

export function imageFailure(message: string, cause?: unknown): AgentFailure {
  return new AgentFailure('ImageWriteError', message, { cause });
}

function innermost(error: Error): Error {
  return error.cause instanceof Error ? innermost(error.cause) : error;
}

export function commandError(error: unknown): CommandError {
  if (!(error instanceof Error)) return { type: 'Error', code: 500, message: String(error), details: String(error) };
  const details = innermost(error).message;
  if (error instanceof AgentFailure) return { type: error.type, code: error.code, message: error.message, details };
  if (error instanceof ProtocolError)
    return { type: 'InvalidCommandParamsError', code: 400, message: error.message, details };
  const code = (error as NodeJS.ErrnoException).code;
  return { type: code ?? error.name, code: 500, message: error.message || error.name, details };
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}
