import { expect, it } from 'vitest';
import { systemContext } from '../context.ts';
import { createApi, requireToken, requireWriter } from './index.ts';

const methods = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

it.each([
  ['admin', methods],
  ['member', methods],
  ['reader', ['GET', 'HEAD', 'OPTIONS']],
  ['heat_stack_user', ['GET', 'HEAD', 'OPTIONS']],
] as const)('a token with the role %s may %s', async (role, allowed) => {
  const api = createApi();
  api.addHook(
    'onRequest',
    requireToken(async (token) => ({ ...systemContext(), roles: [token] })),
  );
  api.addHook('onRequest', requireWriter);
  api.route({ method: [...methods], url: '/thing', handler: async () => 'done' });
  for (const method of methods) {
    const answer = await api.inject({ method, url: '/thing?x=1', headers: { 'x-auth-token': role } });
    if ((allowed as readonly string[]).includes(method)) expect(answer.statusCode).toBe(200);
    else {
      expect(answer.statusCode).toBe(403);
      expect(answer.json().error.message).toContain(`${method} /thing.`);
      expect(answer.json().error.message).toContain('admin, member');
    }
  }
});
