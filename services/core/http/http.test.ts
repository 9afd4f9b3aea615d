import Type from 'typebox';
import { expect, it } from 'vitest';
import { systemContext } from '../context.ts';
import { fault } from '../errors/index.ts';
import { createApi, errorsAs, requireToken } from './index.ts';

it('answers each dialect in its own error shape, with a request id', async () => {
  const api = createApi();
  api.register(
    async (plain) => {
      plain.setErrorHandler(errorsAs((error) => ({ error_message: JSON.stringify({ faultstring: error.sentence }) })));
      plain.get('/x', async () => {
        throw fault('not-found', { what: 'Node n1' });
      });
    },
    { prefix: '/baremetal' },
  );
  const answer = await api.inject('/baremetal/x');
  expect(answer.statusCode).toBe(404);
  expect(answer.headers['x-openstack-request-id']).toMatch(/^req-/);
  expect(JSON.parse(answer.json().error_message)).toEqual({ faultstring: 'Node n1 could not be found.' });
});

it('names the field that is wrong, and refuses what is not JSON', async () => {
  const api = createApi();
  api.post('/y', { schema: { body: Type.Object({ name: Type.String() }) } }, async (request) => request.body);
  const wrong = await api.inject({ method: 'POST', url: '/y', payload: { name: { a: 1 } } });
  expect(wrong.statusCode).toBe(400);
  expect(wrong.json().error.message).toContain('body/name');
  const broken = await api.inject({
    method: 'POST',
    url: '/y',
    payload: '{',
    headers: { 'content-type': 'application/json' },
  });
  expect(broken.statusCode).toBe(400);
  expect(broken.json().error.message).toContain('not JSON');
});

it('lets nobody in without a token', async () => {
  const api = createApi();
  api.register(async (plain) => {
    plain.addHook(
      'onRequest',
      requireToken(async (token, id) => ({ ...systemContext(id), userId: token })),
    );
    plain.get('/z', async (request) => request.context.userId);
  });
  expect((await api.inject('/z')).statusCode).toBe(401);
  expect((await api.inject({ url: '/z', headers: { 'x-auth-token': 'me' } })).body).toBe('me');
});
