/** CFN templates in AWS's own words, on servers of ours. */
import { expect, it } from 'vitest';
import { openAgents } from '../../../../test/setup/stack-agents.ts';
import { atRest } from '../../../../test/setup/stacks.ts';
import { serverProperties } from './instance.ts';

const cfn = (Resources: object, Outputs: object = {}) => ({
  AWSTemplateFormatVersion: '2010-09-09',
  Resources,
  Outputs,
});

async function open() {
  const { world, orchestration, context, outside } = await openAgents();
  return {
    outside,
    world,
    create: (template: object) => orchestration.createStack(context, 's', { template: JSON.stringify(template) }),
    rest: () => atRest(world, orchestration, 's'),
    outputs: async () =>
      Object.fromEntries(
        (await orchestration.outputs(context, 's')).map((o) => [o.output_key, String(o.output_value)]),
      ),
    alive: () => [...outside.servers.values()].filter(({ status }) => status === 'ACTIVE').length,
  };
}

it('scales instances by a launch configuration and a policy', async () => {
  const { create, rest, outputs, alive } = await open();
  await create(
    cfn(
      {
        Launch: {
          Type: 'AWS::AutoScaling::LaunchConfiguration',
          Properties: { ImageId: 'lab', InstanceType: 'baremetal', UserData: '#!/bin/sh\n' },
        },
        Group: {
          Type: 'AWS::AutoScaling::AutoScalingGroup',
          Properties: {
            AvailabilityZones: { 'Fn::GetAZs': '' },
            LaunchConfigurationName: { Ref: 'Launch' },
            MinSize: '1',
            MaxSize: '3',
          },
        },
        Up: {
          Type: 'AWS::AutoScaling::ScalingPolicy',
          Properties: {
            AdjustmentType: 'ChangeInCapacity',
            AutoScalingGroupName: { Ref: 'Group' },
            ScalingAdjustment: '2',
            Cooldown: '600',
          },
        },
      },
      {
        Url: { Value: { 'Fn::GetAtt': ['Up', 'AlarmUrl'] } },
        List: { Value: { 'Fn::GetAtt': ['Group', 'InstanceList'] } },
      },
    ),
  );
  expect(await rest()).toBe('CREATE_COMPLETE');
  expect(alive()).toBe(1);
  const { Url } = await outputs();
  for (const _ of [1, 2]) {
    expect((await fetch(Url ?? '', { method: 'POST' })).status).toBe(200);
    await rest();
    // The second comes within the cooldown of the first.
    expect(alive()).toBe(3);
  }
  expect((await outputs()).List?.split(',')).toHaveLength(3);
});

it('waits for signals to a URL', async () => {
  const { create, rest, outputs, world } = await open();
  await create(
    cfn(
      {
        Handle: { Type: 'AWS::CloudFormation::WaitConditionHandle' },
        Wait: {
          Type: 'AWS::CloudFormation::WaitCondition',
          Properties: { Handle: { Ref: 'Handle' }, Timeout: '600', Count: '1' },
        },
      },
      { Url: { Value: { Ref: 'Handle' } }, Data: { Value: { 'Fn::GetAtt': ['Wait', 'Data'] } } },
    ),
  );
  await world.heard('resource.waiting', ({ data }) => data.name === 'Wait');
  const { Url } = await outputs();
  const body = JSON.stringify({ Status: 'SUCCESS', UniqueId: 'one', Data: 'here', Reason: 'done' });
  expect((await fetch(Url ?? '', { method: 'PUT', body })).status).toBe(200);
  expect(await rest()).toBe('CREATE_COMPLETE');
  expect(JSON.parse((await outputs()).Data ?? '')).toEqual({ one: 'here' });
});

it('says an instance in the words of a server', () => {
  expect(
    serverProperties({
      ImageId: 'lab',
      InstanceType: 'big',
      KeyName: null,
      Tags: [{ Key: 'a', Value: 'b' }],
      NetworkInterfaces: ['port-1'],
      NovaSchedulerHints: [{ Key: 'node', Value: 'n1' }],
    }),
  ).toEqual({
    image: 'lab',
    flavor: 'big',
    user_data_format: 'HEAT_CFNTOOLS',
    metadata: { a: 'b' },
    scheduler_hints: { node: 'n1' },
    networks: [{ port: 'port-1' }],
  });
});
