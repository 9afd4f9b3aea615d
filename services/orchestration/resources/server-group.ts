/** OS::Nova::ServerGroup. */
import { isFault } from '../engine/faults.ts';
import { done, type Handler } from '../engine/handler.ts';
import type { Plain } from '../model.ts';

export const serverGroup: Handler = {
  type: 'OS::Nova::ServerGroup',
  backend: 'compute',
  async create(work) {
    if (work.physicalId !== null) return done;
    const { properties } = work;
    await work.commit(async (tx) => {
      const wanted = {
        name: String(properties.name ?? work.physicalName),
        policy: String(((properties.policies ?? []) as Plain[])[0] ?? 'anti-affinity'),
        rules: (properties.rules ?? {}) as Record<string, unknown>,
      };
      return { physicalId: (await work.desk.compute.serverGroups.create(work.context, wanted, tx)).id };
    });
    return done;
  },
  async delete(work) {
    try {
      await work.desk.compute.serverGroups.delete(work.context, work.physicalId ?? '');
    } catch (error) {
      if (!isFault(error, 'server-group-not-found')) throw error;
    }
    return done;
  },
  async check(work) {
    await work.desk.compute.serverGroups.find(work.context, work.physicalId ?? '');
  },
  async attributes(work) {
    const { id, name, policy, members } = await work.desk.compute.serverGroups.find(
      work.context,
      work.physicalId ?? '',
    );
    return { show: { id, name, policies: [policy], members: [...members] } };
  },
};
