/** Our own routes beside Heat's: plans, their carrying out, which resource needs which, and drift. */
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import { drift } from '../drift.ts';
import { applyPlan, makePlan } from '../plan/index.ts';
import { showTree } from '../show.ts';
import type { Stacks } from '../stacks.ts';
import { linksFor, type StackPath, stackLink } from './dialect.ts';
import { bodyOf, stackUpdate, stackWish, startOptions } from './wishes.ts';

export function planRoutes(api: Api, desk: Desk, stacks: Stacks): void {
  /** The stack need not be there yet. With `existing`, what is not given stays as it is. */
  api.post<{ Params: { stack: string } }>('/stacks/:stack/plan', async (request, reply) => {
    const body = bodyOf(request.body);
    const wish = body.existing === true ? stackUpdate(body, true) : stackWish(body);
    const { policy } = wish;
    const made = await makePlan(desk, stacks, request.context, { name: request.params.stack, wish, policy });
    return reply.header('content-type', 'application/json').send(made.text);
  });

  api.post('/plans/apply', async (request, reply) => {
    const body = bodyOf(request.body);
    const stack = await applyPlan(desk, stacks, request.context, { file: body.plan, options: startOptions(body) });
    const link = linksFor(desk, request);
    return reply
      .status(202)
      .header('location', link(stack))
      .send({ stack: stackLink(link, stack) });
  });

  /** What is not any more as it was made. */
  api.get<StackPath>('/stacks/:stack/:id/drift', async (request) => {
    const row = await stacks.find(request.context, request.params.id);
    if (row.deleted_at) throw fault('stack-not-found', { stack: row.name });
    const resources = await drift(desk, request.context, await showTree(desk, row));
    return { stack: row.name, resources };
  });

  /** Which resource needs which, by the template alone. */
  api.post('/graph', async (request) => {
    const { files = {}, ...wish } = stackWish(bodyOf(request.body));
    const stack = { id: 'None', name: 'None', project_id: request.context.projectId ?? '' };
    return { resources: await desk.reader.ask('graph', { wish, present: null, files, stack }) };
  });
}
