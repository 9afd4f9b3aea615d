import { expect, it } from 'vitest';
import { atRest, hastyClock, stage } from '../../test/setup/stacks.ts';
import { createWorld } from '../../test/setup/world.ts';

const template = (length: number, wait: boolean) => ({
  heat_template_version: '2021-04-16',
  resources: {
    r: { type: 'OS::Heat::RandomString', properties: { length } },
    ...(wait && { t: { type: 'OS::Heat::TestResource', properties: { action_wait_secs: { create: 36_000 } } } }),
  },
});

it('begins what waits for the present action’s end once it can, and says meanwhile why not', async () => {
  const world = await createWorld({ clock: hastyClock() });
  let refusals = 0;
  const { promise: refused, resolve: refuse } = Promise.withResolvers<void>();
  const operations: typeof world.operations = {
    ...world.operations,
    async start(tx, operation, start) {
      if (operation.kind === 'orchestration.update' && refusals < 2) {
        refusals += 1;
        if (refusals === 2) refuse();
        throw new Error('the database is away');
      }
      return world.operations.start(tx, operation, start);
    },
  };
  const { orchestration } = stage({ ...world, operations });
  await world.operations.run({ sole: true });
  await orchestration.start();
  const { context } = world;
  await orchestration.createStack(context, 's', { template: template(8, true) });
  await world.heard('resource.waiting');
  await orchestration.updateStack(context, 's', { template: template(9, false) }).catch(() => {});
  await refused;
  expect(await atRest(world, orchestration, 's')).toBe('UPDATE_COMPLETE');
  expect(refusals).toBe(2);
  const told = (await world.db.pool.query('select pending, reason from orchestration.stacks')).rows;
  expect(told).toEqual([{ pending: null, reason: 'Stack UPDATE completed successfully' }]);
  orchestration.stop();
});
