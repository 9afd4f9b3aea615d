/** AWS::CloudFormation::WaitConditionHandle, whose reference is the URL to signal, and AWS::CloudFormation::WaitCondition. */
import { randomUUID } from 'node:crypto';
import { done, type Handler, type Work } from '../../engine/handler.ts';
import { dropCredential, ensureCredential, type Holder, signalUrl } from '../../software/credentials.ts';
import { conditionHandler } from '../wait-condition.ts';
import { checkedSignal, signalMetadata } from '../wait-condition-handle.ts';

const holderOf = (work: Work): Holder => ({ id: work.id, name: work.name, stack: work.stack });

export const awsWaitConditionHandle: Handler = {
  type: 'AWS::CloudFormation::WaitConditionHandle',
  backend: 'database',
  async create(work) {
    if (work.physicalId !== null) return done;
    await work.commit(async (tx) => {
      const credential = await ensureCredential(work.desk, tx, holderOf(work), { user: false });
      const url = signalUrl(work.desk, holderOf(work), credential, 'waitcondition', new Date(work.now));
      return { physicalId: randomUUID(), data: { url } };
    });
    return done;
  },
  update: () => done,
  async delete(work) {
    await work.commit(async (tx) => {
      await dropCredential(work.desk, tx, work.id);
      return {};
    });
    return done;
  },
  reference: ({ data, name }) => data.url ?? name,
  signal: checkedSignal,
  metadata: signalMetadata,
};

/** The URL's path ends in the handle's name. */
const handleIn = (url: string): string => decodeURIComponent(/\/resources\/([^/?]+)(\?|$)/.exec(url)?.[1] ?? url);

export const awsWaitCondition = conditionHandler({
  type: 'AWS::CloudFormation::WaitCondition',
  names: { handle: 'Handle', timeout: 'Timeout', count: 'Count', data: 'Data' },
  handleOf: handleIn,
});
