/** OS::Heat::DeployedServer: a machine that is there already; it gets what its agent needs, and nothing is done to it. */
import { randomUUID } from 'node:crypto';
import { done, type Handler, type Work } from '../engine/handler.ts';
import { type Credential, dropCredential, ensureCredential, type Holder } from '../software/credentials.ts';
import { collectors } from '../software/metadata.ts';

const holderOf = (work: Work): Holder => ({ id: work.id, name: work.name, stack: work.stack });
const transportOf = ({ properties }: Work): string => String(properties.software_config_transport ?? 'POLL_SERVER_CFN');

async function lay(work: Work): Promise<void> {
  const { desk } = work;
  await work.commit(async (tx) => {
    const credential: Credential = await ensureCredential(desk, tx, holderOf(work), { user: true });
    return {
      physicalId: work.physicalId ?? randomUUID(),
      data: {
        transport: transportOf(work),
        collect: collectors(desk, holderOf(work), credential, transportOf(work), true),
        ...(credential.user && { user: credential.user.id }),
      },
    };
  });
}

export const deployedServer: Handler = {
  type: 'OS::Heat::DeployedServer',
  backend: 'database',
  async create(work) {
    if (work.physicalId === null) await lay(work);
    return done;
  },
  async update(work) {
    await lay(work);
    return done;
  },
  async delete(work) {
    await work.commit(async (tx) => {
      await dropCredential(work.desk, tx, work.id);
      return {};
    });
    return done;
  },
  attributes: ({ data, properties, physicalName }) => ({
    name: properties.name ?? physicalName,
    os_collect_config: { 'os-collect-config': data.collect ?? {} },
  }),
};
