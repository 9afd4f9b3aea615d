/** OS::Neutron::Port. */
import type { PortFields, PortRecord } from '../../network/index.ts';
import { isFault } from '../engine/faults.ts';
import { done, type Handler, type Work } from '../engine/handler.ts';
import type { Plain } from '../model.ts';

async function wishes(work: Work): Promise<PortFields['fixedIps']> {
  const listed = work.properties.fixed_ips as { subnet?: string; subnet_id?: string; ip_address?: string }[] | null;
  if (!listed) return undefined;
  return Promise.all(
    listed.map(async ({ subnet, subnet_id, ip_address }) => {
      const named = subnet ?? subnet_id;
      const id = named ? (await work.desk.network.findSubnet(work.context, named)).id : undefined;
      return { ...(id && { subnetId: id }), ...(ip_address && { ipAddress: ip_address }) };
    }),
  );
}

async function groupsOf(work: Work): Promise<string[] | undefined> {
  const named = work.properties.security_groups as string[] | null | undefined;
  if (!named) return undefined;
  return Promise.all(named.map(async (one) => (await work.desk.network.securityGroups.find(work.context, one)).id));
}

function fields(
  { properties }: Work,
  fixedIps: PortFields['fixedIps'],
  securityGroups: string[] | undefined,
): Omit<PortFields, 'networkId'> {
  const all: Record<string, Plain | undefined | PortFields['fixedIps']> = {
    securityGroups,
    name: properties.name,
    adminStateUp: properties.admin_state_up,
    deviceId: properties.device_id || undefined,
    deviceOwner: properties.device_owner || undefined,
    dnsName: properties.dns_name,
    vnicType: properties['binding:vnic_type'],
    fixedIps: properties.no_fixed_ips === true ? [] : fixedIps,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== null));
}

const shown = (port: PortRecord): { [key: string]: Plain } => ({
  name: port.name,
  network_id: port.networkId,
  tenant_id: port.projectId,
  mac_address: port.macAddress,
  fixed_ips: port.fixedIps.map(({ subnetId, ipAddress }) => ({ subnet_id: subnetId, ip_address: ipAddress })),
  admin_state_up: port.adminStateUp,
  status: port.status,
  device_id: port.deviceId,
  device_owner: port.deviceOwner,
  allowed_address_pairs: [],
  security_groups: [...port.securityGroups],
  dns_assignment: null,
  port_security_enabled: false,
  propagate_uplink_status: null,
  qos_policy_id: null,
});

export const port: Handler = {
  type: 'OS::Neutron::Port',
  backend: 'network',
  async validate(wish) {
    const network = wish.property('network');
    if (typeof network === 'string' && network !== '') await wish.desk.network.findNetwork(wish.context, network);
  },
  async create(work) {
    if (work.physicalId !== null) return done;
    const { properties } = work;
    const network = await work.desk.network.findNetwork(
      work.context,
      String(properties.network ?? properties.network_id),
    );
    const fixedIps = await wishes(work);
    const groups = await groupsOf(work);
    const mac = properties.mac_address ? { macAddress: String(properties.mac_address) } : {};
    await work.commit(async (tx) => {
      const made = await work.desk.network.createPort(
        work.context,
        { networkId: network.id, name: work.physicalName, ...fields(work, fixedIps, groups), ...mac },
        tx,
      );
      return { physicalId: made.id };
    });
    return done;
  },
  async update(work) {
    const fixedIps = await wishes(work);
    const groups = await groupsOf(work);
    await work.commit(async (tx) => {
      await work.desk.network.updatePort(work.context, work.physicalId ?? '', fields(work, fixedIps, groups), tx);
      return {};
    });
    return done;
  },
  async delete(work) {
    try {
      await work.desk.network.deletePort(work.context, work.physicalId ?? '');
    } catch (error) {
      if (!isFault(error, 'port-not-found')) throw error;
    }
    return done;
  },
  async check(work) {
    await work.desk.network.findPort(work.context, work.physicalId ?? '');
  },
  async observe(work) {
    const found = await work.desk.network.findPort(work.context, work.physicalId ?? '');
    return { name: found.name, admin_state_up: found.adminStateUp, mac_address: found.macAddress };
  },
  async attributes(work) {
    const found = await work.desk.network.findPort(work.context, work.physicalId ?? '');
    const subnets = await Promise.all(
      found.fixedIps.map(({ subnetId }) => work.desk.network.findSubnet(work.context, subnetId)),
    );
    const network = await work.desk.network.findNetwork(work.context, found.networkId);
    return {
      ...shown(found),
      network: { id: network.id, name: network.name, mtu: network.mtu, subnets: [...network.subnetIds] },
      subnets: subnets.map((one) => ({
        id: one.id,
        name: one.name,
        cidr: one.cidr,
        gateway_ip: one.gatewayIp,
        ip_version: one.ipVersion,
        dns_nameservers: [...one.dnsNameservers],
      })),
      show: { id: found.id, ...shown(found) },
    };
  },
};
