/** OS::Neutron::Segment: a stretch of wire that a network is on. For administrators. */
import { done, type Handler } from '../engine/handler.ts';
import { unlessGone } from './gone.ts';

export const segment: Handler = {
  type: 'OS::Neutron::Segment',
  backend: 'network',
  async create(work) {
    if (work.physicalId !== null) return done;
    const { properties, desk, context } = work;
    await work.commit(async (tx) => {
      const made = await desk.network.segments.create(
        context,
        {
          networkId: String(properties.network),
          networkType: String(properties.network_type),
          physicalNetwork: properties.physical_network as string | null,
          segmentationId: properties.segmentation_id as number | null,
          name: String(properties.name ?? work.physicalName),
          description: properties.description as string | null,
        },
        tx,
      );
      return { physicalId: made.id };
    });
    return done;
  },
  async update(work) {
    const { properties, desk, context } = work;
    const named = typeof properties.name === 'string' ? { name: properties.name } : {};
    await work.commit(async (tx) => {
      const changes = { ...named, description: String(properties.description ?? '') };
      await desk.network.segments.update(context, work.physicalId ?? '', changes, tx);
      return {};
    });
    return done;
  },
  delete: (work) =>
    unlessGone(work.desk.network.segments.remove(work.context, work.physicalId ?? ''), 'segment-not-found'),
  async check(work) {
    await work.desk.network.segments.find(work.context, work.physicalId ?? '');
  },
  async attributes(work) {
    const one = await work.desk.network.segments.find(work.context, work.physicalId ?? '');
    return {
      show: {
        id: one.id,
        name: one.name,
        description: one.description,
        network_id: one.networkId,
        network_type: one.networkType,
        physical_network: one.physicalNetwork,
        segmentation_id: one.segmentationId,
      },
    };
  },
};
