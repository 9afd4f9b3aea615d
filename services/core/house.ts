/** What every service is made of. `serve` builds it once; a test builds its own (test/setup/world.ts). */
import type { Clock } from './clock.ts';
import type { Database } from './database/index.ts';
import type { Recorder } from './events/index.ts';
import type { Operations } from './operations/index.ts';
import type { Secrets } from './secrets.ts';

export interface House {
  readonly db: Database;
  readonly recorder: Recorder;
  readonly operations: Operations;
  readonly secrets: Secrets;
  readonly clock: Clock;
}
