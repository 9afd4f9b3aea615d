/** OS::Heat::ScalingPolicy and AWS's: a signal to it moves the capacity of its group. */
import { randomUUID } from 'node:crypto';
import { done, type Handler, type Work } from '../engine/handler.ts';
import type { Properties } from '../engine/state.ts';
import { dropCredential, ensureCredential, type Holder, signalUrl } from '../software/credentials.ts';
import type { Scaled } from './scaling-groups.ts';

const holderOf = (work: Work): Holder => ({ id: work.id, name: work.name, stack: work.stack });

/** A policy's wishes, whichever dialect they are written in. */
export interface Adjustment {
  readonly kind: 'change' | 'exact' | 'percent';
  readonly by: number;
  readonly least: number;
  readonly cooldownSeconds: number;
}

const kinds: Readonly<Record<string, Adjustment['kind']>> = {
  change_in_capacity: 'change',
  exact_capacity: 'exact',
  percent_change_in_capacity: 'percent',
  ChangeInCapacity: 'change',
  ExactCapacity: 'exact',
  PercentChangeInCapacity: 'percent',
};

export const adjustmentOf = (properties: Properties): Adjustment => ({
  kind: kinds[String(properties.adjustment_type ?? properties.AdjustmentType)] ?? 'change',
  by: Number(properties.scaling_adjustment ?? properties.ScalingAdjustment),
  least: Number(properties.min_adjustment_step ?? properties.MinAdjustmentStep ?? 0),
  cooldownSeconds: Number(properties.cooldown ?? properties.Cooldown ?? 0),
});

/** A percentage moves by at least one, away from zero, as Heat rounds it. */
export function adjusted(current: number, { kind, by, least }: Adjustment): number {
  if (kind === 'exact') return by;
  if (kind === 'change') return current + by;
  const delta = (current * by) / 100;
  const whole = Math.abs(delta) < 1 ? Math.sign(delta) : Math.trunc(delta);
  return current + (Math.abs(whole) < least ? Math.sign(delta) * least : whole);
}

/** Seconds until the group may be moved again; 0: now. */
export const cooldownLeft = (seconds: number, scaled: Scaled | null, now: number): number =>
  scaled ? Math.max(0, Math.ceil(seconds - (now - scaled.at) / 1000)) : 0;

const policyHandler = (type: string): Handler => ({
  type,
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
      AlarmUrl: data.url ?? '',
      signal_url: `${desk.heatUrl}/${stack.projectId}/stacks/${of}/signal`,
    };
  },
  signal: (_body, { name }) => `${name} was asked to scale`,
});

export const scalingPolicy = policyHandler('OS::Heat::ScalingPolicy');
export const awsScalingPolicy = policyHandler('AWS::AutoScaling::ScalingPolicy');
