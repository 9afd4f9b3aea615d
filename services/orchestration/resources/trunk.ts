/** OS::Neutron::Trunk: a port that carries the VLANs of others, written down; no switch of this undercloud reads it. */
import type { SubPortWish } from '../../network/index.ts';
import { done, type Handler, type Work } from '../engine/handler.ts';
import { unlessGone } from './gone.ts';

interface SubPortProperty {
  port: string;
  segmentation_type: string;
  segmentation_id: number;
}

const subPorts = ({ properties }: Work): SubPortWish[] =>
  ((properties.sub_ports ?? []) as unknown as SubPortProperty[]).map((one) => ({
    portId: one.port,
    segmentationType: one.segmentation_type,
    segmentationId: one.segmentation_id,
  }));

const fields = ({ properties }: Work) => ({
  ...(typeof properties.name === 'string' && { name: properties.name }),
  description: String(properties.description ?? ''),
  adminStateUp: properties.admin_state_up !== false,
});

export const trunk: Handler = {
  type: 'OS::Neutron::Trunk',
  backend: 'network',
  async create(work) {
    if (work.physicalId !== null) return done;
    const { desk, context, properties, physicalName } = work;
    await work.commit(async (tx) => {
      const wanted = { name: physicalName, ...fields(work), portId: String(properties.port), subPorts: subPorts(work) };
      return { physicalId: (await desk.network.trunks.create(context, wanted, tx)).id };
    });
    return done;
  },
  async update(work, changed) {
    const { desk, context } = work;
    const id = work.physicalId ?? '';
    await work.commit(async (tx) => {
      await desk.network.trunks.update(context, id, fields(work), tx);
      if (changed.includes('sub_ports')) await desk.network.trunks.setSubPorts(context, id, subPorts(work), tx);
      return {};
    });
    return done;
  },
  delete: (work) => unlessGone(work.desk.network.trunks.remove(work.context, work.physicalId ?? ''), 'trunk-not-found'),
  async check(work) {
    await work.desk.network.trunks.find(work.context, work.physicalId ?? '');
  },
  async attributes(work) {
    const one = await work.desk.network.trunks.find(work.context, work.physicalId ?? '');
    const sub_ports = one.subPorts.map(({ portId, segmentationType, segmentationId }) => ({
      port_id: portId,
      segmentation_type: segmentationType,
      segmentation_id: segmentationId,
    }));
    const shown = { name: one.name, description: one.description, admin_state_up: one.adminStateUp, status: 'DOWN' };
    return { port_id: one.portId, show: { id: one.id, port_id: one.portId, ...shown, sub_ports } };
  },
};
