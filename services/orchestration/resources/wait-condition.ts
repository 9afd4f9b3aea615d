/** OS::Heat::WaitCondition: complete when its handle has had enough good signals. */
import { fault } from '../../core/errors/index.ts';
import { done, type Handler, type Outcome, type Work, waitFor } from '../engine/handler.ts';
import { type Report, reports } from './wait-condition-handle.ts';

const received = (work: Work): Report[] => {
  const handle = work.peer(String(work.properties.handle));
  return handle ? [...reports(handle.signals).values()] : [];
};

function look(work: Work): Outcome {
  const all = received(work);
  const bad = all.filter(({ status }) => status !== 'SUCCESS');
  if (bad.length > 0)
    throw fault('wait-condition-failed', { resource: work.name, reason: bad.map(({ reason }) => reason).join('; ') });
  const count = Number(work.properties.count ?? 1);
  if (all.length >= count) return done;
  const seconds = Number(work.properties.timeout);
  const left = work.startedAt + seconds * 1000 - work.now;
  if (left <= 0) throw fault('wait-condition-timeout', { received: all.length, count, seconds });
  return waitFor({
    on: `${count - all.length} more of ${count} signal(s) to its handle`,
    remedy: 'See whether the script that is to send it runs, and reaches this undercloud.',
    recheckMs: left,
  });
}

export const waitCondition: Handler = {
  type: 'OS::Heat::WaitCondition',
  named: true,
  create: look,
  update: look,
  attributes: (work) => ({
    data: JSON.stringify(Object.fromEntries(received(work).map(({ id, data }) => [id, data]))),
  }),
};
