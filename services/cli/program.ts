/** The frame of both commands: common options, the way to the undercloud, and what an error becomes. */
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import { fault, toFault } from '../core/errors/index.ts';
import { type Client, connect } from './client.ts';
import { defaultState, findCloud } from './cloud.ts';
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
  /** The state directory's absolute path. */
  readonly stateDir: string;
  /** Logs in at the first call. */
  cloud(): Promise<Client>;
  /**
   * Aborted by Ctrl-C: stop watching; what was started goes on in the undercloud. A command that never asks for it, nor for
   * the cloud, is ended by the signal itself: bootstrap may be dropped anywhere.
   */
  readonly interrupted: AbortSignal;
  /** From now on Ctrl-C ends the watching alone; the sentence tells how to look again. */
  goesOn(sentence: string): void;
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
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed, 2 wrong usage or input (nothing was done), 3 unreachable, 4 refused,\n' +
        '5 not as wanted in time, 130 interrupted (what was started goes on).',
    )
    .exitOverride();
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type Signal = (typeof signals)[number];

/** Wraps an action: gives it a session, and turns what it throws into a sentence and an exit code. */
export function action<Args extends unknown[]>(work: (session: Session, ...args: Args) => Promise<number | undefined>) {
  return async (...given: [...Args, Record<string, unknown>, Command]): Promise<void> => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<CommonOptions>();
    const output = createOutput(options.json === true);
    const abort = new AbortController();
    let client: Promise<Client> | null = null;
    let goesOn: string | null = null;
    let signalled: Signal | null = null;
    const interrupt = (signal: Signal) => {
      signalled = signal;
      // Whoever presses it twice means it.
      for (const one of signals) process.off(one, interrupt);
      abort.abort();
    };
    let listening = false;
    const listen = (): AbortSignal => {
      if (!listening) for (const one of signals) process.on(one, interrupt);
      listening = true;
      return abort.signal;
    };
    const session: Session = {
      output,
      state: options.state,
      stateDir: resolve(options.state ?? defaultState),
      get interrupted() {
        return listen();
      },
      cloud() {
        client ??= connect(findCloud(process.env, options.state), {
          signal: listen(),
          notice: (line) => output.progress(line),
        });
        return client;
      },
      goesOn(sentence) {
        goesOn = sentence;
      },
    };
    try {
      process.exitCode = (await work(session, ...(given.slice(0, -1) as unknown as Args))) ?? exitCodes.ok;
    } catch (error) {
      output.settle();
      if (signalled === null) process.exitCode = report(error, output);
      else {
        process.exitCode = 128 + constants.signals[signalled as Signal];
        reportInterrupt(error, goesOn, output);
      }
    } finally {
      for (const one of signals) process.off(one, interrupt);
      (await (client as Promise<Client> | null)?.catch(() => null))?.close();
    }
  };
}

function report(error: unknown, output: Output): number {
  const failure = toFault(error);
  if (output.json) process.stderr.write(`${JSON.stringify({ error: failure.toJSON() })}\n`);
  else process.stderr.write(`${failure.message}\n`);
  if (failure.code === 'internal' && process.env.UNDERCLOUD_DEBUG) console.error((failure.cause as Error)?.stack);
  return exitCodeOf(failure.status, failure.code);
}

function reportInterrupt(error: unknown, goesOn: string | null, output: Output): void {
  const aborted = (error as Error)?.name === 'AbortError';
  if (goesOn !== null) output.progress(`Stopped watching. ${goesOn}`, { interrupted: true });
  else output.progress(aborted ? 'Interrupted.' : toFault(error).message, { interrupted: true });
}

/** What changes this machine itself: network namespaces, chroots. @throws Fault `not-root` */
export function requireRoot(command: string, why: string): void {
  if (process.getuid?.() !== 0) throw fault('not-root', { command, why });
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
