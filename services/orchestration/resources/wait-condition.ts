/** OS::Heat::WaitCondition: complete when its handle has had enough good signals. */
import { fault } from '../../core/errors/index.ts';
import { done, type Handler, type Outcome, type Work, waitFor } from '../engine/handler.ts';
import { type Report, reports } from './wait-condition-handle.ts';

const received = (work: Work, handle: string): Report[] => {
  const peer = work.peer(handle);
  return peer ? [...reports(peer.signals).values()] : [];
};

/** @param handle the physical id of the handle's resource */
function lookForSignals(work: Work, handle: string, wanted: { count: number; seconds: number }): Outcome {
  const { count, seconds } = wanted;
  const all = received(work, handle);
  const bad = all.filter(({ status }) => status !== 'SUCCESS');
  if (bad.length > 0)
    throw fault('wait-condition-failed', { resource: work.name, reason: bad.map(({ reason }) => reason).join('; ') });
  if (all.length >= count) return done;
  const left = work.startedAt + seconds * 1000 - work.now;
  if (left <= 0) throw fault('wait-condition-timeout', { received: all.length, count, seconds });
  return waitFor({
    on: `${count - all.length} more of ${count} signal(s) to its handle`,
    remedy: 'See whether the script that is to send it runs, and reaches this undercloud.',
    recheckMs: left,
  });
}

/** What the signals brought, as JSON by their ids. */
const signalData = (work: Work, handle: string): string =>
  JSON.stringify(Object.fromEntries(received(work, handle).map(({ id, data }) => [id, data])));

/** A wait condition of some type. `handleOf` gives the physical id of the handle that the properties name. */
export interface ConditionKind {
  readonly type: string;
  /** Names of the properties, which AWS writes large. */
  readonly names: { readonly handle: string; readonly timeout: string; readonly count: string; readonly data: string };
  handleOf?(named: string): string;
}

export function conditionHandler({ type, names, handleOf = (named) => named }: ConditionKind): Handler {
  const handle = ({ properties }: Work) => handleOf(String(properties[names.handle]));
  const look = (work: Work) =>
    lookForSignals(work, handle(work), {
      count: Number(work.properties[names.count] ?? 1),
      seconds: Number(work.properties[names.timeout]),
    });
  return {
    type,
    named: true,
    create: look,
    update: look,
    attributes: (work) => ({ [names.data]: signalData(work, handle(work)) }),
  };
}

export const waitCondition = conditionHandler({
  type: 'OS::Heat::WaitCondition',
  names: { handle: 'handle', timeout: 'timeout', count: 'count', data: 'data' },
});
