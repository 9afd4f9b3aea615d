/** The lab image's own configuration agent against the CFN endpoint, and what strangers may not do there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { atRest, stage } from '../../test/setup/stacks.ts';
import { createWorld } from '../../test/setup/world.ts';
import { createApi, listen } from '../core/http/index.ts';
import type { Plain } from './model.ts';
import { isSigned } from './software/signature.ts';

const root = resolve(import.meta.dirname, '../..');
const agent = join(root, 'elements/configuration-agent/static/usr/lib/undercloud/configuration/agent');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function open() {
  const world = await createWorld();
  const port = await freePort();
  const cfnUrl = `http://127.0.0.1:${port}/cfn/v1`;
  const one = stage(world, { cfnUrl });
  const api = createApi();
  api.register(one.orchestration.cfnRoutes, { prefix: '/cfn' });
  api.register(one.orchestration.routes, { prefix: '/orchestration' });
  const listener = await listen(api, { host: '127.0.0.1', port });
  await world.operations.run({ sole: true });
  await one.orchestration.start();
  onTestFinished(async () => {
    await listener.close();
    await api.close();
  });
  return { world, ...one, cfnUrl, context: world.context };
}

/** A machine that booted with this user data: a root directory and the agent run in it. */
function machine(name: string, userData: string) {
  const dir = mkdtempSync(join(tmpdir(), 'uc-agent-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  for (const one of ['etc/ssl/certs', 'root', 'run', 'var/lib/cloud/seed/config_drive/openstack/latest'])
    mkdirSync(join(dir, one), { recursive: true });
  writeFileSync(join(dir, 'etc/ssl/certs/ca-certificates.crt'), '');
  writeFileSync(join(dir, 'etc/hosts'), '127.0.0.1 localhost\n');
  const drive = join(dir, 'var/lib/cloud/seed/config_drive/openstack/latest');
  writeFileSync(join(drive, 'meta_data.json'), JSON.stringify({ uuid: `uuid-${name}`, hostname: name }));
  writeFileSync(join(drive, 'user_data'), userData);
  return {
    dir,
    async run(rounds = 1): Promise<string> {
      const env = {
        UC_ROOT: dir,
        UC_INTERVAL: '0',
        UC_RETRY: '0',
        UC_ROUNDS: String(rounds),
        UC_PATH: process.env.PATH ?? '',
      };
      const child = spawn(agent, [], { env, stdio: ['ignore', 'pipe', 'pipe'] });
      let text = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()));
      await once(child, 'close');
      return text;
    },
  };
}

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
    const { world, orchestration, outside, context } = await open();
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
    const { world, orchestration, outside, context } = await open();
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
    const { world, orchestration, outside, context } = await open();
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
    const { world, orchestration, outside, context } = await open();
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
      const config = await configOf(world, orchestration, name);
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
  world: Awaited<ReturnType<typeof createWorld>>,
  orchestration: Awaited<ReturnType<typeof open>>['orchestration'],
  name: string,
): Promise<{ inputs: { name: string; value: string }[] }> {
  const api = createApi();
  api.register(orchestration.routes, { prefix: '/orchestration' });
  const headers = { 'x-auth-token': 't' };
  const base = `/orchestration/v1/${world.context.projectId}`;
  const [stack] = await orchestration.listStacks(world.context);
  const resource = await api.inject({ url: `${base}/stacks/${stack?.name}/${stack?.id}/resources/${name}`, headers });
  const physical = resource.json().resource.physical_resource_id as string;
  const deployment = await api.inject({ url: `${base}/software_deployments/${physical}`, headers });
  const config = await api.inject({
    url: `${base}/software_configs/${deployment.json().software_deployment.config_id}`,
    headers,
  });
  await api.close();
  return config.json().software_config;
}

describe('the CFN endpoint', () => {
  it('counts signed signals, and refuses others with the reason', async () => {
    const { world, orchestration, context, cfnUrl } = await open();
    const template = {
      heat_template_version: '2021-04-16',
      resources: {
        wh: { type: 'OS::Heat::WaitConditionHandle', properties: { signal_transport: 'CFN_SIGNAL' } },
        w: { type: 'OS::Heat::WaitCondition', properties: { handle: { get_resource: 'wh' }, timeout: 600, count: 2 } },
      },
      outputs: {
        url: { value: { get_attr: ['wh', 'signal', 'alarm_url'] } },
        data: { value: { get_attr: ['w', 'data'] } },
      },
    };
    await orchestration.createStack(context, 's', { template });
    await world.heard('resource.waiting', ({ data }) => data.name === 'w');
    const url = (await orchestration.outputs(context, 's')).find(({ output_key }) => output_key === 'url')
      ?.output_value as string;
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
