/** Orchestration's front door: stacks laid out from templates (Heat v1 and CFN), and what their agents are told. */
import type { Context } from '../core/context.ts';
import type { House } from '../core/house.ts';
import type { Authenticate, Routes } from '../core/http/index.ts';
import { createCfnRoutes } from './cfn/routes.ts';
import type { Desk, OrchestrationDeps } from './desk.ts';
import { type Drift, drift } from './drift.ts';
import { builtInCatalog } from './language/index.ts';
import {
  type Plain,
  type Stack,
  type StackActivity,
  type StackOutput,
  type StackUpdate,
  type StackWish,
  stackSubject,
} from './model.ts';
import { createObjects } from './objects/objects.ts';
import { sharedReader } from './reading/pool.ts';
import { createRoutes } from './routes/index.ts';
import { scale } from './scaling.ts';
import { showOutputs, showTree, stackActivity } from './show.ts';
import { createBell } from './software/bell.ts';
import { createStacks } from './stacks.ts';
import { resourcesFor } from './store/resources.ts';
import { createTempUrlRoutes } from './temp-urls/routes.ts';

export type { OrchestrationDeps } from './desk.ts';
export type * from './model.ts';
export { stackSubject } from './model.ts';

export interface Orchestration {
  /** Heat v1, mounted at /orchestration. */
  readonly routes: Routes;
  /** CFN's query API and signed signals, mounted at /cfn. Agents sign; no token. */
  readonly cfnRoutes: Routes;
  /** Containers and objects, and temporary URLs, mounted at /object. The latter are signed; no token. */
  readonly tempUrlRoutes: Routes;
  /** Checks all that can be checked now, then starts. @throws Fault `template-invalid`, `template-wish-unmet`, `stack-exists` */
  createStack(context: Context, name: string, wish: StackWish): Promise<Stack>;
  /** During another action: that one is cut short and this one follows. */
  updateStack(context: Context, idOrName: string, wish: StackUpdate): Promise<Stack>;
  deleteStack(context: Context, idOrName: string): Promise<void>;
  /** The stack is forgotten; what it made stays. Gives it as data, which `createStack` adopts. */
  abandonStack(context: Context, idOrName: string): Promise<{ readonly [key: string]: Plain }>;
  cancelStack(context: Context, idOrName: string, options: { rollback: boolean }): Promise<void>;
  /** By id, name or `name/id`; deleted ones by id. @throws Fault `stack-not-found` */
  findStack(context: Context, idOrName: string): Promise<Stack>;
  listStacks(context: Context): Promise<Stack[]>;
  outputs(context: Context, idOrName: string): Promise<StackOutput[]>;
  /** Every resource with what it waits for, nested ones below theirs. */
  activity(context: Context, idOrName: string): Promise<StackActivity>;
  /** What is not any more as it was made. */
  drift(context: Context, idOrName: string): Promise<Drift[]>;
  start(): Promise<void>;
  stop(): void;
}

/** What tells that a server of a stack may have moved on. */
const serverNews: ReadonlySet<string> = new Set([
  'server.status',
  'server.deleted',
  'operation.waiting',
  'operation.failed',
  'operation.succeeded',
]);

/** As often as operations are swept. */
const sweepMs = 5_000;

export function createOrchestration(
  house: House,
  deps: OrchestrationDeps & { authenticate: Authenticate },
): Orchestration {
  const desk: Desk = {
    ...deps,
    house,
    types: builtInCatalog,
    reader: deps.reader ?? sharedReader(),
    bell: createBell(),
    objects: createObjects(house.db),
    scale: (target) => scale(desk, target, stacks.redo),
  };
  const stacks = createStacks(desk);
  let leave = () => {};
  let endSweep = () => {};
  return {
    routes: createRoutes(desk, stacks, deps.authenticate),
    cfnRoutes: createCfnRoutes(desk, stacks),
    tempUrlRoutes: createTempUrlRoutes(desk, deps.authenticate),
    createStack: stacks.create,
    updateStack: stacks.update,
    deleteStack: stacks.remove,
    abandonStack: stacks.abandon,
    cancelStack: stacks.cancel,
    findStack: stacks.find,
    listStacks: (context) => stacks.list(context),
    outputs: async (context, idOrName) => showOutputs(await showTree(desk, await stacks.find(context, idOrName))),
    activity: async (context, idOrName) => stackActivity(desk, await stacks.find(context, idOrName)),
    drift: async (context, idOrName) =>
      drift(desk, context, await showTree(desk, await stacks.find(context, idOrName))),
    async start() {
      leave = house.recorder.subscribe((event) => {
        if (event.subject.type !== 'server' || !serverNews.has(event.kind)) return;
        resourcesFor(house.db, event.subject.id)
          .then((rows) => {
            for (const { root_id } of rows) house.operations.wake(stackSubject(root_id));
          })
          .catch(() => {});
      });
      await stacks.startPending();
      const sweep = () => {
        endSweep = house.clock.after(sweepMs, () => {
          sweep();
          // The database may be away: the next one asks it again.
          stacks.startPending().catch(() => {});
        });
      };
      sweep();
    },
    stop() {
      endSweep();
      desk.bell.close();
      leave();
    },
  };
}
