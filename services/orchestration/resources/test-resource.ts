/** OS::Heat::TestResource: waits and fails as it is told. */
import { fault } from '../../core/errors/index.ts';
import { done, type Handler, type Outcome, replaceFor, type Work, waitFor } from '../engine/handler.ts';

function waitOf(work: Work, action: string): number {
  const own = work.properties.action_wait_secs;
  const secs = typeof own === 'object' && own !== null && !Array.isArray(own) ? own[action] : null;
  return Number(secs ?? work.properties.wait_secs ?? 0) * 1000;
}

function look(work: Work, action: string): Outcome {
  const left = work.startedAt + waitOf(work, action) - work.now;
  if (left > 0)
    return waitFor({
      on: `its ${action} to take the ${waitOf(work, action) / 1000} s that the template asks for`,
      remedy: 'Nothing needs doing.',
      recheckMs: left,
    });
  if (work.properties.fail === true && action !== 'delete')
    throw fault('test-resource-failed', { resource: work.name });
  return done;
}

const isReplaced = (properties: Work['properties']): boolean =>
  properties.update_replace === true || properties.value === properties.update_replace_value;

export const testResource: Handler = {
  type: 'OS::Heat::TestResource',
  named: true,
  create: (work) => look(work, 'create'),
  replacedBy: (_changed, wanted) => (isReplaced(wanted) ? 'update_replace' : undefined),
  update: (work) => (isReplaced(work.properties) ? replaceFor('update_replace') : look(work, 'update')),
  delete: (work) => look(work, 'delete'),
  attributes: ({ properties }) => ({ output: properties.value ?? null }),
};
