/**
 * What a node's BMC knows and can do beyond Ironic's API: /nodes/{id}/bmc and below. Reading is for whoever sees the node; users,
 * and everything that changes something, for those who may change it. No answer ever holds a password.
 */
import type { FastifyRequest } from 'fastify';
import type { Api } from '../../core/http/index.ts';
import {
  type BootCount,
  bootQuirks,
  bootsRow,
  type Capabilities,
  type Capability,
  capabilityNames,
  powerPolicies,
  requireCapability,
} from '../../power/index.ts';
import { kindOf } from '../boot-truth.ts';
import { bmcOf } from '../change.ts';
import { accessOf } from '../driver-info.ts';
import type { Rooms } from '../index.ts';
import { allBoots, bootsOf } from '../store/boots.ts';
import { cardOf, listCards, type Model, type StoredCard } from '../store/cards.ts';
import { type NodeRow, nodeByUuid } from '../store/nodes.ts';
import { fleetHolder } from '../store/power.ts';
import { record, refuse, requireWrite } from './dialect.ts';
import { findNode } from './nodes.ts';
import { queryOf, requireKnown } from './paging.ts';

const mostEntries = 10_000;

export function bmcRoutes(api: Api, rooms: Rooms, v: string): void {
  const { ground, baremetal } = rooms;
  const { db, secrets } = ground.house;
  const at = `${v}/nodes/:node/bmc`;

  const rowOf = async (request: FastifyRequest, action?: string): Promise<NodeRow> => {
    const { uuid } = await findNode(rooms, request);
    const row = (await nodeByUuid(db, uuid)) as NodeRow;
    if (action !== undefined) requireWrite(request.context, action, row);
    return row;
  };
  const capabilityOf = <Name extends Capability>(row: NodeRow, name: Name): Capabilities[Name] =>
    requireCapability(bmcOf(ground, row), name, accessOf(secrets, row));
  /** Ends the question when the client has gone: a BMC that stalls is not kept busy for nobody. */
  const signalOf = (request: FastifyRequest): AbortSignal => {
    const gone = new AbortController();
    request.raw.once('close', () => request.raw.destroyed && gone.abort(new Error('the client has gone')));
    return gone.signal;
  };

  api.get(at, async (request) => {
    const row = await rowOf(request);
    const bmc = bmcOf(ground, row);
    const view = baremetal.bmcView(row.uuid);
    const its = row.driverInternalInfo;
    const kind = kindOf(row);
    const [card, boots] = kind ? await Promise.all([cardOf(db, kind), bootsOf(db, kind)]) : [null, []];
    return {
      uuid: row.uuid,
      driver: row.driver,
      description: its.bmc ?? null,
      vendor: kind?.vendor ?? null,
      model: kind?.model ?? null,
      firmware: kind?.firmware ?? null,
      capabilities: capabilityNames.filter((name) => bmc[name] !== undefined),
      quirks: its.bmc_quirks ?? {},
      // What the fleet loop knows; null: it does not look at this node.
      fleet: view && {
        power_state: view.power && `power ${view.power}`,
        breaker: view.breaker,
        failures: view.failures,
        silent_seconds: Math.round(view.silentMs / 1_000),
        reason: view.reason?.sentence ?? null,
      },
      // What boots have shown of this kind of BMC, examined or not.
      boots: bootsRow(boots),
      card: card && cardView(card, boots),
    };
  });

  api.get(`${at}/sensors`, async (request) => {
    const row = await rowOf(request);
    const sensors = await capabilityOf(row, 'sensors').read(signalOf(request));
    return { sensors };
  });

  api.get(`${at}/event-log`, async (request) => {
    const query = queryOf(request);
    requireKnown(query, ['limit']);
    const limit = query.limit === undefined ? 1_000 : Number(query.limit);
    if (!Number.isInteger(limit) || limit < 1 || limit > mostEntries)
      throw refuse(`Expected a whole number from 1 to ${mostEntries} for limit: ${query.limit}`);
    const entries = await capabilityOf(await rowOf(request), 'eventLog').entries({ limit }, signalOf(request));
    return { entries: entries.map((entry) => ({ ...entry, at: entry.at?.toISOString() ?? null })) };
  });
  api.delete(`${at}/event-log`, async (request, reply) => {
    await capabilityOf(await rowOf(request, 'baremetal:node:bmc:event_log'), 'eventLog').clear(signalOf(request));
    return reply.code(204).send();
  });

  api.get(`${at}/clock`, async (request) => {
    const time = await capabilityOf(await rowOf(request), 'eventLog').time(signalOf(request));
    const now = ground.house.clock.now();
    return {
      time: time?.toISOString() ?? null,
      ahead_seconds: time ? Math.round((time.getTime() - now) / 1_000) : null,
    };
  });
  /** Sets it to ours: a time that travels through a client would be late. */
  api.post(`${at}/clock`, async (request, reply) => {
    const row = await rowOf(request, 'baremetal:node:bmc:clock');
    await capabilityOf(row, 'eventLog').setTime(new Date(ground.house.clock.now()), signalOf(request));
    return reply.code(204).send();
  });

  api.get(`${at}/inventory`, async (request) =>
    capabilityOf(await rowOf(request), 'inventory').read(signalOf(request)),
  );
  api.get(`${at}/firmware`, async (request) => ({
    firmware: await capabilityOf(await rowOf(request), 'firmware').read(signalOf(request)),
  }));
  api.get(`${at}/users`, async (request) => {
    const row = await rowOf(request, 'baremetal:node:bmc:users');
    return { users: await capabilityOf(row, 'credentials').accounts(signalOf(request)) };
  });

  api.get(`${at}/power-policy`, async (request) => ({
    policy: await capabilityOf(await rowOf(request), 'powerPolicy').read(signalOf(request)),
    supported: powerPolicies,
  }));
  api.put(`${at}/power-policy`, async (request, reply) => {
    const row = await rowOf(request, 'baremetal:node:bmc:power_policy');
    const wanted = record(request.body)?.policy;
    const policy = powerPolicies.find((one) => one === wanted);
    if (!policy) throw refuse(`policy is one of ${powerPolicies.join(', ')}, not ${JSON.stringify(wanted)}.`);
    await capabilityOf(row, 'powerPolicy').set(policy, signalOf(request));
    return reply.code(204).send();
  });

  api.post(`${at}/restart`, async (request, reply) => {
    const row = await rowOf(request, 'baremetal:node:bmc:restart');
    await capabilityOf(row, 'restarter').restart(signalOf(request));
    return reply.code(204).send();
  });

  for (const [path, begin] of [
    ['check', baremetal.checkBmc],
    ['rotate-password', baremetal.rotatePassword],
  ] as const)
    api.post(`${at}/${path}`, async (request, reply) => {
      const { uuid } = await rowOf(request, `baremetal:node:bmc:${path.replace('-', '_')}`);
      return reply.code(202).send({ uuid, operation: await begin(request.context, uuid) });
    });

  api.get(`${v}/bmcs/cards`, async () => {
    const [cards, boots] = await Promise.all([listCards(db), allBoots(db)]);
    const isOf = (card: StoredCard) => (one: Model) =>
      one.vendor === card.vendor && one.model === card.model && one.firmware === card.firmware;
    return { cards: cards.map((card) => cardView(card, boots.filter(isOf(card)))) };
  });
  api.get(`${v}/bmcs/fleet`, async () => ({
    ...baremetal.fleetCounts(),
    looked_at_by: await fleetHolder(db),
  }));
}

const mostEventBytes = 262_144;

/** Events that BMCs POST: the token in the path is the key, so that no other is asked for. */
export function bmcEventRoutes(api: Api, { ground }: Rooms): void {
  api.post('/v1/bmc-events/:node/:token', { bodyLimit: mostEventBytes }, async (request, reply) => {
    const { token } = request.params as { token: string };
    // Gone: a BMC that is told so ends its subscription.
    if (!ground.power.pushed(token, request.body)) return reply.code(410).send();
    return reply.code(204).send();
  });
}

/** With what boots have shown since. */
const cardView = (
  { vendor, model, firmware, rows, quirks, node, takenAt }: StoredCard,
  boots: readonly BootCount[],
) => ({
  ...{ vendor, model, firmware, rows: [...rows, bootsRow(boots)] },
  ...{ quirks: { ...quirks, ...bootQuirks(boots) }, node, taken_at: takenAt.toISOString() },
});
