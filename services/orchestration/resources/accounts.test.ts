/** Key pairs, flavors, server groups and Keystone's own things, from templates. */
import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openAgents } from '../../../test/setup/stack-agents.ts';
import { atRest } from '../../../test/setup/stacks.ts';
import { createIdentity } from '../../identity/index.ts';
import type { Plain } from '../model.ts';

const hot = (resources: { [name: string]: Plain }, outputs: { [name: string]: Plain } = {}) => ({
  heat_template_version: '2021-04-16',
  resources,
  outputs: Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, { value }])),
});

describe('accounts from templates', () => {
  const template = (roles: string[], password = 'first') =>
    hot(
      {
        project: { type: 'OS::Keystone::Project', properties: { name: 'tenants' } },
        user: {
          type: 'OS::Keystone::User',
          properties: {
            name: 'operator',
            password,
            roles: roles.map((role) => ({ role, project: { get_resource: 'project' } })),
          },
        },
        extra: { type: 'OS::Keystone::Role', properties: { name: 'auditor' } },
        assignment: {
          type: 'OS::Keystone::UserRoleAssignment',
          properties: {
            user: { get_resource: 'user' },
            roles: [{ role: { get_resource: 'extra' }, project: { get_resource: 'project' } }],
          },
        },
      },
      {
        enabled: { get_attr: ['user', 'enabled'] },
        name: { get_attr: ['project', 'name'] },
        user: { get_resource: 'user' },
      },
    );

  it('are made, changed in place, log in, and are gone with their stack', async () => {
    const { world, orchestration, context, base } = await openAgents();
    const rest = () => atRest(world, orchestration, 's');
    const login = async (password: string) => {
      const user = { name: 'operator', domain: { id: 'default' }, password };
      const scope = { project: { name: 'tenants', domain: { id: 'default' } } };
      const body = JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, scope } });
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${base}/identity/v3/auth/tokens`, { method: 'POST', headers, body });
      const { token } = (await answer.json()) as { token?: { roles: { name: string }[] } };
      return { status: answer.status, roles: token?.roles.map(({ name }) => name).sort() };
    };
    const { id } = await orchestration.createStack(context, 's', { template: template(['member', 'reader']) });
    expect(await rest()).toBe('CREATE_COMPLETE');
    expect(await login('first')).toEqual({ status: 201, roles: ['auditor', 'member', 'reader'] });
    await orchestration.updateStack(context, 's', { template: template(['reader'], 'second') });
    expect(await rest()).toBe('UPDATE_COMPLETE');
    expect((await login('first')).status).toBe(401);
    expect(await login('second')).toEqual({ status: 201, roles: ['auditor', 'reader'] });
    await orchestration.deleteStack(context, 's');
    expect(await atRest(world, orchestration, id)).toBe('DELETE_COMPLETE');
    const { accounts } = createIdentity(world, { region: 'RegionOne' });
    await expect(accounts.user('operator')).rejects.toThrow(/operator/);
    await expect(accounts.project('tenants')).rejects.toThrow(/tenants/);
  });

  it('are an administrator’s to make', async () => {
    const { world, orchestration, context } = await openAgents();
    await orchestration.createStack({ ...context, roles: ['member'] }, 's', { template: template(['reader']) });
    expect(await atRest(world, orchestration, 's')).toBe('CREATE_FAILED');
    expect((await orchestration.findStack(context, 's')).reason).toMatch(
      /identity:create_(project|role)\. It needs one of the roles admin/,
    );
  });
});

describe('what Nova keeps, from templates', () => {
  it('is made and deleted with its stack', async () => {
    const { world, orchestration, context } = await openAgents();
    const template = hot(
      {
        pair: { type: 'OS::Nova::KeyPair', properties: { name: 'pair', save_private_key: true } },
        flavor: {
          type: 'OS::Nova::Flavor',
          properties: { name: 'big', ram: 1024, vcpus: 2, disk: 10, extra_specs: { 'resources:CUSTOM_BIG': 1 } },
        },
        group: { type: 'OS::Nova::ServerGroup', properties: { policies: ['anti-affinity'] } },
      },
      {
        public: { get_attr: ['pair', 'public_key'] },
        private: { get_attr: ['pair', 'private_key'] },
        specs: { get_attr: ['flavor', 'extra_specs'] },
        group: { get_attr: ['group', 'show', 'policies'] },
      },
    );
    const { id } = await orchestration.createStack(context, 's', { template });
    expect(await atRest(world, orchestration, 's')).toBe('CREATE_COMPLETE');
    const shown = Object.fromEntries(
      (await orchestration.outputs(context, 's')).map((o) => [o.output_key, o.output_value]),
    ) as Record<string, string>;
    expect(shown).toMatchObject({ specs: { 'resources:CUSTOM_BIG': '1' }, group: ['anti-affinity'] });
    // The halves belong together: the modulus of the one is in the other.
    const { n = '' } = createPublicKey(shown.private ?? '').export({ format: 'jwk' });
    const blob = Buffer.from(shown.public?.split(' ')[1] ?? '', 'base64');
    expect(blob.includes(Buffer.from(n, 'base64url'))).toBe(true);
    await orchestration.deleteStack(context, 's');
    expect(await atRest(world, orchestration, id)).toBe('DELETE_COMPLETE');
  });

  it('refuses servers that are to be together on one node', async () => {
    const { world, orchestration, context } = await openAgents();
    const template = hot({ group: { type: 'OS::Nova::ServerGroup', properties: { policies: ['affinity'] } } });
    await orchestration.createStack(context, 's', { template });
    expect(await atRest(world, orchestration, 's')).toBe('CREATE_FAILED');
    expect((await orchestration.findStack(context, 's')).reason).toMatch(/a node holds one server/);
  });
});
