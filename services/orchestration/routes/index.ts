/** Heat v1 over HTTP. Mounted at /orchestration; serves versions at / and the API at /v1/{project}. */
import { fault } from '../../core/errors/index.ts';
import { type Api, type Authenticate, baseUrl, errorsAs, type Routes, requireToken } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import type { Stacks } from '../stacks.ts';
import { actionRoutes } from './actions.ts';
import { refuseDeepBody, refusingLargeBodies } from './bounds.ts';
import { heatError, mayUse, refused } from './dialect.ts';
import { eventRoutes } from './events.ts';
import { planRoutes } from './plans.ts';
import { previewRoutes } from './previews.ts';
import { resourceRoutes } from './resources.ts';
import { snapshotRoutes } from './snapshots.ts';
import { softwareRoutes } from './software.ts';
import { stackRoutes } from './stacks.ts';
import { templateRoutes } from './templates.ts';

export function createRoutes(desk: Desk, stacks: Stacks, authenticate: Authenticate): Routes {
  return async (api) => {
    const answer = refusingLargeBodies(errorsAs(heatError));
    api.setErrorHandler((error, request, reply) => answer(refused(error), request, reply));
    api.setNotFoundHandler((request) => {
      throw fault('not-found', { what: `${request.method} ${request.url.split('?')[0]}` });
    });
    api.get('/', async (request, reply) => {
      const href = `${baseUrl(request, '/orchestration', desk.publicUrl)}/v1/`;
      return reply.status(300).send({ versions: [{ id: 'v1.0', status: 'CURRENT', links: [{ rel: 'self', href }] }] });
    });
    // Heat asks who it is before it says that there is nothing without a project.
    api.get('/v1', { onRequest: requireToken(authenticate) }, () => {
      throw fault('not-found', { what: 'GET /v1 without a project' });
    });
    await api.register(
      async (scope) => {
        const v1 = scope as unknown as Api;
        v1.addHook('onRequest', requireToken(authenticate));
        v1.addHook('onRequest', mayUse);
        v1.addHook('preValidation', refuseDeepBody);
        templateRoutes(v1, desk);
        stackRoutes(v1, desk, stacks);
        previewRoutes(v1, desk, stacks);
        planRoutes(v1, desk, stacks);
        snapshotRoutes(v1, desk, stacks);
        resourceRoutes(v1, desk, stacks);
        eventRoutes(v1, desk, stacks);
        actionRoutes(v1, stacks);
        softwareRoutes(v1, desk);
      },
      { prefix: '/v1/:project' },
    );
  };
}
