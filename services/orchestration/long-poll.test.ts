/** The light agent's one long poll: answered when there is something new, by each transport; everybody else at once. */
import { expect, it } from 'vitest';
import { machine, openAgents } from '../../test/setup/stack-agents.ts';
import { atRest } from '../../test/setup/stacks.ts';
import { createBell } from './software/bell.ts';

async function chain(transport: string) {
  const opened = await openAgents();
  const deployment = (after?: string, config = 'c') => ({
    type: 'OS::Heat::SoftwareDeployment',
    ...(after && { depends_on: after }),
    properties: { config: { get_resource: config }, server: { get_resource: 's' } },
  });
  const template = {
    heat_template_version: '2021-04-16',
    resources: {
      s: {
        type: 'OS::Nova::Server',
        properties: {
          image: 'lab',
          flavor: 'baremetal',
          user_data_format: 'SOFTWARE_CONFIG',
          software_config_transport: transport,
        },
      },
      c: { type: 'OS::Heat::SoftwareConfig', properties: { group: 'script', config: '#!/bin/sh\n:\n' } },
      p: {
        type: 'OS::Heat::SoftwareComponent',
        properties: {
          configs: [
            { actions: ['CREATE'], tool: 'script', config: '#!/bin/sh\nprintf "$deploy_action"\n' },
            { actions: ['DELETE'], tool: 'script', config: '#!/bin/sh\nexit 9\n' },
          ],
        },
      },
      d1: deployment('p', 'p'),
      d2: deployment('d1'),
      d3: deployment('d2'),
    },
  };
  await opened.orchestration.createStack(opened.context, 's', { template });
  await opened.world.heard('resource.waiting', ({ data }) => data.name === 'd1');
  return { ...opened, userData: [...opened.outside.servers.values()][0]?.userData ?? '' };
}

it.each(['POLL_SERVER_CFN', 'POLL_SERVER_HEAT', 'POLL_TEMP_URL'])(
  'has a chain of deployments done without one sleep, over %s',
  async (transport) => {
    const { world, orchestration, userData } = await chain(transport);
    // Ten minutes between polls that are not held: the test would not live to see the second.
    const agent = machine('s', userData).run(8, { wait: 1, interval: 600 });
    expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
    expect((await agent).match(/ended with status 0/g)).toHaveLength(3);
  },
);

it('holds who asks for it until the time is up, and nobody else', async () => {
  const { userData } = await chain('POLL_TEMP_URL');
  const url = /"metadata_url":"([^"]+)"/.exec(userData)?.[1] ?? '';
  const ask = (headers: Record<string, string> = {}) => fetch(url, { headers });
  const plain = await ask();
  expect([plain.status, plain.headers.get('etag'), plain.headers.get('preference-applied')]).toEqual([200, null, null]);
  const first = await ask({ prefer: 'wait=25' });
  expect([first.status, first.headers.get('preference-applied')]).toEqual([200, 'wait=25']);
  const etag = first.headers.get('etag') ?? '';
  const held = await ask({ prefer: 'wait=1', 'if-none-match': etag });
  expect([held.status, held.headers.get('etag')]).toEqual([304, etag]);
  // Another document than the newest is no reason to wait.
  expect((await ask({ prefer: 'wait=25', 'if-none-match': '"old"' })).status).toBe(200);
});

it('wakes who listens, for its own server and for what rang before it waited', async () => {
  const bell = createBell();
  const [one, two] = [bell.listen('a'), bell.listen('b')];
  bell.ring('a');
  expect(await one.next(60_000)).toBe(true);
  const waits = two.next(60_000);
  bell.ring('b');
  expect([await waits, await one.next(1)]).toEqual([true, false]);
  const held = one.next(60_000);
  bell.close();
  expect([await held, bell.closed]).toEqual([true, true]);
});
