/** Nodes that run Debian's own os-collect-config, os-refresh-config and os-apply-config, by each way of asking and telling. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openAgents } from '../../test/setup/stack-agents.ts';
import { atRest } from '../../test/setup/stacks.ts';
import { stockMachine } from '../../test/setup/stock-agents.ts';

const server = (transport: string) => ({
  type: 'OS::Nova::Server',
  properties: {
    image: 'lab',
    flavor: 'baremetal',
    user_data_format: 'SOFTWARE_CONFIG',
    software_config_transport: transport,
  },
});
const deployment = (config: string, signal: string, more: object = {}) => ({
  type: 'OS::Heat::SoftwareDeployment',
  properties: { config: { get_resource: config }, server: { get_resource: 's' }, signal_transport: signal, ...more },
});
const script = {
  type: 'OS::Heat::SoftwareConfig',
  properties: {
    group: 'script',
    config: '#!/bin/sh\necho "said $word"\nprintf "%s heard" "$word" >$heat_outputs_path.result\n',
    inputs: [{ name: 'word' }],
    outputs: [{ name: 'result' }],
  },
};

async function laidOut(resources: object, outputs: object = {}) {
  const opened = await openAgents();
  const { world, orchestration, outside, context } = opened;
  await orchestration.createStack(context, 's', {
    template: { heat_template_version: '2021-04-16', resources, outputs } as never,
  });
  await world.heard('resource.waiting', ({ data }) => String(data.name).startsWith('d'));
  const userData = [...outside.servers.values()][0]?.userData ?? '';
  const values = async () =>
    Object.fromEntries((await orchestration.outputs(context, 's')).map((one) => [one.output_key, one.output_value]));
  return { ...opened, userData, values };
}

it.each([
  ['POLL_SERVER_CFN', 'CFN_SIGNAL'],
  ['POLL_SERVER_HEAT', 'HEAT_SIGNAL'],
  ['POLL_TEMP_URL', 'TEMP_URL_SIGNAL'],
])('configures a node over %s and hears %s', async (transport, signal) => {
  const { world, orchestration, userData, values } = await laidOut(
    { s: server(transport), c: script, d: deployment('c', signal, { input_values: { word: 'a "b" $c' } }) },
    { result: { value: { get_attr: ['d', 'result'] } }, said: { value: { get_attr: ['d', 'deploy_stdout'] } } },
  );
  const machine = stockMachine(userData);
  expect(await atRest(world, orchestration, 's'), machine.text()).toBe('CREATE_COMPLETE');
  expect(await values()).toEqual({ result: 'a "b" $c heard', said: 'said a "b" $c\n' });
});

it('runs a deployment of each group that needs no tool, and a component for the action at hand', async () => {
  const config = (group: string, body: unknown) => ({
    type: 'OS::Heat::StructuredConfig',
    properties: { group, config: body },
  });
  const deploy = (name: string, after?: string) => ({
    type: 'OS::Heat::StructuredDeployment',
    ...(after && { depends_on: after }),
    properties: { config: { get_resource: name }, server: { get_resource: 's' } },
  });
  const { world, orchestration, userData, values } = await laidOut(
    {
      s: server('POLL_SERVER_CFN'),
      json: config('json-file', { '/etc/app/one.json': { a: [1, 'zwei'] } }),
      hiera: config('hiera', { hierarchy: ['app'], datafiles: { app: { 'app::port': 80 } } }),
      apply: config('apply-config', { some: 'thing' }),
      parts: {
        type: 'OS::Heat::SoftwareComponent',
        properties: {
          configs: [
            { actions: ['DELETE'], tool: 'script', config: '#!/bin/sh\nexit 9\n' },
            {
              actions: ['CREATE', 'UPDATE'],
              tool: 'script',
              config: '#!/bin/sh\nprintf "$deploy_action" >$heat_outputs_path.action\n',
            },
          ],
          outputs: [{ name: 'action' }],
        },
      },
      d1: deploy('json'),
      d2: deploy('hiera'),
      d3: deploy('apply', 'd2'),
      d4: deployment('parts', 'CFN_SIGNAL'),
    },
    { action: { value: { get_attr: ['d4', 'action'] } } },
  );
  const machine = stockMachine(userData);
  expect(await atRest(world, orchestration, 's'), machine.text()).toBe('CREATE_COMPLETE');
  expect(await values()).toEqual({ action: 'CREATE' });
  const read = (path: string) => readFileSync(join(machine.dir, path), 'utf8');
  expect(JSON.parse(read('etc/app/one.json'))).toEqual({ a: [1, 'zwei'] });
  expect(JSON.parse(read('etc/puppet/hieradata/app.json'))).toEqual({ 'app::port': 80 });
  expect(read('etc/puppet/hiera.yaml')).toContain('  - app\n');
  // os-apply-config wrote the agent's own configuration from the first document.
  expect(read('etc/os-collect-config.conf')).toContain('[cfn]');
});

it.each([
  ['ansible', 'HEAT_ANSIBLE_CMD'],
  ['puppet', 'HEAT_PUPPET_CMD'],
  ['docker-cmd', 'HEAT_DOCKER_CMD'],
  ['chef', 'UNUSED'],
])('fails a deployment of group %s whose tool the node does not have, with what to do', async (group, variable) => {
  const { world, orchestration, userData, context } = await laidOut({
    s: server('POLL_SERVER_CFN'),
    c: { type: 'OS::Heat::SoftwareConfig', properties: { group, config: 'x' } },
    d: deployment('c', 'CFN_SIGNAL'),
  });
  const machine = stockMachine(userData, { [variable]: 'no-such-tool' });
  expect(await atRest(world, orchestration, 's'), machine.text()).toBe('CREATE_FAILED');
  const { reason } = await orchestration.findStack(context, 's');
  expect(reason).toContain(group === 'chef' ? 'no hook for deployments of group "chef"' : 'need no-such-tool');
  expect(existsSync(join(machine.dir, 'var/lib/heat-config/deployed'))).toBe(true);
});
