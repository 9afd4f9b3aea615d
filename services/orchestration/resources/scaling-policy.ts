/** OS::Heat::ScalingPolicy: a signal to it moves the capacity of its group. */
import { randomUUID } from 'node:crypto';
import { done, type Handler, type Work } from '../engine/handler.ts';
import type { Properties } from '../engine/state.ts';
import { dropCredential, ensureCredential, type Holder, signalUrl } from '../software/credentials.ts';
import type { Scaled } from './auto-scaling-group.ts';

const holderOf = (work: Work): Holder => ({ id: work.id, name: work.name, stack: work.stack });

/** `percent_change_in_capacity` moves by at least one, away from zero, as Heat rounds it. */
export function adjusted(current: number, properties: Properties): number {
  const by = Number(properties.scaling_adjustment);
  switch (properties.adjustment_type) {
    case 'exact_capacity':
      return by;
    case 'percent_change_in_capacity': {
      const delta = (current * by) / 100;
      const whole = Math.abs(delta) < 1 ? Math.sign(delta) : Math.trunc(delta);
      const least = Number(properties.min_adjustment_step ?? 0);
      return current + (Math.abs(whole) < least ? Math.sign(delta) * least : whole);
    }
    default:
      return current + by;
  }
}

/** Seconds until the policy may move the group again; 0: now. */
export function cooldownLeft(properties: Properties, scaled: Scaled | null, now: number): number {
  const cooldown = Number(properties.cooldown ?? 0);
  return scaled ? Math.max(0, Math.ceil(cooldown - (now - scaled.at) / 1000)) : 0;
}

export const scalingPolicy: Handler = {
  type: 'OS::Heat::ScalingPolicy',
  backend: 'database',
  async create(work) {
    if (work.physicalId !== null) return done;
    await work.commit(async (tx) => {
      const credential = await ensureCredential(work.desk, tx, holderOf(work), { user: false });
      const url = signalUrl(work.desk, holderOf(work), credential, 'signal', new Date(work.now));
      return { physicalId: randomUUID(), data: { url } };
    });
    return done;
  },
  update: () => done,
  async delete(work) {
    await work.commit(async (tx) => {
      await dropCredential(work.desk, tx, work.id);
      return {};
    });
    return done;
  },
  attributes({ data, desk, stack, name }) {
    const of = `${encodeURIComponent(stack.name)}/${stack.id}/resources/${encodeURIComponent(name)}`;
    return {
      alarm_url: data.url ?? '',
      signal_url: `${desk.heatUrl}/${stack.projectId}/stacks/${of}/signal`,
    };
  },
  signal: (_body, { name }) => `${name} was asked to scale`,
};
