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
