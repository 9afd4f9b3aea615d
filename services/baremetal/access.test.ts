import { describe, expect, it, onTestFinished } from 'vitest';
import { createRack } from '../../test/setup/rack.ts';
import { createWorld } from '../../test/setup/world.ts';
import { fault } from '../core/errors/index.ts';

/** Tokens are names here: `admin`, or `role@project`. */
async function setUp() {
  const rack = await createRack();
  const world = await createWorld({ keep: true });
  onTestFinished(async () => {
    await rack.close();
    await world.close();
  });
  const { baremetal, url } = await rack.attach(world, {
    async authenticate(token, requestId) {
      const [role = '', projectId = null] = token.split('@');
      if (!['admin', 'member', 'reader'].includes(role)) throw fault('unauthorized');
      return { requestId, userId: 'u', projectId, domainId: null, roles: [role] };
    },
  });
  await world.operations.run();
  const ask = async (token: string | null, method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${url}/baremetal${path}`, {
      method,
      headers: {
        'x-openstack-ironic-api-version': '1.95',
        ...(token !== null && { 'x-auth-token': token }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
  };
  return { world, rack, baremetal, ask };
}

describe('who may do what', () => {
  it('wants a token for everything but versions', async () => {
    const { ask } = await setUp();
    expect((await ask(null, 'GET', '/')).status).toBe(200);
    expect((await ask(null, 'GET', '/v1')).status).toBe(200);
    const refused = await ask(null, 'GET', '/v1/nodes');
    expect(refused.status).toBe(401);
    expect(JSON.parse(refused.body.error_message)).toMatchObject({ code: 401, title: 'Unauthorized' });
    expect((await ask('forged', 'GET', '/v1/nodes')).status).toBe(401);
  });

  it('shows a project its own nodes alone, and lets only members and admins change them', async () => {
    const { ask } = await setUp();
    for (const name of ['mine', 'theirs'])
      expect((await ask('admin', 'POST', '/v1/nodes', { driver: 'fake-hardware', name, owner: name })).status).toBe(
        201,
      );
    const names = async (token: string) =>
      (await ask(token, 'GET', '/v1/nodes')).body.nodes.map((n: { name: string }) => n.name);
    expect(await names('admin')).toEqual(['mine', 'theirs']);
    expect(await names('reader@mine')).toEqual(['mine']);
    expect((await ask('reader@mine', 'GET', '/v1/nodes/theirs')).status).toBe(404);
    const patch = [{ op: 'add', path: '/extra/a', value: 1 }];
    expect((await ask('reader@mine', 'PATCH', '/v1/nodes/mine', patch)).status).toBe(403);
    expect((await ask('member@mine', 'PATCH', '/v1/nodes/mine', patch)).status).toBe(200);
    expect((await ask('member@mine', 'PUT', '/v1/nodes/theirs/states/power', { target: 'power on' })).status).toBe(404);
    // The BMC is read by whoever sees the node, and changed by those who may change it.
    expect((await ask('reader@mine', 'GET', '/v1/nodes/mine/bmc/sensors')).status).toBe(200);
    expect((await ask('reader@mine', 'GET', '/v1/nodes/theirs/bmc/sensors')).status).toBe(404);
    for (const [method, path] of [
      ['GET', 'users'],
      ['DELETE', 'event-log'],
      ['POST', 'check'],
      ['POST', 'rotate-password'],
      ['POST', 'restart'],
    ] as const)
      expect((await ask('reader@mine', method, `/v1/nodes/mine/bmc/${path}`)).status).toBe(403);
    expect((await ask('member@mine', 'GET', '/v1/nodes/mine/bmc/users')).status).toBe(200);
    expect((await ask('member@mine', 'POST', '/v1/nodes', { driver: 'fake-hardware' })).status).toBe(403);
    expect((await ask('member@mine', 'POST', '/v1/nodes/import', { nodes: [] })).status).toBe(403);
  });
});

describe('power', () => {
  it('finds out by itself that somebody pressed the button', async () => {
    const { world, rack, baremetal, ask } = await setUp();
    const node = await baremetal.createNode(world.context, { driver: 'fake-hardware', name: 'n1' });
    await baremetal.setProvisionState(world.context, node.uuid, 'manage');
    await world.heard('operation.succeeded');
    expect(await baremetal.syncPower()).toBe(0);
    rack.fakes.machine(node.uuid).power = 'on';
    expect(await baremetal.syncPower()).toBe(1);
    expect((await ask('admin', 'GET', '/v1/nodes/n1')).body.power_state).toBe('power on');
    rack.fakes.machine(node.uuid).failing = 'unplugged';
    expect(await baremetal.syncPower()).toBe(0);
    const refused = await ask('admin', 'GET', '/v1/nodes/n1/management/boot_device');
    expect(refused.status).toBe(504);
    expect(JSON.parse(refused.body.error_message).faultstring).toMatch(
      /The BMC .* does not answer: unplugged\. Check its address/,
    );
  });

  it('gives a soft shut-down its time, and says in the end what it waited for', async () => {
    const { world, rack, baremetal, ask } = await setUp();
    const node = await baremetal.createNode(world.context, { driver: 'fake-hardware', name: 'n1' });
    const machine = rack.fakes.machine(node.uuid);
    machine.power = 'on';
    // Long beyond the test: a system that does not react to its power button.
    machine.delayMs = 3_600_000;
    expect(
      (await ask('admin', 'PUT', '/v1/nodes/n1/states/power', { target: 'soft power off', timeout: 60 })).status,
    ).toBe(202);
    expect((await ask('admin', 'GET', '/v1/nodes/n1')).body).toMatchObject({
      target_power_state: 'power off',
      reservation: 'undercloud',
    });
    await world.heard('operation.failed');
    const shown = (await ask('admin', 'GET', '/v1/nodes/n1')).body;
    expect(shown.last_error).toMatch(
      /“shut the system down” did not end within 3 s; it was waiting for the system on it to shut down\. If the system does not react/,
    );
    expect(shown.target_power_state).toBeNull();
  });
});
