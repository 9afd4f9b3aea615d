/** OS::Neutron::SecurityGroupRule: one rule of a group that some other resource, or nobody here, made. */
import { done, type Handler } from '../engine/handler.ts';
import { unlessGone } from './gone.ts';

export const securityGroupRule: Handler = {
  type: 'OS::Neutron::SecurityGroupRule',
  backend: 'network',
  async create(work) {
    if (work.physicalId !== null) return done;
    const { properties, desk, context } = work;
    const { securityGroups } = desk.network;
    const remote = properties.remote_group;
    await work.commit(async (tx) => {
      const group = await securityGroups.find(context, String(properties.security_group), tx);
      const made = await securityGroups.rules.create(
        context,
        {
          groupId: group.id,
          description: String(properties.description ?? ''),
          direction: String(properties.direction ?? 'ingress'),
          ethertype: String(properties.ethertype ?? 'IPv4'),
          protocol: typeof properties.protocol === 'string' ? properties.protocol : null,
          portRangeMin: properties.port_range_min as number | null,
          portRangeMax: properties.port_range_max as number | null,
          remoteIpPrefix: properties.remote_ip_prefix as string | null,
          remoteGroupId: typeof remote === 'string' ? (await securityGroups.find(context, remote, tx)).id : null,
        },
        tx,
      );
      return { physicalId: made.id };
    });
    return done;
  },
  delete: (work) =>
    unlessGone(
      work.desk.network.securityGroups.rules.remove(work.context, work.physicalId ?? ''),
      'security-group-rule-not-found',
    ),
  async check(work) {
    await work.desk.network.securityGroups.rules.find(work.context, work.physicalId ?? '');
  },
  async attributes(work) {
    const rule = await work.desk.network.securityGroups.rules.find(work.context, work.physicalId ?? '');
    const { id, direction, ethertype, protocol, groupId, remoteIpPrefix, remoteGroupId } = rule;
    return {
      show: {
        id,
        direction,
        ethertype,
        protocol,
        security_group_id: groupId,
        port_range_min: rule.portRangeMin,
        port_range_max: rule.portRangeMax,
        remote_ip_prefix: remoteIpPrefix,
        remote_group_id: remoteGroupId,
      },
    };
  },
};
