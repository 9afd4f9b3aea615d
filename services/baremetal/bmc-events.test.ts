import { expect, it } from 'vitest';
import { createWorld } from '../../test/setup/world.ts';
import { fault } from '../core/errors/index.ts';
import { createApi } from '../core/http/index.ts';
import { createPower } from '../power/index.ts';
import { createBaremetal } from './index.ts';

it('takes a BMC’s event by the token in its path alone, and tells an unknown one that it is not wanted', async () => {
  const world = await createWorld();
  const heard: unknown[] = [];
  const power = {
    ...createPower(world),
    pushed(token: string, payload: unknown) {
      heard.push(payload);
      return token === 'the-right-one';
    },
  };
  const baremetal = createBaremetal(world, {
    power,
    images: { deployInfo: () => Promise.reject(new Error('no image is wanted here')) },
    authenticate: () => Promise.reject(fault('unauthorized')),
    fleet: null,
  });
  const api = createApi();
  await api.register(baremetal.routes, { prefix: '/baremetal' });
  const post = (token: string, payload: string | object, type = 'application/json') =>
    api.inject({
      ...{ method: 'POST', url: `/baremetal/v1/bmc-events/some-node/${token}` },
      ...{ payload, headers: { 'content-type': type } },
    });
  const event = { Events: [{ MessageId: 'ResourceEvent.1.0.ResourcePoweredOn' }] };
  expect((await post('the-right-one', event, 'application/json;charset=utf-8')).statusCode).toBe(204);
  expect(heard).toEqual([event]);
  expect((await post('another', event)).statusCode).toBe(410);
  // What is no JSON, and what is too much of it, is refused before it comes to anybody.
  expect((await post('the-right-one', '{"Events":')).statusCode).toBe(400);
  expect((await post('the-right-one', JSON.stringify('x'.repeat(2 ** 21)))).statusCode).toBe(413);
  expect(heard).toHaveLength(2);
  expect((await api.inject({ url: '/baremetal/v1/bmcs/fleet' })).statusCode).toBe(401);
  await api.close();
});
