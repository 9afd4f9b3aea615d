/** Redis carries wakes and nothing else: emptied in the middle of whatever a stack does, it changes nothing. */
import { Redis } from 'ioredis';
import { expect, inject, it, onTestFinished } from 'vitest';
import { playCalmly } from '../../test/setup/stack-lives.ts';
import { atRest, hastyClock, newOutside, stage } from '../../test/setup/stacks.ts';
import { createWorld, type World } from '../../test/setup/world.ts';
import { createApi } from '../core/http/index.ts';
import { createWakeQueue } from '../core/queue.ts';

const connect = (): Redis => {
  const redis = new Redis({ path: inject('redisUrl').slice('unix://'.length) });
  onTestFinished(() => redis.disconnect());
  return redis;
};

it('ends where an undisturbed run ends, with Redis emptied at each transition', async () => {
  const calm = await playCalmly();
  const redis = connect();
  const emptied: Promise<unknown>[] = [];
  const queue = createWakeQueue({ url: inject('redisUrl'), owner: 'orchestration', onWake: () => {} });
  onTestFinished(() => queue.close());
  const disturbed = await playCalmly({
    tell: (owner, operation) => queue.tell(owner, operation),
    onMoment: () => void emptied.push(redis.flushall()),
  });
  await Promise.all(emptied);
  expect(emptied.length).toBeGreaterThan(400);
  for (const [act, { end, seen }] of calm) expect(disturbed.get(act), act).toMatchObject({ end, seen });
});

it('finds a signal that another process took, though its wake was lost with Redis', async () => {
  const redis = connect();
  const clock = hastyClock();
  const outside = newOutside();
  const told: string[] = [];
  let lost = Promise.resolve<unknown>(null);
  /** A process; the wakes that it sends are gone before they are read. */
  async function open(owner: string, databaseUrl?: string) {
    let world: World | null = null;
    const onWake = (operation: string) => world?.operations.wakeOperation(operation);
    const queue = createWakeQueue({ url: inject('redisUrl'), owner, onWake });
    onTestFinished(() => queue.close());
    world = await createWorld({
      owner,
      clock,
      ...(databaseUrl && { databaseUrl }),
      tell(to) {
        told.push(to);
        lost = redis.flushall();
      },
    });
    const { orchestration } = stage(world, { outside });
    await orchestration.start();
    onTestFinished(() => orchestration.stop());
    return { world, orchestration };
  }
  const holder = await open('holder');
  await holder.world.operations.run({ sole: true });
  const asker = await open('asker', holder.world.databaseUrl);
  const { context } = holder.world;
  const { id } = await holder.orchestration.createStack(context, 's', {
    template: {
      heat_template_version: '2021-04-16',
      resources: {
        h: { type: 'OS::Heat::WaitConditionHandle' },
        w: { type: 'OS::Heat::WaitCondition', properties: { handle: { get_resource: 'h' }, timeout: 3_600 } },
      },
    },
  });
  await holder.world.heard('resource.waiting');
  const api = createApi();
  await api.register(asker.orchestration.routes, { prefix: '/orchestration' });
  const answer = await api.inject({
    method: 'POST',
    url: `/orchestration/v1/${context.projectId}/stacks/s/${id}/resources/h/signal`,
    headers: { 'x-auth-token': 't' },
    payload: { status: 'SUCCESS', id: '1', reason: '', data: '' },
  });
  expect(answer.statusCode, answer.body).toBe(200);
  expect(await atRest(holder.world, holder.orchestration, 's')).toBe('CREATE_COMPLETE');
  expect(told).toEqual(['holder']);
  await lost;
});
