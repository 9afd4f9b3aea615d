/** `serve` as a process: reads its flags, runs until it is told to stop. Its parent is the supervisor, or an operator. */
import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { readConfig } from '../core/config.ts';
import { toFault } from '../core/errors/index.ts';
import type { Descriptors } from './descriptors.ts';
import { serve } from './index.ts';

const { values } = parseArgs({
  options: { state: { type: 'string' }, sockets: { type: 'string' } },
});
/** After the first answers: writing it takes some 100 ms, once. */
const compileCacheMs = 2_000;
const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });

// A promise that nobody watched is a bug to be read in the log, not a reason to drop a hundred deploys.
process.on('unhandledRejection', (error) =>
  log.error({ error: toFault(error).message, stack: (error as Error)?.stack }, 'unhandled rejection'),
);

try {
  const config = readConfig(values.state ?? '/var/lib/undercloud');
  const descriptors = JSON.parse(values.sockets ?? '{}') as Partial<Descriptors>;
  const running = await serve({ config, descriptors, log });
  const stop = (signal: string) => {
    log.info({ signal }, 'stopping');
    running.stop().then(
      () => process.exit(0),
      (error) => {
        log.error({ error: toFault(error).message }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  // Where the supervisor named a place for compiled code it is kept now: who is killed later has no time for it.
  setTimeout(flushCompileCache, compileCacheMs).unref();
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
} catch (error) {
  const failure = toFault(error);
  log.fatal({ code: failure.code, stack: (error as Error).stack }, failure.message);
  process.exit(1);
}
