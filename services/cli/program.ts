/** The frame of both commands: common options, the way to the undercloud, and what an error becomes. */
import { Command, CommanderError } from 'commander';
import { toFault } from '../core/errors/index.ts';
import { type Client, connect } from './client.ts';
import { findCloud } from './cloud.ts';
import { exitCodeOf, exitCodes } from './exit.ts';
import { createOutput, type Output } from './output.ts';

export interface CommonOptions {
  state?: string;
  json?: boolean;
}

/** What a command's action gets beside its own arguments. */
export interface Session {
  readonly output: Output;
  /** --state as given; undefined means the default place. */
  readonly state: string | undefined;
  /** Logs in at the first call. */
  cloud(): Promise<Client>;
  /** Aborted by Ctrl-C: stop watching; what was started goes on in the undercloud. */
  readonly interrupted: AbortSignal;
}

export function createProgram(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option(
      '--state <dir>',
      'the undercloud’s state directory (default: /var/lib/undercloud, or what clouds.yaml and OS_* say)',
    )
    .option('--json', 'results as JSON on standard output, progress as JSON lines on standard error')
    .showHelpAfterError('(see --help)')
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
    .exitOverride();
}

/** Wraps an action: gives it a session, and turns what it throws into a sentence and an exit code. */
export function action<Args extends unknown[]>(
  work: (session: Session, ...args: Args) => Promise<number | undefined>,
) {
  return async (...given: [...Args, Record<string, unknown>, Command]): Promise<void> => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<CommonOptions>();
    const output = createOutput(options.json === true);
    const abort = new AbortController();
    let client: Client | null = null;
    const interrupt = () => abort.abort();
    process.once('SIGINT', interrupt);
    const session: Session = {
      output,
      state: options.state,
      interrupted: abort.signal,
      async cloud() {
        client ??= await connect(findCloud(process.env, options.state));
        return client;
      },
    };
    try {
      process.exitCode = (await work(session, ...(given.slice(0, -1) as unknown as Args))) ?? exitCodes.ok;
    } catch (error) {
      if (abort.signal.aborted) process.exitCode = exitCodes.interrupted;
      else {
        const failure = toFault(error);
        process.exitCode = exitCodeOf(failure.status, failure.code);
        if (output.json) process.stderr.write(`${JSON.stringify({ error: failure.toJSON() })}\n`);
        else process.stderr.write(`${failure.message}\n`);
        if (failure.code === 'internal' && process.env.UNDERCLOUD_DEBUG) console.error((failure.cause as Error)?.stack);
      }
    } finally {
      process.off('SIGINT', interrupt);
      (client as Client | null)?.close();
    }
  };
}

export async function main(program: Command): Promise<void> {
  // `undercloud node list | head` closes our output early; that is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    else throw error;
  }
}
