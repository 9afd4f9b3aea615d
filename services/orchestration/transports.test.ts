/** The transports that log in at the identity service: POLL_SERVER_HEAT, HEAT_SIGNAL, TOKEN_SIGNAL; and what such users may do. */
import { expect, it } from 'vitest';
import { machine, openAgents } from '../../test/setup/stack-agents.ts';
import { atRest } from '../../test/setup/stacks.ts';

it('configures a server over Heat’s own API, as a user that can do nothing else', async () => {
  const { world, orchestration, outside, context, base } = await openAgents();
  const template = {
    heat_template_version: '2021-04-16',
    resources: {
      s: {
        type: 'OS::Nova::Server',
        properties: {
          image: 'lab',
          flavor: 'baremetal',
          user_data_format: 'SOFTWARE_CONFIG',
          software_config_transport: 'POLL_SERVER_HEAT',
        },
      },
      c: {
        type: 'OS::Heat::SoftwareConfig',
        properties: {
          group: 'script',
          config: '#!/bin/sh\nprintf fine >$heat_outputs_path.result\n',
          outputs: [{ name: 'result' }],
        },
      },
      d: {
        type: 'OS::Heat::SoftwareDeployment',
        properties: { config: { get_resource: 'c' }, server: { get_resource: 's' }, signal_transport: 'HEAT_SIGNAL' },
      },
      wh: { type: 'OS::Heat::WaitConditionHandle' },
      w: {
        type: 'OS::Heat::WaitCondition',
        depends_on: 'd',
        properties: { handle: { get_resource: 'wh' }, timeout: 600 },
      },
    },
    outputs: {
      said: { value: { get_attr: ['d', 'result'] } },
      token: { value: { get_attr: ['wh', 'token'] } },
      endpoint: { value: { get_attr: ['wh', 'endpoint'] } },
    },
  };
  const stack = await orchestration.createStack(context, 's', { template });
  await world.heard('resource.waiting', ({ data }) => data.name === 'd');
  const [server] = [...outside.servers.values()];
  const text = await machine('s', server?.userData ?? '').run();
  expect(text).toContain('ended with status 0');
  await world.heard('resource.waiting', ({ data }) => data.name === 'w');
  const outputs = Object.fromEntries(
    (await orchestration.outputs(context, 's')).map((one) => [one.output_key, one.output_value as string]),
  );
  expect(outputs.said).toBe('fine');
  const headers = { 'x-auth-token': outputs.token ?? '', 'content-type': 'application/json' };
  const endpoint = outputs.endpoint ?? '';
  // The token is good for signals and metadata of its stack, and for nothing else of it.
  const mine = endpoint.replace(/\/resources\/.*$/, '');
  expect((await fetch(mine, { headers })).status).toBe(404);
  expect((await fetch(mine, { method: 'DELETE', headers })).status).toBe(404);
  const listed = await fetch(mine.replace(/\/stacks\/.*$/, '/stacks'), { headers });
  expect(await listed.json()).toEqual({ stacks: [] });
  expect((await fetch(`${base}/orchestration/v1/${stack.project_id}/stacks/s`, { headers })).status).toBe(403);
  const signal = await fetch(endpoint, {
    method: 'POST',
    headers,
    body: JSON.stringify({ status: 'SUCCESS', data: 'here' }),
  });
  expect([signal.status, await signal.text()]).toEqual([200, 'null']);
  expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
  await orchestration.deleteStack(context, 's');
  expect(await atRest(world, orchestration, stack.id)).toBe('DELETE_COMPLETE');
  const left = await world.db.pool.query(
    "select name from identity.users where domain_id = 'stacks' union all select name from identity.projects where domain_id = 'stacks'",
  );
  expect(left.rows).toEqual([]);
});

it('configures a server over temporary URLs, each good for one resource and one verb', async () => {
  const { world, orchestration, outside, context, base } = await openAgents();
  const template = {
    heat_template_version: '2021-04-16',
    resources: {
      s: {
        type: 'OS::Nova::Server',
        properties: {
          image: 'lab',
          flavor: 'baremetal',
          user_data_format: 'SOFTWARE_CONFIG',
          software_config_transport: 'POLL_TEMP_URL',
        },
      },
      c: {
        type: 'OS::Heat::SoftwareConfig',
        properties: {
          group: 'script',
          config: '#!/bin/sh\nprintf fine >$heat_outputs_path.result\n',
          outputs: [{ name: 'result' }],
        },
      },
      d: {
        type: 'OS::Heat::SoftwareDeployment',
        properties: {
          config: { get_resource: 'c' },
          server: { get_resource: 's' },
          signal_transport: 'TEMP_URL_SIGNAL',
        },
      },
      handle: { type: 'OS::Heat::SwiftSignalHandle' },
      signal: {
        type: 'OS::Heat::SwiftSignal',
        depends_on: 'd',
        properties: { handle: { get_resource: 'handle' }, timeout: 600, count: 2 },
      },
    },
    outputs: {
      said: { value: { get_attr: ['d', 'result'] } },
      endpoint: { value: { get_attr: ['handle', 'endpoint'] } },
      data: { value: { get_attr: ['signal', 'data'] } },
    },
  };
  await orchestration.createStack(context, 's', { template });
  const outputs = async () =>
    Object.fromEntries(
      (await orchestration.outputs(context, 's')).map((one) => [one.output_key, one.output_value as string]),
    );
  await world.heard('resource.waiting', ({ data }) => data.name === 'd');
  const [server] = [...outside.servers.values()];
  expect(await machine('s', server?.userData ?? '').run()).toContain('ended with status 0');
  await world.heard('resource.waiting', ({ data }) => data.name === 'signal');
  const { said, endpoint = '' } = await outputs();
  expect([said, endpoint.startsWith(`${base}/object/v1/AUTH_`)]).toEqual(['fine', true]);
  const put = async (url: string, body: string) => (await fetch(url, { method: 'PUT', body })).status;
  expect(await put(endpoint.replace(/temp_url_sig=./, 'temp_url_sig=0x'), '{}')).toBe(401);
  expect(await put(endpoint.replace('AUTH_', 'AUTH_x'), '{}')).toBe(401);
  expect(await put(endpoint.replace(/temp_url_expires=\d+/, 'temp_url_expires=1'), '{}')).toBe(401);
  expect((await fetch(endpoint)).status).toBe(401);
  expect(await put(endpoint, 'no json')).toBe(400);
  expect(await put(endpoint, JSON.stringify({ id: 'a', data: 'one' }))).toBe(201);
  expect(await put(endpoint, JSON.stringify({ id: 'b', data: 'two' }))).toBe(201);
  expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
  expect(JSON.parse((await outputs()).data ?? '')).toEqual({ a: 'one', b: 'two' });
});

it('refuses what needs a Zaqar that is not there', async () => {
  const { world, orchestration, context } = await openAgents();
  const template = {
    heat_template_version: '2021-04-16',
    resources: { wh: { type: 'OS::Heat::WaitConditionHandle', properties: { signal_transport: 'ZAQAR_SIGNAL' } } },
  };
  await orchestration.createStack(context, 's', { template });
  expect(await atRest(world, orchestration, 's')).toBe('CREATE_FAILED');
  expect((await orchestration.findStack(context, 's')).reason).toMatch(/wh is to be reached by ZAQAR_SIGNAL/);
});
