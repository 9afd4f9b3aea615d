/** The lab image's own configuration agent against the CFN endpoint, and what strangers may not do there. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { machine, openAgents } from '../../test/setup/stack-agents.ts';
import { atRest } from '../../test/setup/stacks.ts';
import type { createWorld } from '../../test/setup/world.ts';
import type { Plain } from './model.ts';
import { isSigned } from './software/signature.ts';

const root = resolve(import.meta.dirname, '../..');

const server = {
  type: 'OS::Nova::Server',
  properties: { image: 'lab', flavor: 'baremetal', user_data_format: 'SOFTWARE_CONFIG' },
};
const script = (config: string, inputs: string[]): Plain => ({
  type: 'OS::Heat::SoftwareConfig',
  properties: { group: 'script', config, inputs: inputs.map((name) => ({ name })), outputs: [{ name: 'result' }] },
});
const deployment = (config: string, on: string, values: { [name: string]: Plain }): Plain => ({
  type: 'OS::Heat::SoftwareDeployment',
  properties: { config: { get_resource: config }, server: { get_resource: on }, input_values: values },
});

const template = (last: string): { [key: string]: Plain } => ({
  heat_template_version: '2021-04-16',
  resources: {
    one: server,
    two: server,
    first: script('#!/bin/sh\nprintf "out-$word" >$heat_outputs_path.result\n', ['word']),
    second: script(last, ['from']),
    d1: deployment('first', 'one', { word: "it's" }),
    d2: deployment('second', 'two', { from: { get_attr: ['d1', 'result'] } }),
  },
  outputs: {
    said: { value: { get_attr: ['d2', 'result'] } },
    code: { value: { get_attr: ['d2', 'deploy_status_code'] } },
  },
});

async function waitingOn(world: Awaited<ReturnType<typeof createWorld>>, name: string): Promise<void> {
  await world.heard('resource.waiting', ({ data }) => data.name === name && data.on.startsWith('the agent'));
}

describe('servers that are configured by deployments', () => {
  it('are told what to run, in order, and end the stack by what they report', async () => {
    const { world, orchestration, outside, context } = await openAgents();
    const wish = { template: template('#!/bin/sh\nprintf "got-$from" >$heat_outputs_path.result\n') };
    await orchestration.createStack(context, 's', wish);
    await waitingOn(world, 'd1');
    const all = [...outside.servers.values()];
    const find = (name: string) => all.find((one) => one.name.startsWith(`s-${name}-`));
    const [one, two] = [machine('one', find('one')?.userData ?? ''), machine('two', find('two')?.userData ?? '')];
    const text = await one.run();
    expect(text).toContain('ended with status 0');
    await waitingOn(world, 'd2');
    await two.run();
    expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
    const outputs = Object.fromEntries(
      (await orchestration.outputs(context, 's')).map((o) => [o.output_key, o.output_value]),
    );
    expect(outputs).toEqual({ said: "got-out-it's", code: 0 });
    // Another poll changes nothing: the ids are the same.
    expect(await one.run()).not.toContain('runs');
    const polled = JSON.parse(readFileSync(join(one.dir, 'var/lib/undercloud-agent/collectors.json'), 'utf8')) as {
      polling_interval: number;
    };
    expect(polled.polling_interval).toBe(15);
  });

  it('fail the stack with the last lines of what went wrong', async () => {
    const { world, orchestration, outside, context } = await openAgents();
    await orchestration.createStack(context, 's', {
      template: template('#!/bin/sh\necho no such database >&2\nexit 3\n'),
    });
    await waitingOn(world, 'd1');
    for (const one of [...outside.servers.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (one.name.startsWith('s-two')) await waitingOn(world, 'd2');
      await machine(one.name, one.userData).run();
    }
    expect(await atRest(world, orchestration, 's')).toBe('CREATE_FAILED');
    const { reason } = await orchestration.findStack(context, 's');
    expect(reason).toContain('resources.d2: Deployment to server failed: deploy_status_code: 3: no such database');
  });

  it('leave nothing when there are more of them than nodes', async () => {
    const { world, orchestration, outside, context } = await openAgents();
    outside.nodes = 1;
    const template = { heat_template_version: '2021-04-16', resources: { one: server, two: server } };
    await orchestration.createStack(context, 's', { template, disableRollback: false });
    expect(await atRest(world, orchestration, 's')).toBe('ROLLBACK_COMPLETE');
    expect((await orchestration.findStack(context, 's')).reason).toContain('No node can take the server');
    expect(outside.servers.size).toBe(0);
    expect(outside.nodes).toBe(1);
  });
});

describe('hello.hot.yaml', () => {
  it('is valid, lays its two roles out in order and tells the URL', async () => {
    const cloud = await openAgents();
    const { world, orchestration, outside, context } = cloud;
    const text = readFileSync(join(root, 'templates/hello.hot.yaml'), 'utf8');
    const stack = await orchestration.createStack(context, 'hello', { template: text, file: 'hello.hot.yaml' });
    await waitingOn(world, 'db_deployment');
    const blocked = (await orchestration.activity(context, 'hello')).resources.find(
      ({ name }) => name === 'web_deployment',
    );
    expect(blocked?.blocked_on?.on).toContain('db_deployment');
    expect([...outside.servers.values()].map(({ name }) => name).sort()).toEqual(['hello-db', 'hello-web']);
    for (const [name, output] of [
      ['db_deployment', { database: 'hello' }],
      ['web_deployment', { status: 'serving' }],
    ] as const) {
      await waitingOn(world, name);
      const config = await configOf(cloud, name);
      const at = config.inputs.find((input) => input.name === 'deploy_signal_id')?.value ?? '';
      const answer = await fetch(at, { method: 'POST', body: JSON.stringify({ ...output, deploy_status_code: 0 }) });
      expect(answer.status).toBe(200);
      if (name === 'web_deployment') {
        const inputs = Object.fromEntries(config.inputs.map((input) => [input.name, input.value]));
        expect(inputs).toMatchObject({
          title: 'hello',
          database: 'hello',
          db_host: expect.stringMatching(/^192\.0\.2\./),
        });
        expect(inputs.password).toHaveLength(24);
      }
    }
    expect(await atRest(world, orchestration, stack.id)).toBe('CREATE_COMPLETE');
    const outputs = Object.fromEntries(
      (await orchestration.outputs(context, 'hello')).map((o) => [o.output_key, o.output_value]),
    );
    expect(outputs).toMatchObject({ url: expect.stringMatching(/^http:\/\/192\.0\.2\.\d+\/$/), web_status: 'serving' });
  });
});

/** What the agent of the deployment's server reads of it. */
async function configOf(
  { world, orchestration, base }: Awaited<ReturnType<typeof openAgents>>,
  name: string,
): Promise<{ inputs: { name: string; value: string }[] }> {
  const { resources } = await orchestration.activity(world.context, 'hello');
  const physical = resources.find((one) => one.name === name)?.physical_id;
  const user = { name: 'admin', password: 'secret', domain: { id: 'default' } };
  const auth = {
    identity: { methods: ['password'], password: { user } },
    scope: { project: { name: 'admin', domain: { id: 'default' } } },
  };
  const login = await fetch(`${base}/identity/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth }),
  });
  const get = async <T>(path: string): Promise<T> => {
    const headers = { 'x-auth-token': login.headers.get('x-subject-token') ?? '' };
    return (
      await fetch(`${base}/orchestration/v1/${world.context.projectId}${path}`, { headers })
    ).json() as Promise<T>;
  };
  const deployment = await get<{ software_deployment: { config_id: string } }>(`/software_deployments/${physical}`);
  const { config_id } = deployment.software_deployment;
  return (await get<{ software_config: Awaited<ReturnType<typeof configOf>> }>(`/software_configs/${config_id}`))
    .software_config;
}

describe('the CFN endpoint', () => {
  it('counts signed signals, and refuses others with the reason', async () => {
    const { world, orchestration, context, cfnUrl } = await openAgents();
    const template = {
      heat_template_version: '2021-04-16',
      resources: {
        wh: { type: 'OS::Heat::WaitConditionHandle', properties: { signal_transport: 'CFN_SIGNAL' } },
        w: { type: 'OS::Heat::WaitCondition', properties: { handle: { get_resource: 'wh' }, timeout: 600, count: 2 } },
      },
      outputs: {
        signal: { value: { get_attr: ['wh', 'signal'] } },
        data: { value: { get_attr: ['w', 'data'] } },
      },
    };
    await orchestration.createStack(context, 's', { template });
    await world.heard('resource.waiting', ({ data }) => data.name === 'w');
    const signal = (await orchestration.outputs(context, 's')).find(({ output_key }) => output_key === 'signal');
    const { alarm_url: url } = JSON.parse(signal?.output_value as string) as { alarm_url: string };
    const put = (to: string, body: string, method = 'PUT') => fetch(to, { method, body });
    expect(url.startsWith(`${cfnUrl}/waitcondition/arn%3Aopenstack%3Aheat%3A%3A`)).toBe(true);
    expect((await put(url, '{}', 'POST')).status).toBe(404);
    expect((await put(url.replace(/Signature=[^&]*$/, 'Signature=AAAA'), '{}')).status).toBe(403);
    expect((await put(url.replace('/resources/wh', '/resources/w'), '{}')).status).toBe(403);
    const bad = await put(url, 'not json');
    expect([bad.status, await bad.text()]).toEqual([400, expect.stringContaining('<Message>The signal is not JSON')]);
    expect((await put(url, '{"status":"MAYBE"}')).status).toBe(400);
    const good = await put(url, '{"status":"SUCCESS","id":"a","data":"x"}');
    expect([good.status, await good.text()]).toEqual([200, '<resource>wh</resource>']);
    // The same id counts once.
    await put(url, '{"status":"SUCCESS","id":"a","data":"again"}');
    await put(url, '{"Status":"SUCCESS","UniqueId":"b","Data":"y"}');
    expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
    const data = (await orchestration.outputs(context, 's')).find(
      ({ output_key }) => output_key === 'data',
    )?.output_value;
    expect(JSON.parse(data as string)).toEqual({ a: 'x', b: 'y' });
    await orchestration.deleteStack(context, 's');
    await world.heard('stack.state', ({ data: state }) => state.action === 'DELETE' && state.status === 'COMPLETE');
    expect((await put(url, '{}')).status).toBe(403);
  });

  it('hears a wait condition within a stack whose handle is outside it', async () => {
    const { world, orchestration, context } = await openAgents();
    const child = JSON.stringify({
      heat_template_version: '2016-10-14',
      parameters: { handle: { type: 'string' } },
      resources: {
        w: { type: 'OS::Heat::WaitCondition', properties: { handle: { get_param: 'handle' }, timeout: 600 } },
      },
    });
    const template = {
      heat_template_version: '2021-04-16',
      resources: {
        wh: { type: 'OS::Heat::WaitConditionHandle', properties: { signal_transport: 'CFN_SIGNAL' } },
        inner: { type: 'child.yaml', properties: { handle: { get_resource: 'wh' } } },
      },
      outputs: { signal: { value: { get_attr: ['wh', 'signal'] } } },
    };
    await orchestration.createStack(context, 's', { template, files: { 'child.yaml': child } });
    await world.heard('resource.waiting', ({ data }) => data.name === 'w');
    const [signal] = await orchestration.outputs(context, 's');
    const { alarm_url } = JSON.parse(signal?.output_value as string) as { alarm_url: string };
    expect((await fetch(alarm_url, { method: 'PUT', body: '{"status":"SUCCESS"}' })).status).toBe(200);
    expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
  });

  it('takes what os-collect-config 12.0.0 signed for Heat 19', () => {
    // Recorded from the stock collector: secret, query and signature as they were on the wire.
    const secret = '@ww*H3ZJqbLjgHVpJACmUi*9fG&Kjvbk';
    const params = {
      Action: 'DescribeStackResource',
      StackName: 'ag-poll-server-cfn-cfn-signal',
      LogicalResourceId: 'server',
      AWSAccessKeyId: 'c11cf50db43141fcac1a90aa0024695a',
      SignatureVersion: '2',
      SignatureMethod: 'HmacSHA256',
      Signature: '/55pPSU79x0tPDGhctHSvNVCScxWQZF+XV3ahKdwf2g=',
    };
    const request = { verb: 'GET', host: '127.0.0.1:28000', path: '/v1/', params };
    expect(isSigned(secret, request)).toBe(true);
    expect(isSigned(secret, { ...request, verb: 'POST' })).toBe(false);
    expect(isSigned(secret, { ...request, params: { ...params, LogicalResourceId: 'other' } })).toBe(false);
  });
});
