/**
 * A stack's events, as Heat lists them. They are the flight recorder's own rows; Heat's clients want a UUID for each, so
 * the row's number is written as one.
 */
import { fault } from '../../core/errors/index.ts';
import type { RecordedEvent } from '../../core/events/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import { nodesOf, type StackNode } from '../engine/tree.ts';
import { stackSubject } from '../model.ts';
import { showTree } from '../show.ts';
import type { Stacks } from '../stacks.ts';
import {
  heatTime,
  type Links,
  linksFor,
  list,
  number,
  one,
  type Query,
  type ResourcePath,
  type StackPath,
} from './dialect.ts';
import { depthOf } from './resources.ts';

/** As many as the recorder keeps of one subject. */
const most = 10_000;
const prefix = '00000000-0000-4000-8000-';

export const eventId = (id: number): string => prefix + id.toString(16).padStart(12, '0');

export function eventNumber(id: string): number {
  if (!id.startsWith(prefix)) throw fault('event-not-found', { id });
  return Number.parseInt(id.slice(prefix.length), 16);
}

interface Told {
  readonly id: number;
  readonly at: Date;
  readonly node: StackNode;
  readonly resource: string;
  readonly type: string;
  readonly physicalId: string | null;
  readonly status: string;
  readonly reason: string;
}

export function told(node: StackNode, event: RecordedEvent): Told[] {
  const common = { id: event.id, at: event.at, node };
  if (event.kind === 'stack.state') {
    const data = event.data as RecordedEvent<'stack.state'>['data'];
    return [
      {
        ...common,
        resource: data.name,
        type: 'OS::Heat::Stack',
        physicalId: node.row.id,
        status: `${data.action}_${data.status}`,
        reason: data.reason,
      },
    ];
  }
  if (event.kind === 'resource.state') {
    const data = event.data as RecordedEvent<'resource.state'>['data'];
    return [
      {
        ...common,
        resource: data.name,
        type: data.type,
        physicalId: data.physicalId ?? null,
        status: `${data.action}_${data.status}`,
        reason: data.reason,
      },
    ];
  }
  if (event.kind === 'resource.waiting') {
    const data = event.data as RecordedEvent<'resource.waiting'>['data'];
    // A hook has an event of its own, in Heat's words, which its clients look for.
    if (data.state === undefined || data.on.startsWith('the hook ')) return [];
    return [
      {
        ...common,
        resource: data.name,
        type: data.type,
        physicalId: null,
        status: data.state,
        reason: `waits for ${data.on}`,
      },
    ];
  }
  if (event.kind === 'resource.signal') {
    const data = event.data as RecordedEvent<'resource.signal'>['data'];
    return [
      {
        ...common,
        resource: data.name,
        type: data.type,
        physicalId: null,
        status: 'SIGNAL_COMPLETE',
        reason: `Signal: ${data.text}`,
      },
    ];
  }
  return [];
}

const depthBelow = (node: StackNode, top: StackNode): number =>
  node === top || !node.parent ? 0 : 1 + depthBelow(node.parent, top);

export function eventRoutes(api: Api, desk: Desk, stacks: Stacks): void {
  const { recorder } = desk.house;

  async function gather(node: StackNode, depth: number): Promise<Told[]> {
    const nodes = [...nodesOf(node)].filter((one) => depthBelow(one, node) <= depth);
    const all = await Promise.all(
      nodes.map(async (one) =>
        (await recorder.timeline(stackSubject(one.row.id), { limit: most })).flatMap((event) => told(one, event)),
      ),
    );
    return all.flat().sort((a, b) => a.id - b.id);
  }

  const shown = (link: Links, root: StackNode | null) => (event: Told) => {
    const stack = link(event.node.row);
    const resource = `${stack}/resources/${encodeURIComponent(event.resource)}`;
    return {
      id: eventId(event.id),
      links: [
        { href: `${resource}/events/${eventId(event.id)}`, rel: 'self' },
        { href: resource, rel: 'resource' },
        { href: stack, rel: 'stack' },
        ...(root ? [{ href: link(root.row), rel: 'root_stack' }] : []),
      ],
      event_time: heatTime(event.at),
      logical_resource_id: event.resource,
      resource_name: event.resource,
      physical_resource_id: event.physicalId,
      resource_status: event.status,
      resource_status_reason: event.reason,
    };
  };

  function page(events: Told[], query: Query): Told[] {
    const down = one(query.sort_dir)?.toLowerCase() === 'desc';
    const kept = events.filter(
      (event) =>
        fits(query.resource_status, event.status) &&
        fits(query.resource_name, event.resource) &&
        fits(query.resource_type, event.type) &&
        fits(query.resource_action, event.status.split('_')[0] ?? ''),
    );
    if (down) kept.reverse();
    const marker = one(query.marker);
    const after = marker ? eventNumber(marker) : null;
    const from = after === null ? kept : kept.filter((event) => (down ? event.id < after : event.id > after));
    const limit = number(query, 'limit');
    return limit === undefined ? from : from.slice(0, limit);
  }

  for (const path of ['/stacks/:stack', '/stacks/:stack/:id']) {
    api.get<StackPath>(`${path}/events`, async (request, reply) => {
      const row = await stacks.find(request.context, request.params.id ?? request.params.stack);
      const link = linksFor(desk, request);
      reply.header('location', `${link(row)}/events`);
      const node = await showTree(desk, row);
      const nested = request.query.nested_depth !== undefined;
      const events = page(await gather(node, depthOf(request.query)), request.query);
      return { events: events.map(shown(link, nested ? node : null)) };
    });
  }

  api.get<ResourcePath>('/stacks/:stack/:id/resources/:resource/events', async (request) => {
    const node = await showTree(desk, await stacks.find(request.context, request.params.id));
    const { resource } = request.params;
    const own = (await gather(node, 0)).filter((event) => event.resource === resource);
    if (own.length === 0 && !node.resources.has(resource))
      throw fault('resource-not-found', { resource, stack: node.row.name });
    return { events: page(own, request.query).map(shown(linksFor(desk, request), null)) };
  });

  api.get<{ Params: ResourcePath['Params'] & { event: string } }>(
    '/stacks/:stack/:id/resources/:resource/events/:event',
    async (request) => {
      const node = await showTree(desk, await stacks.find(request.context, request.params.id));
      const wanted = eventNumber(request.params.event);
      const event = (await gather(node, 0)).find(
        ({ id, resource }) => id === wanted && resource === request.params.resource,
      );
      if (!event) throw fault('event-not-found', { id: request.params.event });
      const properties = node.resources.get(event.resource)?.state.properties ?? {};
      return {
        event: {
          ...shown(linksFor(desk, request), null)(event),
          resource_type: event.type,
          resource_properties: given(properties),
        },
      };
    },
  );
}

const given = (properties: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== null));

const fits = (wanted: string | readonly string[] | undefined, value: string): boolean => {
  const names = list(wanted);
  return names.length === 0 || names.includes(value);
};
