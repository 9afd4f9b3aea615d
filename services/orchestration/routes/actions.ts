/** /actions: one key in the body names what is to be done. */
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { Stacks } from '../stacks.ts';
import type { StackPath } from './dialect.ts';
import { bodyOf } from './wishes.ts';

export function actionRoutes(api: Api, stacks: Stacks): void {
  const actions: Readonly<Record<string, (request: Parameters<Stacks['cancel']>[0], id: string) => Promise<void>>> = {
    cancel_update: (context, id) => stacks.cancel(context, id, { rollback: true }),
    cancel_without_rollback: (context, id) => stacks.cancel(context, id, { rollback: false }),
    check: (context, id) => stacks.visit(context, id, 'CHECK'),
    suspend: (context, id) => stacks.visit(context, id, 'SUSPEND'),
    resume: (context, id) => stacks.visit(context, id, 'RESUME'),
  };
  for (const path of ['/stacks/:stack', '/stacks/:stack/:id']) {
    api.post<StackPath>(`${path}/actions`, async (request, reply) => {
      const body = bodyOf(request.body);
      const [name, ...more] = Object.keys(body);
      if (name === undefined) throw fault('bad-request', { reason: 'No action specified' });
      if (more.length > 0) throw fault('bad-request', { reason: 'Multiple actions specified' });
      const action = actions[name];
      if (!action) throw fault('action-unsupported', { action: name });
      await action(request.context, request.params.id ?? request.params.stack);
      return reply.status(200).send();
    });
  }
}
