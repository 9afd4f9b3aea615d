/**
 * Ironic's own conversations, replayed: each request of a recorded session is asked again, and status, error sentence and
 * the fields of the answer are compared. Where we answer otherwise on purpose, a table says why.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRack, type Rack } from '../../test/setup/rack.ts';
import { createWorld, type World } from '../../test/setup/world.ts';

interface Exchange {
  method: string;
  path: string;
  version: string | null;
  accept: string | null;
  request: unknown;
  status: number;
  response: unknown;
}

const captures = join(import.meta.dirname, '../../test/captures/ironic');
const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

let world: World;
let rack: Rack;
let url: string;
beforeAll(async () => {
  world = await createWorld({ keep: true });
  rack = await createRack();
  ({ url } = await rack.attach(world));
  await world.operations.run();
});
afterAll(async () => {
  await rack.close();
  await world.close();
});

function sentence(body: unknown): string | null {
  const message = (body as { error_message?: unknown } | null)?.error_message;
  if (typeof message !== 'string') return null;
  try {
    const inner = JSON.parse(message) as { faultstring?: string; description?: string };
    return inner.faultstring ?? inner.description ?? '';
  } catch {
    return message;
  }
}

async function replay(name: string): Promise<string[]> {
  const exchanges = JSON.parse(readFileSync(join(captures, `${name}.json`), 'utf8')) as Exchange[];
  const mineFor = new Map<string, string>();
  const translate = (text: string) => text.replace(uuid, (id) => mineFor.get(id) ?? id);
  const out: string[] = [];
  for (const [index, e] of exchanges.entries()) {
    const headers: Record<string, string> = { accept: e.accept ?? 'application/json' };
    // `latest` was the peer's latest.
    const version = e.version === 'latest' && name.endsWith('21.4') ? '1.82' : e.version;
    if (version) headers['x-openstack-ironic-api-version'] = version;
    if (e.request !== null && e.request !== undefined && e.request !== '') headers['content-type'] = 'application/json';
    const body = headers['content-type']
      ? translate(typeof e.request === 'string' ? e.request : JSON.stringify(e.request))
      : undefined;
    const answer = await fetch(`${url}/baremetal${translate(e.path)}`, {
      method: e.method,
      headers,
      ...(body !== undefined && { body }),
    });
    const text = await answer.text();
    let got: unknown = null;
    try {
      got = text === '' ? null : JSON.parse(text);
    } catch {
      got = text;
    }
    const made = (e.response as { uuid?: string } | null)?.uuid;
    const mine = (got as { uuid?: string } | null)?.uuid;
    if (e.method === 'POST' && made && mine) mineFor.set(made, mine);
    const label = `${index} ${e.method} ${e.path} v=${e.version} ${JSON.stringify(e.request)?.slice(0, 120)}`;
    if (answer.status !== e.status) {
      out.push(
        `${label}: ${answer.status} ${text.slice(0, 200)} for ${e.status} ${JSON.stringify(e.response)?.slice(0, 200)}`,
      );
      continue;
    }
    const wanted = sentence(e.response);
    if (wanted !== null && translate(wanted) !== sentence(got))
      out.push(`${label}: “${sentence(got)}” for “${wanted}”`);
    if (answer.status < 300 && e.response && typeof e.response === 'object') {
      const a = Object.keys(e.response).sort().join();
      const b = Object.keys(got as object)
        .sort()
        .join();
      if (a !== b) out.push(`${label}: fields ${b} for ${a}`);
    }
    // The recorded client waited too: the next request finds the node at rest.
    const { rows } = await sql<{
      id: string;
    }>`select id from core.operations where state in ('running', 'undoing')`.execute(world.db.kysely);
    for (const { id } of rows) await world.operations.ended(id);
  }
  return out;
}

/** Where we answer otherwise, and why. Every difference must be here, and every row must still be needed. */
const ours: readonly [RegExp, string][] = [
  [/\[1\.1, 1\.95\]/, 'our newest version is 1.95'],
  [/^\d+ GET \/v1\/? .* fields /, 'the root lists the collections that this release serves'],
  [/POST \/v1 v=/, 'a plain 405'],
  [/GET \/v1\/events/, 'there is no collection of events'],
  [/"The body is not JSON|The body is not JSON/, '400 where Ironic answers 500'],
  [/e1\.json/, '404 where Ironic answers 500'],
  [/locked by host/, 'the node is at rest sooner than the recorded client asked'],
  [/states\/power .*bogus/, 'the power state was read when the node was verified'],
  [/Only application\/json is spoken/, 'Ironic’s 406 is a page of text'],
  [/Cannot patch .* Only the following/, 'newer fields are in the list'],
  [/network_data.*"links":\[\]/, 'the schema of network_data is not checked'],
  [/DELETE \/v1\/nodes v=/, 'a plain 405'],
  [/manual-management|DELETE \/v1\/nodes\/n3/, 'a driver that this release does not have'],
  [/"nosuch".*this release has/, 'the refusal says which drivers there are'],
  [/'direct', 'fake'\]/, 'the interfaces of this release'],
  [/\/automated_clean"\}\]: 200/, '200 where Ironic answers 500'],
  [/states\/raid|logical_disk_properties/, 'RAID is not in this release'],
  [/nodes\/n1\/validate/, 'firmware is among the interfaces'],
  [/drivers\/\S+\/properties/, 'the properties of our drivers'],
  [/vendor_passthru\/first_method/, 'there are no vendor methods'],
  [/portgroup|a16383ef/i, 'port groups are not in this release'],
];

describe('Ironic’s conversations', () => {
  const used = new Set<RegExp>();
  const names = [
    's01_versions-29.0',
    's05_errors-29.0',
    's08_ports-29.0',
    's13_ramdisk-29.0',
    's04_json_patch-21.4',
    's03_node_crud-21.4',
    's02_drivers_conductors-29.0',
  ];
  for (const name of names)
    it(`${name} goes as it was recorded, save where we say so`, async () => {
      const unexplained = (await replay(name)).filter((line) => {
        const row = ours.find(([pattern]) => pattern.test(line));
        if (row) used.add(row[0]);
        return !row;
      });
      expect(unexplained).toEqual([]);
    });
  it('has no exception that is not needed any more', () => {
    expect(ours.filter(([pattern]) => !used.has(pattern)).map(([, why]) => why)).toEqual([]);
  });
});
