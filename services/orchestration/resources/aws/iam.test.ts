/** Keys of AWS::IAM: what they may read of their stack, and that they are nothing once they are deleted. */
import { expect, it } from 'vitest';
import { openAgents } from '../../../../test/setup/stack-agents.ts';
import { atRest } from '../../../../test/setup/stacks.ts';
import { signature } from '../../software/signature.ts';

const template = {
  HeatTemplateFormatVersion: '2012-12-12',
  Resources: {
    Policy: { Type: 'OS::Heat::AccessPolicy', Properties: { AllowedResources: ['Open'] } },
    User: { Type: 'AWS::IAM::User', Properties: { Policies: [{ Ref: 'Policy' }] } },
    Key: { Type: 'AWS::IAM::AccessKey', Properties: { UserName: { Ref: 'User' } } },
    Free: { Type: 'AWS::IAM::User' },
    FreeKey: { Type: 'AWS::IAM::AccessKey', Properties: { UserName: { Ref: 'Free' } } },
    Lost: { Type: 'AWS::IAM::AccessKey', Properties: { UserName: 'nobody' } },
    Open: { Type: 'OS::Heat::None', Metadata: { for: 'all' } },
    Closed: { Type: 'OS::Heat::None', Metadata: { for: 'few' } },
  },
  Outputs: Object.fromEntries(
    ['Key', 'FreeKey', 'Lost'].flatMap((name) => [
      [name, { Value: { Ref: name } }],
      [`${name}Secret`, { Value: { 'Fn::GetAtt': [name, 'SecretAccessKey'] } }],
    ]),
  ),
};

it('reads what its user’s policies allow, of its own stack', async () => {
  const { world, orchestration, context, cfnUrl } = await openAgents();
  const { id } = await orchestration.createStack(context, 's', { template });
  expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
  const outputs = Object.fromEntries(
    (await orchestration.outputs(context, 's')).map((one) => [one.output_key, String(one.output_value)]),
  );
  const { host } = new URL(cfnUrl);
  const ask = async (key: string, more: Record<string, string>) => {
    const params: Record<string, string> = {
      Action: 'DescribeStackResource',
      AWSAccessKeyId: outputs[key] ?? '',
      SignatureVersion: '2',
      SignatureMethod: 'HmacSHA256',
      StackName: 's',
      ...more,
    };
    params.Signature = signature(outputs[`${key}Secret`] ?? '', { verb: 'GET', host, path: '/cfn/v1/', params });
    const answer = await fetch(`${cfnUrl}/?${new URLSearchParams(params)}`);
    return [answer.status, /<Metadata>(.*)<\/Metadata>/.exec(await answer.text())?.[1]?.replaceAll('&quot;', '"')];
  };
  expect(await ask('Key', { LogicalResourceId: 'Open' })).toEqual([200, '{"for":"all"}']);
  expect(await ask('Key', { LogicalResourceId: 'Closed' })).toEqual([403, undefined]);
  expect(await ask('FreeKey', { LogicalResourceId: 'Closed' })).toEqual([200, '{"for":"few"}']);
  expect(await ask('FreeKey', { LogicalResourceId: 'None' })).toEqual([400, undefined]);
  expect(await ask('FreeKey', { LogicalResourceId: 'Open', StackName: 'other' })).toEqual([403, undefined]);
  expect(await ask('FreeKey', { Action: 'DeleteStack' })).toEqual([400, undefined]);
  expect(await ask('Lost', { LogicalResourceId: 'Open' })).toEqual([403, undefined]);
  await orchestration.deleteStack(context, 's');
  expect(await atRest(world, orchestration, id)).toBe('DELETE_COMPLETE');
  expect(await ask('FreeKey', { LogicalResourceId: 'Open' })).toEqual([403, undefined]);
});
