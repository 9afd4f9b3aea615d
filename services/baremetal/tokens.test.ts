import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createRack } from '../../test/setup/rack.ts';
import { createWorld } from '../../test/setup/world.ts';
import { BOOT_TOKEN_HEADER } from '../ipa/index.ts';
import { patchNode } from './store/nodes.ts';

const mac = '52:54:00:00:00:01';
const other = '52:54:00:00:00:02';

/** A node that waits for its agent, and an API to be asked by hand. */
async function setUp() {
  const rack = await createRack();
  const world = await createWorld({ keep: true });
  onTestFinished(async () => {
    await rack.close();
    await world.close();
  });
  const { baremetal, url } = await rack.attach(world);
  const node = await baremetal.createNode(world.context, {
    driver: 'fake-hardware',
    driverInfo: { fake_password: 'hidden-secret' },
    ports: [{ address: mac }, { address: other }],
  });
  const set = (fields: Parameters<typeof patchNode>[2]) =>
    world.db.transaction((tx) => patchNode(tx, node.uuid, fields));
  await set({ provisionState: 'wait call-back', boot: 'agent', powerCycle: 1 });
  const lookup = async (bootToken: string | null, addresses = mac) => {
    const headers: Record<string, string> = { 'x-openstack-ironic-api-version': '1.68' };
    if (bootToken !== null) headers[BOOT_TOKEN_HEADER] = bootToken;
    const answer = await fetch(`${url}/v1/lookup?addresses=${addresses}`, { headers });
    return {
      status: answer.status,
      body: (await answer.json()) as { config?: { agent_token: string }; error_message?: string },
    };
  };
  const beat = async (agentToken: string | undefined, callback = 'http://192.0.2.9:9999') => {
    const answer = await fetch(`${url}/v1/heartbeat/${node.uuid}`, {
      method: 'POST',
      headers: { 'x-openstack-ironic-api-version': '1.68', 'content-type': 'application/json' },
      body: JSON.stringify({ callback_url: callback, agent_token: agentToken, agent_version: '9' }),
    });
    return { status: answer.status, text: await answer.text() };
  };
  const tokenOf = async (address = mac) => (await baremetal.bootIntent(address))?.token ?? '';
  return { world, baremetal, node, lookup, beat, tokenOf, set };
}

describe('boot tokens', () => {
  it('is the same at every fetch until the first heartbeat burns it; a lookup repeats the agent token until then', async () => {
    const { baremetal, lookup, beat, tokenOf } = await setUp();
    const token = await tokenOf();
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(await tokenOf(mac.toUpperCase())).toBe(token);
    expect((await baremetal.bootIntent(mac))?.agentArguments).toEqual({ 'uc-boot-token': token });
    const first = await lookup(token);
    expect(first.status).toBe(200);
    const agentToken = first.body.config?.agent_token;
    expect((await lookup(token)).body.config?.agent_token).toBe(agentToken);
    expect((await beat(agentToken)).status).toBe(202);
    expect((await lookup(token)).status).toBe(404);
    const refused = await baremetal.bootIntent(mac);
    expect(refused).toMatchObject({ intent: 'none', reason: expect.stringContaining('burnt') });
    expect(refused?.token).toBeUndefined();
  });

  it('belongs to one MAC and one power cycle', async () => {
    const { lookup, tokenOf, set } = await setUp();
    const token = await tokenOf();
    expect(await tokenOf(other)).not.toBe(token);
    expect((await lookup(token, other)).status).toBe(404);
    await set({ powerCycle: 2 });
    expect((await lookup(token)).status).toBe(404);
    expect(await tokenOf()).not.toBe(token);
  });

  it('gives nothing for a made-up token, nor to a machine whose state expects no agent', async () => {
    const { lookup, tokenOf, set } = await setUp();
    expect((await lookup('made-up')).status).toBe(404);
    const token = await tokenOf();
    await set({ provisionState: 'active' });
    expect((await lookup(token)).status).toBe(404);
  });

  it('lets a stock agent in by its addresses once, but not where a boot token was handed out', async () => {
    const { lookup, beat, tokenOf, set } = await setUp();
    const stock = await lookup(null);
    expect(stock.body.config?.agent_token).toMatch(/^[\w-]{43}$/);
    expect((await lookup(null)).body.config?.agent_token).toBe('******');
    expect((await beat(stock.body.config?.agent_token)).status).toBe(202);
    await set({ powerCycle: 2 });
    await tokenOf();
    expect((await lookup(null)).status).toBe(404);
  });

  it('refuses heartbeats with a wrong token, none, or another address', async () => {
    const { lookup, beat, tokenOf } = await setUp();
    const agentToken = (await lookup(await tokenOf())).body.config?.agent_token;
    expect(await beat('wrong')).toMatchObject({
      status: 400,
      text: expect.stringContaining('Invalid or missing agent token received.'),
    });
    expect(await beat(undefined)).toMatchObject({
      status: 400,
      text: expect.stringContaining('Agent token is required'),
    });
    expect((await beat(agentToken)).status).toBe(202);
    expect((await beat(agentToken, 'http://192.0.2.66:9999')).text).toContain('callback_url');
  });

  it('keeps no secret in the database, in events or in answers', async () => {
    const { world, baremetal, node, lookup, beat, tokenOf } = await setUp();
    const token = await tokenOf();
    const agentToken = (await lookup(token)).body.config?.agent_token ?? '';
    await beat(agentToken);
    await world.recorder.drain();
    const dump: string[] = [JSON.stringify(await baremetal.findNode(world.context, node.uuid))];
    for (const table of [
      'baremetal.nodes',
      'baremetal.boot_tokens',
      'baremetal.agents',
      'core.events',
      'core.operations',
    ]) {
      const { rows } = await sql.raw(`select to_jsonb(t) from ${table} t`).execute(world.db.kysely);
      dump.push(JSON.stringify(rows));
    }
    for (const secret of ['hidden-secret', token, agentToken]) expect(dump.join('\n')).not.toContain(secret);
  });
});
