/** Beyond Ironic: importing an instackenv.json, what a node waits for, and what has happened to it. */
import type { FastifyRequest } from 'fastify';
import type { Api } from '../../core/http/index.ts';
import { isUuid } from '../../core/uuid.ts';
import type { Rooms } from '../index.ts';
import { refuse, requireWrite, truth } from './dialect.ts';
import { visibleNode } from './nodes.ts';
import { queryOf, requireKnown } from './paging.ts';

/** Rows of one answer at most; `after` goes on. */
const eventsMax = 10_000;

export function ownRoutes(api: Api, rooms: Rooms, v: string): void {
  const { baremetal } = rooms;

  /** The body is the instackenv.json itself. `?provide=false` stops at `manageable`. */
  api.post(`${v}/nodes/import`, async (request, reply) => {
    const query = queryOf(request);
    requireKnown(query, ['provide']);
    requireWrite(request.context, 'baremetal:node:import');
    const provide = query.provide === undefined ? true : truth(query.provide, 'provide');
    const nodes = await baremetal.importNodes(request.context, request.body, { provide });
    return reply.code(202).send({ nodes });
  });

  /** A node that an import removed again is still told about to admins: how its operation ended. */
  const uuidOf = async (request: FastifyRequest): Promise<string> => {
    const { node } = request.params as { node: string };
    try {
      return (await visibleNode(rooms, request, node)).uuid;
    } catch (error) {
      if (!isUuid(node) || !request.context.roles.includes('admin')) throw error;
      const { last } = await baremetal.activity(node.toLowerCase());
      if (!last) throw error;
      return node.toLowerCase();
    }
  };

  api.get(`${v}/nodes/:node/activity`, async (request) => {
    const uuid = await uuidOf(request);
    const { activity, last } = await baremetal.activity(uuid);
    const time = (date: Date | null) => date?.toISOString() ?? null;
    return {
      uuid,
      activity: activity && {
        operation: activity.operation,
        kind: activity.kind,
        state: activity.state,
        step: activity.step,
        title: activity.title,
        started_at: time(activity.startedAt),
        step_started_at: time(activity.stepStartedAt),
        waiting: activity.waiting && {
          on: activity.waiting.on,
          remedy: activity.waiting.remedy,
          since: activity.waiting.since,
          usual_seconds: activity.waiting.usualSeconds,
        },
        progress: activity.progress,
        error: activity.error?.message ?? null,
      },
      last: last && {
        operation: last.operation,
        kind: last.kind,
        state: last.state,
        error: last.error,
        started_at: time(last.startedAt),
        finished_at: time(last.finishedAt),
      },
    };
  });

  api.get(`${v}/nodes/:node/timeline`, async (request) => {
    const query = queryOf(request);
    requireKnown(query, ['limit', 'after']);
    const number = (name: string, plain: number): number => {
      const value = query[name];
      if (value === undefined) return plain;
      if (!/^\d+$/.test(value)) throw refuse(`Expected an integer for ${name}: ${value}`);
      return Number(value);
    };
    const limit = Math.min(Math.max(1, number('limit', 1_000)), eventsMax);
    const uuid = await uuidOf(request);
    const events = await baremetal.timeline(uuid, { limit, after: number('after', 0) });
    return {
      events: events.map(({ id, at, kind, data, durationMs, cause }) => ({
        id,
        at: at.toISOString(),
        kind,
        data,
        duration_ms: durationMs,
        cause,
      })),
    };
  });
}
