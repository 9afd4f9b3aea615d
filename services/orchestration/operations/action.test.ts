import { atRest, newOutside, type Outside, stage } from '../../../test/setup/stacks.ts';
import { createWorld, type World } from '../../../test/setup/world.ts';
import { operationConformance } from '../../core/operations/conformance.ts';
import type { Operation } from '../../core/operations/index.ts';
import type { Desk } from '../desk.ts';
import type { Plain } from '../model.ts';
import { type ActionParams, createActions } from './action.ts';

const template = (length: number): { [key: string]: Plain } => ({
  heat_template_version: '2021-04-16',
  resources: {
    r: { type: 'OS::Heat::RandomString', properties: { length } },
    s: {
      type: 'OS::Nova::Server',
      properties: { image: 'lab', flavor: 'baremetal', user_data: { get_attr: ['r', 'value'] } },
    },
    g: { type: 'OS::Heat::ResourceGroup', properties: { count: 2, resource_def: { type: 'OS::Heat::None' } } },
  },
});

const acts = {
  CREATE: (one: ReturnType<typeof stage>, world: World) =>
    one.orchestration.createStack(world.context, 's', { template: template(8) }),
  UPDATE: (one: ReturnType<typeof stage>, world: World) =>
    one.orchestration.updateStack(world.context, 's', { template: template(9) }),
  DELETE: (one: ReturnType<typeof stage>, world: World) => one.orchestration.deleteStack(world.context, 's'),
} as const;

for (const action of ['CREATE', 'UPDATE', 'DELETE'] as const) {
  // What the checks wrap is known before there is a world to run it in: its steps ask the world of the moment.
  let present: Operation<ActionParams> | null = null;
  const shape = createActions({ desk: { house: { db: {} } } as Desk, afterEnd: () => {} })[action];
  const now = (): Operation<ActionParams> => {
    if (!present) throw new Error('no world yet');
    return present;
  };
  const operation: Operation<ActionParams> = {
    ...shape,
    steps: shape.steps.map((step, index) => ({
      ...step,
      do: (run) => (now().steps[index] as (typeof shape.steps)[number]).do(run),
    })),
    succeeded: async (run, tx) => now().succeeded?.(run, tx),
    failed: async (run, error, tx) => now().failed?.(run, error, tx),
  };
  operationConformance<ActionParams>({
    operation,
    async stage(world, wrapped, outer, life) {
      const outside = (outer.get('outside') as Outside | undefined) ?? newOutside();
      outer.set('outside', outside);
      if (life === 1 && action !== 'CREATE') {
        const before = await createWorld({ databaseUrl: world.databaseUrl, owner: 'before', keep: true });
        const { orchestration } = stage(before, { outside });
        await before.operations.run({ sole: true });
        await orchestration.start();
        await orchestration.createStack(before.context, 's', { template: template(8) });
        await atRest(before, orchestration, 's');
        await before.close();
      }
      const own = stage(
        {
          ...world,
          operations: {
            ...world.operations,
            // The operation as orchestration made it for this world; what the checks made of it is what runs.
            register(made) {
              if (made.kind === wrapped.kind) {
                present = made as unknown as Operation<ActionParams>;
                world.operations.register(wrapped);
              } else world.operations.register(made);
            },
          },
        },
        { outside },
      );
      await own.orchestration.start();
      return {
        async start() {
          await acts[action](own, world);
          const { rows } = await world.db.pool.query(
            `select id from core.operations where subject_type = 'stack' and kind = $1 order by created_at desc limit 1`,
            [wrapped.kind],
          );
          return rows[0].id as string;
        },
        async observe() {
          const rows = await world.db.pool.query(
            'select name, action, status, current from orchestration.resources order by name',
          );
          const stacks = await world.db.pool.query(
            'select action, status, deleted_at is null as here, parent_resource from orchestration.stacks order by parent_resource nulls first',
          );
          return { resources: rows.rows, stacks: stacks.rows, servers: outside.servers.size, nodes: outside.nodes };
        },
      };
    },
  });
}
