/** OS::Neutron::SecurityGroup: a group with its rules, written down; no switch of this undercloud enforces it. */
import type { Tx } from '../../core/database/index.ts';
import type { SecurityGroupRuleWish } from '../../network/index.ts';
import { isFault } from '../engine/faults.ts';
import { done, type Handler, type Work } from '../engine/handler.ts';
import type { Plain } from '../model.ts';
import { unlessGone } from './gone.ts';

export type RuleWish = Omit<SecurityGroupRuleWish, 'groupId'> & { readonly remoteGroup?: string };

interface RuleProperty {
  direction?: string | null;
  ethertype?: string | null;
  protocol?: string | null;
  port_range_min?: number | null;
  port_range_max?: number | null;
  remote_mode?: string | null;
  remote_ip_prefix?: string | null;
  remote_group_id?: string | null;
}

/** `''` as the remote group: the group itself. */
const wishes = (value: Plain | undefined): RuleWish[] =>
  ((value ?? []) as RuleProperty[]).map((rule) => ({
    direction: rule.direction ?? 'ingress',
    ethertype: rule.ethertype ?? 'IPv4',
    protocol: rule.protocol ?? null,
    portRangeMin: rule.port_range_min ?? null,
    portRangeMax: rule.port_range_max ?? null,
    ...(rule.remote_mode === 'remote_group_id'
      ? { remoteGroup: rule.remote_group_id ?? '' }
      : { remoteIpPrefix: rule.remote_ip_prefix ?? null }),
  }));

/** Makes the group's rules these; where none of them is for what leaves, all that leaves is let out, as Neutron begins. */
export async function settleRules(work: Work, groupId: string, wanted: readonly RuleWish[], tx: Tx): Promise<void> {
  const { securityGroups } = work.desk.network;
  const { rules } = await securityGroups.find(work.context, groupId, tx);
  for (const rule of rules) await securityGroups.rules.remove(work.context, rule.id, tx);
  const out: RuleWish[] = wanted.some(({ direction }) => direction === 'egress')
    ? []
    : [
        { direction: 'egress', ethertype: 'IPv4' },
        { direction: 'egress', ethertype: 'IPv6' },
      ];
  for (const { remoteGroup, ...rule } of [...out, ...wanted]) {
    const remoteGroupId = remoteGroup === '' ? groupId : (remoteGroup ?? null);
    try {
      await securityGroups.rules.create(work.context, { ...rule, groupId, remoteGroupId }, tx);
    } catch (error) {
      // Twice the same in one list is once, as in Heat.
      if (!isFault(error, 'security-group-rule-exists')) throw error;
    }
  }
}

/** Of AWS's type as well. */
export const removeGroup: Handler['delete'] = (work) =>
  unlessGone(work.desk.network.securityGroups.remove(work.context, work.physicalId ?? ''), 'security-group-not-found');

export const checkGroup: Handler['check'] = async (work) => {
  await work.desk.network.securityGroups.find(work.context, work.physicalId ?? '');
};

const described = ({ properties }: Work) => String(properties.description ?? '');

export const securityGroup: Handler = {
  type: 'OS::Neutron::SecurityGroup',
  backend: 'network',
  async create(work) {
    if (work.physicalId !== null) return done;
    const { properties, desk, context } = work;
    await work.commit(async (tx) => {
      const name = String(properties.name ?? work.physicalName);
      const made = await desk.network.securityGroups.create(context, { name, description: described(work) }, tx);
      await settleRules(work, made.id, wishes(properties.rules), tx);
      return { physicalId: made.id };
    });
    return done;
  },
  async update(work, changed) {
    const { properties, desk, context, physicalId } = work;
    const id = physicalId ?? '';
    await work.commit(async (tx) => {
      const named = typeof properties.name === 'string' ? { name: properties.name } : {};
      await desk.network.securityGroups.update(context, id, { ...named, description: described(work) }, tx);
      if (changed.includes('rules')) await settleRules(work, id, wishes(properties.rules), tx);
      return {};
    });
    return done;
  },
  delete: removeGroup,
  check: checkGroup,
  async observe(work) {
    const { name, description } = await work.desk.network.securityGroups.find(work.context, work.physicalId ?? '');
    return { name, description };
  },
  async attributes(work) {
    const { id, name, description, projectId, rules } = await work.desk.network.securityGroups.find(
      work.context,
      work.physicalId ?? '',
    );
    const shown = rules.map((rule) => ({
      id: rule.id,
      direction: rule.direction,
      ethertype: rule.ethertype,
      protocol: rule.protocol,
      port_range_min: rule.portRangeMin,
      port_range_max: rule.portRangeMax,
      remote_ip_prefix: rule.remoteIpPrefix,
      remote_group_id: rule.remoteGroupId,
    }));
    return { show: { id, name, description, tenant_id: projectId, security_group_rules: shown } };
  },
};
