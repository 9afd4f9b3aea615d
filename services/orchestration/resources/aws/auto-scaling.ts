/** AWS::AutoScaling::LaunchConfiguration, and the groups that make instances by it. */
import { done, type Handler, type NestedHandler } from '../../engine/handler.ts';
import { selectFromAttribute, text } from '../../language/index.ts';
import type { Plain } from '../../model.ts';
import { groupAttribute } from '../resource-group.ts';
import { scaledMembers, sizeOf } from '../scaling-groups.ts';

/** It is only what it says: the groups read it. */
export const launchConfiguration: Handler = {
  type: 'AWS::AutoScaling::LaunchConfiguration',
  named: true,
  create: () => done,
};

/** What an instance takes of a launch configuration. */
const taken = ['ImageId', 'InstanceType', 'KeyName', 'UserData', 'SecurityGroups', 'NovaSchedulerHints'] as const;

const group = (type: string): NestedHandler => ({
  type,
  nested: true,
  child({ properties, existing, removed, data, peer }) {
    const launch = peer(properties.LaunchConfigurationName ?? null) ?? {};
    const given = Object.fromEntries(
      taken.flatMap((name) => (launch[name] === undefined || launch[name] === null ? [] : [[name, launch[name]]])),
    ) as { [name: string]: Plain };
    const subnet = ((properties.VPCZoneIdentifier ?? []) as Plain[])[0];
    const member = {
      Type: 'AWS::EC2::Instance',
      Properties: { ...given, Tags: properties.Tags ?? [], ...(subnet !== undefined && { SubnetId: subnet }) },
    };
    const names = scaledMembers(sizeOf(type, properties, data).now, existing, new Set(removed));
    return {
      template: {
        HeatTemplateFormatVersion: '2012-12-12',
        Resources: Object.fromEntries(names.map((name) => [name, member])),
      },
      file: 'scaling group',
      parameters: {},
    };
  },
  attribute(group, name, path) {
    if (name !== 'InstanceList') return groupAttribute(group, name, path);
    const addresses = group.members.map((member) => text(member.attribute('PublicIp', [])));
    return selectFromAttribute(addresses.join(','), path);
  },
});

export const awsAutoScalingGroup = group('AWS::AutoScaling::AutoScalingGroup');
export const instanceGroup = group('OS::Heat::InstanceGroup');
