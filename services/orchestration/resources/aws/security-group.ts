/** AWS::EC2::SecurityGroup: as OS::Neutron::SecurityGroup, in AWS's words. */
import { done, type Handler, type Work } from '../../engine/handler.ts';
import type { Plain } from '../../model.ts';
import { checkGroup, type RuleWish, removeGroup, settleRules } from '../security-group.ts';

interface AwsRule {
  IpProtocol?: string | null;
  FromPort?: string | null;
  ToPort?: string | null;
  CidrIp?: string | null;
  SourceSecurityGroupId?: string | null;
  SourceSecurityGroupName?: string | null;
}

/** −1 is AWS's word for all of them. */
const portOf = (text: string | null | undefined): number | null =>
  text === undefined || text === null || text === '' || text === '-1' ? null : Number(text);

async function wishes(work: Work, value: Plain | undefined, direction: string): Promise<RuleWish[]> {
  const all: RuleWish[] = [];
  for (const rule of (value ?? []) as AwsRule[]) {
    const source = rule.SourceSecurityGroupId || rule.SourceSecurityGroupName;
    all.push({
      direction,
      ethertype: rule.CidrIp?.includes(':') ? 'IPv6' : 'IPv4',
      protocol: rule.IpProtocol === '-1' ? null : (rule.IpProtocol ?? null),
      portRangeMin: portOf(rule.FromPort),
      portRangeMax: portOf(rule.ToPort),
      ...(source
        ? { remoteGroup: (await work.desk.network.securityGroups.find(work.context, source)).id }
        : { remoteIpPrefix: rule.CidrIp ?? null }),
    });
  }
  return all;
}

const rulesOf = async (work: Work): Promise<RuleWish[]> => [
  ...(await wishes(work, work.properties.SecurityGroupIngress, 'ingress')),
  ...(await wishes(work, work.properties.SecurityGroupEgress, 'egress')),
];

export const awsSecurityGroup: Handler = {
  type: 'AWS::EC2::SecurityGroup',
  backend: 'network',
  async create(work) {
    if (work.physicalId !== null) return done;
    const description = String(work.properties.GroupDescription ?? '');
    const rules = await rulesOf(work);
    await work.commit(async (tx) => {
      const fields = { name: work.physicalName, description };
      const made = await work.desk.network.securityGroups.create(work.context, fields, tx);
      await settleRules(work, made.id, rules, tx);
      return { physicalId: made.id };
    });
    return done;
  },
  async update(work) {
    const rules = await rulesOf(work);
    await work.commit(async (tx) => {
      await settleRules(work, work.physicalId ?? '', rules, tx);
      return {};
    });
    return done;
  },
  delete: removeGroup,
  check: checkGroup,
};
