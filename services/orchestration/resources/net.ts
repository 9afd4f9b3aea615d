/** OS::Neutron::Net. */

import type { NetworkFields } from '../../network/index.ts';
import { isFault } from '../engine/faults.ts';
import { done, type Handler, type Work } from '../engine/handler.ts';

const fieldsOf = ({ properties, physicalName }: Work, only?: readonly string[]): NetworkFields => {
  const specs = (properties.value_specs ?? {}) as Record<string, unknown>;
  const fields: Record<string, unknown> = {
    name: properties.name ?? (only ? undefined : physicalName),
    adminStateUp: properties.admin_state_up,
    shared: properties.shared,
    dnsDomain: properties.dns_domain,
    portSecurityEnabled: properties.port_security_enabled,
    networkType: specs['provider:network_type'],
    physicalNetwork: specs['provider:physical_network'],
    segmentationId:
      specs['provider:segmentation_id'] === undefined ? undefined : Number(specs['provider:segmentation_id']),
    mtu: specs.mtu === undefined ? undefined : Number(specs.mtu),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
};

export const net: Handler = {
  type: 'OS::Neutron::Net',
  backend: 'network',
  async create(work) {
    if (work.physicalId === null)
      await work.commit(async (tx) => ({
        physicalId: (await work.desk.network.createNetwork(work.context, fieldsOf(work), tx)).id,
      }));
    return done;
  },
  async update(work, changed) {
    await work.commit(async (tx) => {
      await work.desk.network.updateNetwork(work.context, work.physicalId ?? '', fieldsOf(work, changed), tx);
      return {};
    });
    return done;
  },
  async delete(work) {
    try {
      await work.desk.network.deleteNetwork(work.context, work.physicalId ?? '');
    } catch (error) {
      if (!isFault(error, 'network-not-found')) throw error;
    }
    return done;
  },
  async check(work) {
    await work.desk.network.findNetwork(work.context, work.physicalId ?? '');
  },
  async observe(work) {
    const network = await work.desk.network.findNetwork(work.context, work.physicalId ?? '');
    return { name: network.name, admin_state_up: network.adminStateUp, shared: network.shared };
  },
  async attributes(work) {
    const network = await work.desk.network.findNetwork(work.context, work.physicalId ?? '');
    return {
      name: network.name,
      status: 'ACTIVE',
      subnets: [...network.subnetIds],
      admin_state_up: network.adminStateUp,
      tenant_id: network.projectId,
      mtu: network.mtu,
      port_security_enabled: network.portSecurityEnabled,
      qos_policy_id: null,
      l2_adjacency: true,
      segments: [],
      show: {
        id: network.id,
        name: network.name,
        status: 'ACTIVE',
        subnets: [...network.subnetIds],
        mtu: network.mtu,
        tenant_id: network.projectId,
        admin_state_up: network.adminStateUp,
        shared: network.shared,
      },
    };
  },
};
