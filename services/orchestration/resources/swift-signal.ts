/** OS::Heat::SwiftSignalHandle and OS::Heat::SwiftSignal: a wait condition whose handle is a temporary URL. */
import { done, type Handler, type Work } from '../engine/handler.ts';
import { dropCredential, ensureCredential, type Holder } from '../software/credentials.ts';
import { tempUrl } from '../temp-urls/sign.ts';
import { conditionHandler } from './wait-condition.ts';
import { checkedSignal, signalMetadata } from './wait-condition-handle.ts';

const holderOf = (work: Work): Holder => ({ id: work.id, name: work.name, stack: work.stack });

export const swiftSignalHandle: Handler = {
  type: 'OS::Heat::SwiftSignalHandle',
  backend: 'database',
  async create(work) {
    if (work.physicalId !== null) return done;
    await work.commit(async (tx) => {
      const credential = await ensureCredential(work.desk, tx, holderOf(work), { user: false });
      return { physicalId: work.id, data: { url: tempUrl(work.desk, holderOf(work), credential, 'PUT') } };
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
  attributes: ({ data }) => ({
    endpoint: data.url ?? '',
    token: '',
    curl_cli: `curl -i '${String(data.url ?? '')}' -X PUT`,
  }),
  reference: ({ data, name }) => data.url ?? name,
  signal: checkedSignal,
  metadata: signalMetadata,
};

/** The URL names its handle's resource, which is also the handle's physical id. */
const handleIn = (url: string): string => /\/AUTH_[^/]+\/([0-9a-f-]{36})\//.exec(url)?.[1] ?? url;

export const swiftSignal = conditionHandler({
  type: 'OS::Heat::SwiftSignal',
  names: { handle: 'handle', timeout: 'timeout', count: 'count', data: 'data' },
  handleOf: handleIn,
});
