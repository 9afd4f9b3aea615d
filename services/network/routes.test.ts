import { expect, it } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { fault } from '../core/errors/index.ts';
import { createApi } from '../core/http/index.ts';
import { createNetwork } from './index.ts';

async function room() {
  const world = await createWorld();
  const network = createNetwork(world, {
    authenticate: async (token) => {
      if (token !== 'good') throw fault('unauthorized');
      return world.context;
    },
  });
  const api = createApi();
  api.register(network.routes, { prefix: '/network' });
  const call = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, body?: object, token = 'good') => {
    const headers = { 'x-auth-token': token, host: 'cloud:6385' };
    const answer = await api.inject({ method, url: `/network${url}`, headers, ...(body && { payload: body }) });
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() };
  };
  return { world, network, call };
}

it('tells its version to everybody and the rest to those with a token', async () => {
  const { call } = await room();
  const versions = await call('GET', '/', undefined, '');
  expect(versions.body.versions).toEqual([
    { id: 'v2.0', status: 'CURRENT', links: [{ href: 'http://cloud:6385/network/v2.0/', rel: 'self' }] },
  ]);
  expect(await call('GET', '/v2.0/networks', undefined, 'bad')).toMatchObject({
    status: 401,
    body: { NeutronError: { type: 'HTTPUnauthorized' } },
  });
});

it('makes several in one call and pages through them', async () => {
  const { call } = await room();
  const networks = ['a', 'b', 'c', 'd'].map((name) => ({ name }));
  const made = await call('POST', '/v2.0/networks', { networks });
  expect(made.status).toBe(201);
  expect(made.body.networks.map((one: { name: string }) => one.name)).toEqual(['a', 'b', 'c', 'd']);
  const names: string[][] = [];
  let url: string | undefined = '/v2.0/networks?sort_key=name&sort_dir=desc&limit=3&fields=name';
  while (url) {
    const page: { status: number; body: Record<string, { name: string; rel: string; href: string }[]> } = await call(
      'GET',
      url,
    );
    names.push((page.body.networks ?? []).map((one) => one.name));
    expect(Object.keys(page.body.networks?.[0] ?? {})).toEqual(['name']);
    const next = page.body.networks_links?.find((link) => link.rel === 'next');
    url = next?.href.replace(/^.*(?=\/v2\.0)/, '');
  }
  expect(names).toEqual([['d', 'c', 'b'], ['a']]);
  expect((await call('GET', '/v2.0/networks?limit=x')).status).toBe(400);
  expect((await call('GET', '/v2.0/networks?marker=nothing')).status).toBe(400);
  expect((await call('GET', '/v2.0/networks?name=a&name=d')).body.networks).toHaveLength(2);
});

it('refuses bad input in Neutron’s shape and words', async () => {
  const { call } = await room();
  const { body: made } = await call('POST', '/v2.0/networks', { network: { name: 'n' } });
  const network_id = made.network.id;
  const cases: [string, object, number, string, RegExp][] = [
    ['networks', { network: { nonsense: 1 } }, 400, 'InvalidInput', /Unrecognized attribute\(s\) 'nonsense'/],
    ['networks', { network: { status: 'DOWN' } }, 400, 'InvalidInput', /'status' not allowed in POST/],
    ['networks', { network: { mtu: 'many' } }, 400, 'InvalidInput', /Invalid input for mtu/],
    ['networks', { network: { 'provider:network_type': 'vxlan' } }, 400, 'InvalidInput', /neither flat nor vlan/],
    ['networks', {}, 400, 'InvalidInput', /the body has to be/],
    ['subnets', { subnet: { network_id } }, 400, 'InvalidInput', /Required attribute 'cidr'/],
    ['subnets', { subnet: { network_id: 'x', cidr: '10.0.0.0/8' } }, 404, 'NetworkNotFound', /Network x could not/],
    ['subnets', { subnet: { network_id, cidr: '10.0.0.0/8', ip_version: 5 } }, 400, 'InvalidInput', /ip_version/],
    ['ports', { port: { network_id, security_groups: ['sg'] } }, 404, 'SecurityGroupNotFound', /sg does not exist/],
    ['ports', { port: { network_id, qos_policy_id: 'q' } }, 400, 'InvalidInput', /no meaning on bare metal/],
    ['ports', { port: { network_id, fixed_ips: 'all' } }, 400, 'InvalidInput', /fixed_ips/],
    ['ports', { port: { network_id, fixed_ips: [{ ip_address: '10.0.0.1' }] } }, 400, 'InvalidInput', /not a valid IP/],
    ['routers', { router: {} }, 400, 'InvalidInput', /has none of these/],
  ];
  for (const [path, body, status, type, message] of cases) {
    const answer = await call('POST', `/v2.0/${path}`, body);
    expect([path, answer.status, answer.body.NeutronError?.type]).toEqual([path, status, type]);
    expect(answer.body.NeutronError.message).toMatch(message);
  }
  expect(await call('GET', '/v2.0/ports/n')).toMatchObject({
    status: 404,
    body: { NeutronError: { type: 'PortNotFound' } },
  });
  expect(await call('PUT', `/v2.0/networks/${network_id}`, { network: { project_id: 'x' } })).toMatchObject({
    status: 400,
  });
  expect((await call('DELETE', `/v2.0/networks/${network_id}`)).status).toBe(204);
  expect((await call('GET', `/v2.0/networks/${network_id}`)).status).toBe(404);
});

it('keeps tags, and finds by them', async () => {
  const { call } = await room();
  const ids: string[] = [];
  for (const name of ['x', 'y'])
    ids.push((await call('POST', '/v2.0/networks', { network: { name } })).body.network.id);
  expect((await call('PUT', `/v2.0/networks/${ids[0]}/tags`, { tags: ['red', 'blue', 'red'] })).body.tags).toEqual([
    'red',
    'blue',
  ]);
  const found = async (query: string) =>
    (await call('GET', `/v2.0/networks?${query}`)).body.networks.map((one: { name: string }) => one.name);
  expect(await found('tags=red,blue')).toEqual(['x']);
  expect(await found('tags=red,green')).toEqual([]);
  expect(await found('tags-any=green,blue')).toEqual(['x']);
  expect(await found('not-tags-any=red')).toEqual(['y']);
  expect((await call('DELETE', `/v2.0/networks/${ids[0]}/tags`)).status).toBe(204);
  expect(await found('tags=red')).toEqual([]);
});
