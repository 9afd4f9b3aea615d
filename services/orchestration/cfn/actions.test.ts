/** CFN's API for a user who signs: the stock client makes the key, and each action is asked as boto would ask it. */
import { createHash, createHmac } from 'node:crypto';
import { expect, it } from 'vitest';
import { openAgents } from '../../../test/setup/stack-agents.ts';
import { atRest } from '../../../test/setup/stacks.ts';
import { stockClient } from '../../../test/setup/stock-client.ts';
import { signature } from '../software/signature.ts';

const template = (length: number) =>
  JSON.stringify({
    HeatTemplateFormatVersion: '2012-12-12',
    Description: 'a <b> & c',
    Parameters: { Length: { Type: 'Number', Default: String(length), Description: 'how long' } },
    Resources: { R: { Type: 'OS::Heat::RandomString', Properties: { length: { Ref: 'Length' } } } },
    Outputs: { V: { Description: 'the value', Value: { 'Fn::GetAtt': ['R', 'value'] } } },
  });

async function signing() {
  const opened = await openAgents();
  const { base, cfnUrl } = opened;
  const stock = stockClient({ url: base, password: 'secret' });
  const openstack = (...words: string[]) => stock.openstack('ec2', 'credentials', ...words);
  const key = JSON.parse(await openstack('create', '-f', 'json')) as { access: string; secret: string };
  const { host } = new URL(cfnUrl);
  async function ask(Action: string, more: Record<string, string> = {}, { method = 'GET', secret = key.secret } = {}) {
    const params: Record<string, string> = {
      Action,
      AWSAccessKeyId: key.access,
      SignatureVersion: '2',
      SignatureMethod: 'HmacSHA256',
      Timestamp: new Date().toISOString(),
      Version: '2010-05-15',
      ...more,
    };
    params.Signature = signature(secret, { verb: method, host, path: '/cfn/v1/', params });
    const query = Object.entries(params).map(
      ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
    );
    const answer =
      method === 'GET'
        ? await fetch(`${cfnUrl}/?${query.join('&')}`)
        : await fetch(`${cfnUrl}/`, {
            method,
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
            body: query.join('&').replaceAll('%20', '+'),
          });
    return { status: answer.status, text: await answer.text() };
  }
  return { ...opened, openstack, key, ask };
}

const textIn = (text: string, name: string): string => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1] ?? '';

it('serves every action of Heat’s to a key that the stock client made', async () => {
  const { world, orchestration, ask } = await signing();
  const made = await ask(
    'CreateStack',
    {
      StackName: 'one',
      TemplateBody: template(8),
      'Parameters.member.1.ParameterKey': 'Length',
      'Parameters.member.1.ParameterValue': '9',
    },
    { method: 'POST' },
  );
  expect(made.text).toMatch(
    /^<CreateStackResponse><CreateStackResult><StackId>arn:openstack:heat::[0-9a-f]{32}:stacks\/one\/[0-9a-f-]{36}<\/StackId>/,
  );
  const arn = textIn(made.text, 'StackId');
  expect(await atRest(world, orchestration, arn.split('/').at(-1) ?? '')).toBe('CREATE_COMPLETE');
  const listed = await ask('ListStacks');
  expect(listed.text).toContain('<ListStacksResult><StackSummaries><member><CreationTime>');
  expect(listed.text).toContain('<TemplateDescription>a &lt;b&gt; &amp; c</TemplateDescription>');
  const shown = await ask('DescribeStacks', { StackName: arn });
  expect(shown.text).toContain('<ParameterKey>Length</ParameterKey><ParameterValue>9</ParameterValue>');
  expect(textIn(shown.text, 'OutputValue')).toHaveLength(9);
  expect((await ask('DescribeStacks')).text).toContain('<StackStatus>CREATE_COMPLETE</StackStatus>');
  expect(textIn((await ask('GetTemplate', { StackName: 'one' })).text, 'TemplateBody')).toContain('RandomString');
  expect((await ask('DescribeStackEvents', { StackName: 'one' })).text).toContain(
    '<LogicalResourceId>R</LogicalResourceId>',
  );
  const one = await ask('DescribeStackResource', { StackName: 'one', LogicalResourceId: 'R' });
  expect(one.text).toContain('<Metadata>{}</Metadata>');
  const physical = textIn(one.text, 'PhysicalResourceId');
  for (const by of [{ StackName: 'one' }, { PhysicalResourceId: physical }])
    expect((await ask('DescribeStackResources', by as never)).text).toContain('<StackResources><member><Description>');
  expect((await ask('ListStackResources', { StackName: 'one' })).text).toContain('<StackResourceSummaries><member>');
  expect((await ask('ValidateTemplate', { TemplateBody: template(4) })).text).toContain(
    '<ParameterKey>Length</ParameterKey><DefaultValue>4</DefaultValue><Description>how long</Description><NoEcho>false</NoEcho>',
  );
  expect((await ask('EstimateTemplateCost', { TemplateBody: '{}' })).text).toContain('wikipedia.org/wiki/Gratis');
  expect((await ask('UpdateStack', { StackName: 'one', TemplateBody: template(12) })).text).toContain(arn);
  expect(await atRest(world, orchestration, 'one')).toBe('UPDATE_COMPLETE');
  const cancel = await ask('CancelUpdateStack', { StackName: 'one' });
  expect([cancel.status, textIn(cancel.text, 'Type')]).toEqual([400, 'Sender']);
  expect((await ask('DeleteStack', { StackName: 'one' })).text).toBe(
    '<DeleteStackResponse><DeleteStackResult></DeleteStackResult></DeleteStackResponse>',
  );
  expect(await atRest(world, orchestration, arn.split('/').at(-1) ?? '')).toBe('DELETE_COMPLETE');
});

it('answers what is wrong with AWS’s error documents, and forgets a key that was deleted', async () => {
  const { ask, openstack, key } = await signing();
  const code = async (...of: Parameters<typeof ask>) => {
    const { status, text } = await ask(...of);
    return [status, textIn(text, 'Code')];
  };
  expect(await code('DescribeStacks', { StackName: 'none' })).toEqual([400, 'InvalidParameterValue']);
  expect(await code('GetTemplate')).toEqual([400, 'MissingParameter']);
  expect(await code('CreateStack', { StackName: 'x' })).toEqual([400, 'MissingParameter']);
  expect(await code('CreateStack', { StackName: 'x', TemplateBody: '{' })).toEqual([400, 'InvalidParameterValue']);
  expect(
    await code('CreateStack', { StackName: 'x', TemplateBody: '{}', OnFailure: 'DELETE', DisableRollback: 'true' }),
  ).toEqual([400, 'InvalidParameterCombination']);
  expect(await code('constructor')).toEqual([400, 'InvalidAction']);
  expect(await code('ListStacks', { Timestamp: '2001-01-01T00:00:00Z' })).toEqual([400, 'RequestExpired']);
  expect(await code('ListStacks', { Timestamp: 'soon' })).toEqual([400, 'IncompleteSignature']);
  expect(await code('ListStacks', {}, { secret: 'wrong' })).toEqual([403, 'SignatureDoesNotMatch']);
  expect(await openstack('list', '-f', 'json')).toContain(key.access);
  expect(await openstack('show', key.access, '-f', 'json')).toContain(key.secret);
  await openstack('delete', key.access);
  expect(await code('ListStacks')).toEqual([403, 'AccessDenied']);
});

it('takes version 4 of the signature as it takes version 2, for as long as it is good', async () => {
  const { cfnUrl, key, world } = await signing();
  const { host } = new URL(cfnUrl);
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const hmac = (from: string | Buffer, text: string) => createHmac('sha256', from).update(text).digest();
  /** As AWS's documentation puts it together, apart from the code that proves it. */
  async function ask(body: string, { at = world.clock.now(), secret = key.secret, sent = body } = {}) {
    const date = `${new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
    const scope = `${date.slice(0, 8)}/RegionOne/cloudformation/aws4_request`;
    const signed = 'content-type;host;x-amz-date';
    const type = 'application/x-www-form-urlencoded';
    const canonical = `POST\n/cfn/v1/\n\ncontent-type:${type}\nhost:${host}\nx-amz-date:${date}\n\n${signed}\n${hash(body)}`;
    const own = scope.split('/').reduce<string | Buffer>((from, part) => hmac(from, part), `AWS4${secret}`);
    const signature = hmac(own, `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash(canonical)}`).toString('hex');
    const authorization = `AWS4-HMAC-SHA256 Credential=${key.access}/${scope}, SignedHeaders=${signed}, Signature=${signature}`;
    const headers = { 'content-type': type, 'x-amz-date': date, authorization };
    const answer = await fetch(`${cfnUrl}/`, { method: 'POST', headers, body: sent });
    const text = await answer.text();
    return [answer.status, textIn(text, 'Code') || text.slice(0, 20)];
  }
  const list = 'Action=ListStacks&Version=2010-05-15';
  expect(await ask(list)).toEqual([200, '<ListStacksResponse>']);
  expect(await ask(list, { sent: `${list}&NextToken=x` })).toEqual([403, 'SignatureDoesNotMatch']);
  expect(await ask(list, { secret: 'wrong' })).toEqual([403, 'SignatureDoesNotMatch']);
  expect(await ask(list, { at: world.clock.now() - 16 * 60_000 })).toEqual([400, 'RequestExpired']);
  expect(await ask(list, { at: world.clock.now() + 16 * 60_000 })).toEqual([400, 'RequestExpired']);
  expect(await ask('Action=CreateStack&StackName=x&TemplateURL=http%3A%2F%2F169.254.169.254%2F')).toEqual([
    400,
    'InvalidParameterValue',
  ]);
});
