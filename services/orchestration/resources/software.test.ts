/** Configurations of every form, and what becomes of them on the way to an agent. */
import { describe, expect, it } from 'vitest';
import { openAgents } from '../../../test/setup/stack-agents.ts';
import { atRest } from '../../../test/setup/stacks.ts';
import type { Plain } from '../model.ts';
import { withInputs } from './structured-deployment.ts';

const hot = (resources: { [name: string]: Plain }, outputs: { [name: string]: Plain } = {}) => ({
  heat_template_version: '2021-04-16',
  resources,
  outputs: Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, { value }])),
});

async function open() {
  const { world, orchestration, context, base } = await openAgents();
  const login = {
    auth: {
      identity: {
        methods: ['password'],
        password: { user: { name: 'admin', domain: { id: 'default' }, password: 'secret' } },
      },
      scope: { project: { name: 'admin', domain: { id: 'default' } } },
    },
  };
  const answer = await fetch(`${base}/identity/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(login),
  });
  const token = answer.headers.get('x-subject-token') ?? '';
  const projectId = ((await answer.json()) as { token: { project: { id: string } } }).token.project.id;
  const mine = { ...context, projectId };
  return {
    create: (template: ReturnType<typeof hot>) => orchestration.createStack(mine, 's', { template }),
    update: (template: ReturnType<typeof hot>) => orchestration.updateStack(mine, 's', { template }),
    rest: () => atRest(world, orchestration, 's'),
    outputs: async () =>
      Object.fromEntries((await orchestration.outputs(mine, 's')).map((o) => [o.output_key, o.output_value])),
    /** What the agent on that server would read. */
    metadata: async (resource: string) => {
      const url = `${base}/orchestration/v1/${projectId}/stacks/s`;
      const found = await fetch(url, { headers: { 'x-auth-token': token } });
      const { stack } = (await found.json()) as { stack: { id: string } };
      const read = await fetch(`${url}/${stack.id}/resources/${resource}/metadata`, {
        headers: { 'x-auth-token': token },
      });
      return ((await read.json()) as { metadata: { [key: string]: Plain } }).metadata;
    },
    reason: async () => (await orchestration.findStack(mine, 's')).reason,
  };
}

const silent = { signal_transport: 'NO_SIGNAL' };

describe('configurations from templates', () => {
  it('puts a deployment’s values into a structure, for each server of a group', async () => {
    const { create, rest, outputs, metadata } = await open();
    const config = {
      listen: { get_input: 'port' },
      peers: [{ get_input: 'peer' }, 'fixed'],
      none: { get_input: 'missing' },
    };
    await create(
      hot(
        {
          one: { type: 'OS::Heat::DeployedServer', properties: { name: 'one' } },
          two: { type: 'OS::Heat::DeployedServer' },
          config: {
            type: 'OS::Heat::StructuredConfig',
            properties: { group: 'json-file', config, inputs: [{ name: 'port', default: 80 }] },
          },
          all: {
            type: 'OS::Heat::StructuredDeploymentGroup',
            properties: {
              config: { get_resource: 'config' },
              servers: { first: { get_resource: 'one' }, second: { get_resource: 'two' } },
              input_values: { peer: 'p1' },
              ...silent,
            },
          },
        },
        { codes: { get_attr: ['all', 'deploy_status_codes'] }, collect: { get_attr: ['one', 'os_collect_config'] } },
      ),
    );
    expect(await rest()).toBe('CREATE_COMPLETE');
    const shown = await outputs();
    expect(shown.codes).toEqual({ first: null, second: null });
    expect(shown.collect).toMatchObject({
      'os-collect-config': { collectors: ['cfn', 'local'], cfn: { path: 'one.Metadata' } },
    });
    for (const server of ['one', 'two']) {
      const { deployments } = (await metadata(server)) as unknown as {
        deployments: { group: string; config: Plain }[];
      };
      expect(deployments.map(({ group, config }) => [group, config])).toEqual([
        ['json-file', { listen: 80, peers: ['p1', 'fixed'], none: null }],
      ]);
    }
  });

  it('refuses a strict deployment without its values', async () => {
    const { create, rest, reason } = await open();
    await create(
      hot({
        one: { type: 'OS::Heat::DeployedServer' },
        config: { type: 'OS::Heat::StructuredConfig', properties: { config: { a: { get_input: 'word' } } } },
        d: {
          type: 'OS::Heat::StructuredDeployment',
          properties: {
            config: { get_resource: 'config' },
            server: { get_resource: 'one' },
            input_values_validate: 'STRICT',
            ...silent,
          },
        },
      }),
    );
    expect(await rest()).toBe('CREATE_FAILED');
    expect(await reason()).toMatch(/has no value for word/);
  });

  it('lays a component’s configuration out for the actions that it has one for', async () => {
    const { create, rest, metadata } = await open();
    const configs = [{ actions: ['CREATE'], config: '#!/bin/sh', tool: 'script' }];
    const template = (deploy: string, actions: string[]) =>
      hot({
        one: { type: 'OS::Heat::DeployedServer' },
        component: {
          type: 'OS::Heat::SoftwareComponent',
          properties: { configs: configs.map((one) => ({ ...one, actions })) },
        },
        [deploy]: {
          type: 'OS::Heat::SoftwareDeployment',
          properties: { config: { get_resource: 'component' }, server: { get_resource: 'one' }, ...silent },
        },
      });
    await create(template('d', ['DELETE']));
    expect(await rest()).toBe('CREATE_COMPLETE');
    expect((await metadata('one')).deployments).toEqual([]);
    const other = await open();
    await other.create(template('d', ['CREATE']));
    await other.rest();
    expect((await other.metadata('one')).deployments).toMatchObject([{ group: 'component', config: { configs } }]);
  });

  it('writes cloud-init’s formats', async () => {
    const { create, rest, outputs } = await open();
    await create(
      hot(
        {
          cloud: {
            type: 'OS::Heat::CloudConfig',
            properties: { cloud_config: { packages: ['htop'], ssh_pwauth: 'yes' } },
          },
          script: { type: 'OS::Heat::SoftwareConfig', properties: { config: '#!/bin/sh\necho é\n' } },
          mime: {
            type: 'OS::Heat::MultipartMime',
            properties: {
              parts: [
                { config: { get_resource: 'cloud' }, filename: 'a "b".cfg' },
                { config: { get_resource: 'script' } },
                { config: 'plain', subtype: 'x-odd' },
              ],
            },
          },
          outer: {
            type: 'OS::Heat::MultipartMime',
            properties: { parts: [{ config: { get_resource: 'mime' }, type: 'multipart' }, { config: 'last' }] },
          },
        },
        {
          cloud: { get_attr: ['cloud', 'config'] },
          mime: { get_attr: ['mime', 'config'] },
          outer: { get_attr: ['outer', 'config'] },
        },
      ),
    );
    expect(await rest()).toBe('CREATE_COMPLETE');
    const { cloud, mime, outer } = (await outputs()) as Record<string, string>;
    expect(cloud).toBe('#cloud-config\npackages:\n  - htop\nssh_pwauth: "yes"\n');
    const { execFileSync } = await import('node:child_process');
    const python = `import email, json, sys
m = email.message_from_string(sys.stdin.read())
print(json.dumps([[p.get_content_type(), p.get_filename(), p.get_payload(decode=True).decode()] for p in m.walk() if not p.is_multipart()]))`;
    const read = (text?: string) =>
      JSON.parse(execFileSync('python3', ['-c', python], { input: text ?? '' }).toString());
    const inner = [
      ['text/cloud-config', 'a "b".cfg', cloud],
      ['text/x-shellscript', null, '#!/bin/sh\necho é\n'],
      ['text/x-odd', null, 'plain'],
    ];
    expect(read(mime)).toEqual(inner);
    expect(read(outer)).toEqual([...inner, ['text/plain', null, 'last']]);
  });

  it('finds no configuration of another project', async () => {
    const { create, rest, reason } = await open();
    await create(
      hot({
        one: { type: 'OS::Heat::DeployedServer' },
        d: {
          type: 'OS::Heat::SoftwareDeployment',
          properties: { config: '11111111-2222-4333-8444-555555555555', server: { get_resource: 'one' }, ...silent },
        },
      }),
    );
    expect(await rest()).toBe('CREATE_FAILED');
    expect(await reason()).toMatch(/Software config with id 11111111.* not found/);
  });

  it('replaces only what is nothing but an input', () => {
    const inputs = new Map<string, Plain>([['a', { deep: true }]]);
    expect(
      withInputs(
        { x: { get_input: 'a' }, y: { get_input: 'a', more: 1 }, z: [{ get_input: 'b' }] },
        'get_input',
        inputs,
      ),
    ).toEqual({
      x: { deep: true },
      y: { get_input: 'a', more: 1 },
      z: [null],
    });
  });
});
