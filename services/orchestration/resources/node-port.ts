/** OS::Ironic::Port: a MAC by which a node is known. For administrators. */
import type { JsonObject, NodePortFields } from '../../baremetal/index.ts';
import { fault } from '../../core/errors/index.ts';
import { done, type Handler, type Work } from '../engine/handler.ts';
import type { Plain } from '../model.ts';
import { unlessGone } from './gone.ts';

const type = 'OS::Ironic::Port';

function fields({ properties }: Work): NodePortFields {
  if (properties.portgroup)
    throw fault('resource-type-parsed-only', { type, why: 'it has no port groups; leave `portgroup` out' });
  return {
    address: String(properties.address),
    node: String(properties.node),
    extra: (properties.extra ?? {}) as JsonObject,
    localLinkConnection: (properties.local_link_connection ?? {}) as JsonObject,
    physicalNetwork: (properties.physical_network ?? null) as string | null,
    pxeEnabled: properties.pxe_enabled !== false,
    isSmartnic: properties.is_smartnic === true,
  };
}

export const nodePort: Handler = {
  type,
  backend: 'database',
  async create(work) {
    if (work.physicalId !== null) return done;
    await work.commit(async (tx) => ({
      physicalId: (await work.desk.baremetal.nodePorts.create(work.context, fields(work), tx)).uuid,
    }));
    return done;
  },
  async update(work) {
    await work.commit(async (tx) => {
      await work.desk.baremetal.nodePorts.update(work.context, work.physicalId ?? '', fields(work), tx);
      return {};
    });
    return done;
  },
  delete: (work) =>
    unlessGone(
      work.commit(async (tx) => {
        await work.desk.baremetal.nodePorts.remove(work.context, work.physicalId ?? '', tx);
        return {};
      }),
      'port-not-found',
    ),
  async check(work) {
    await work.desk.baremetal.nodePorts.find(work.physicalId ?? '');
  },
  async observe(work) {
    const port = await work.desk.baremetal.nodePorts.find(work.physicalId ?? '');
    return { address: port.address, pxe_enabled: port.pxeEnabled };
  },
  async attributes(work) {
    const port = await work.desk.baremetal.nodePorts.find(work.physicalId ?? '');
    const shown: { [key: string]: Plain } = {
      address: port.address,
      node_uuid: port.nodeUuid,
      portgroup_uuid: null,
      local_link_connection: port.localLinkConnection as Plain,
      pxe_enabled: port.pxeEnabled,
      physical_network: port.physicalNetwork,
      internal_info: port.internalInfo as Plain,
      extra: port.extra as Plain,
      is_smartnic: port.isSmartnic,
    };
    return { ...shown, show: { uuid: port.uuid, ...shown } };
  },
};
