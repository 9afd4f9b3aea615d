/** OS::Heat::Delay: waits as long as the template asks, with a share of chance. */
import { done, type Handler, type Outcome, type Work, waitFor } from '../engine/handler.ts';

function look(work: Work, action: string): Outcome {
  const { properties, data } = work;
  if (!((properties.actions ?? ['CREATE']) as string[]).includes(action)) return done;
  // Kept, so that another process waits for the same end.
  data.jitter ??= Math.random() * Number(properties.max_jitter ?? 0) * Number(properties.jitter_multiplier ?? 1);
  const seconds = Number(properties.min_wait ?? 0) + Number(data.jitter);
  const left = work.startedAt + seconds * 1000 - work.now;
  if (left <= 0) {
    delete data.jitter;
    return done;
  }
  return waitFor({
    on: `the ${seconds.toFixed(1)} s that the template asks for`,
    remedy: 'Nothing needs doing.',
    recheckMs: left,
  });
}

export const delay: Handler = {
  type: 'OS::Heat::Delay',
  named: true,
  create: (work) => look(work, 'CREATE'),
  update: () => done,
  suspend: (work) => look(work, 'SUSPEND'),
  resume: (work) => look(work, 'RESUME'),
  delete: (work) => look(work, 'DELETE'),
};
