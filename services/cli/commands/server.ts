/** `undercloud server`: the systems that tenants have on nodes, briefly; stacks make them, `openstack server` does the rest. */
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import type { Client } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { type Doing, doingOf, doingText } from '../node-activity.ts';
import { duration, fields, table } from '../output.ts';
import { action } from '../program.ts';
import { inParallel, watch } from '../watch.ts';

interface Server {
  id: string;
  name: string;
  status: string;
  image?: { id: string };
  flavor?: { id: string };
  addresses?: Record<string, { addr: string }[]>;
  created: string;
  key_name?: string | null;
  'OS-EXT-STS:task_state'?: string | null;
  'OS-EXT-SRV-ATTR:host'?: string | null;
  fault?: { message: string };
}

const addressesOf = (server: Server): string =>
  Object.values(server.addresses ?? {})
    .flat()
    .map(({ addr }) => addr)
    .join(', ');

async function findServer(cloud: Client, idOrName: string): Promise<Server> {
  if (/^[0-9a-f-]{36}$/i.test(idOrName)) {
    const found = await cloud.find<{ server: Server }>('compute', `/servers/${idOrName}`);
    if (found) return found.server;
  }
  const all = await cloud.list<Server>('compute', `/servers/detail?name=${encodeURIComponent(idOrName)}`, 'servers');
  // Nova's filter is a pattern; a name is not.
  const named = all.filter(({ name }) => name === idOrName);
  if (named.length > 1)
    throw fault('ambiguous-name', {
      count: named.length,
      what: 'servers',
      name: idOrName,
      ids: named.map(({ id }) => id).join(', '),
    });
  if (!named[0]) throw fault('server-not-found', { id: idOrName });
  return named[0];
}

async function activityOf(cloud: Client, id: string): Promise<Doing | null> {
  return doingOf((await cloud.find<{ activity: unknown }>('compute', `/servers/${id}/activity`))?.activity);
}

function doingWords(doing: Doing | null): string | null {
  if (!doing) return null;
  const { text, clock } = doingText(doing, Date.now());
  return clock ? `${text} (${clock})` : text;
}

export function serverCommands(program: Command): void {
  const server = program.command('server').description('the systems on the nodes');

  server
    .command('list')
    .option('--all', 'of all projects')
    .description('servers with their nodes and addresses')
    .action(
      action(async (session, flags: { all?: boolean }) => {
        const cloud = await session.cloud();
        const servers = await cloud.list<Server>(
          'compute',
          `/servers/detail${flags.all ? '?all_tenants=1' : ''}`,
          'servers',
        );
        const busy = servers.filter((one) => one['OS-EXT-STS:task_state']);
        const doing = new Map(
          await inParallel(busy, 8, async ({ id }) => [id, doingWords(await activityOf(cloud, id))] as const),
        );
        session.output.result(servers, () =>
          servers.length === 0
            ? 'There are no servers; `overcloud deploy FILE` makes some.'
            : table(
                ['name', 'id', 'status', 'node', 'addresses', ''],
                servers.map((one) => [
                  one.name,
                  one.id,
                  one.status,
                  one['OS-EXT-SRV-ATTR:host'],
                  addressesOf(one),
                  doing.get(one.id) ?? one.fault?.message ?? ' ',
                ]),
              ),
        );
        return undefined;
      }),
    );

  server
    .command('show')
    .argument('<server>', 'name or id')
    .description('a server in full, with what it waits on')
    .action(
      action(async (session, name: string) => {
        const cloud = await session.cloud();
        const one = await findServer(cloud, name);
        const doing = await activityOf(cloud, one.id);
        session.output.result({ ...one, activity: doing }, () =>
          fields([
            ['name', one.name],
            ['id', one.id],
            ['status', one.status],
            ['doing', doingWords(doing)],
            ['fault', one.fault?.message],
            ['node', one['OS-EXT-SRV-ATTR:host']],
            ['addresses', addressesOf(one)],
            ['image', one.image?.id],
            ['flavor', one.flavor?.id],
            ['key', one.key_name],
            ['created', one.created],
          ]),
        );
        return undefined;
      }),
    );

  server
    .command('delete')
    .argument('<server...>', 'names or ids')
    .option('--no-wait', 'return as soon as it has begun')
    .description('take servers off their nodes; the nodes become available again')
    .action(
      action(async (session, names: string[], flags: { wait: boolean }) => {
        const cloud = await session.cloud();
        const servers = await inParallel(names, 4, (name) => findServer(cloud, name));
        for (const { id } of servers) await cloud.request('DELETE', 'compute', `/servers/${id}`);
        session.goesOn('The deletion goes on in the undercloud; `undercloud server list` shows its end.');
        const began = Date.now();
        const failed = await watch(session, async () => {
          const looks = await inParallel(servers, 8, async ({ id, name }) => {
            const now = flags.wait
              ? (await cloud.find<{ server: Server }>('compute', `/servers/${id}`))?.server
              : undefined;
            const gone = now === undefined || now.status === 'DELETED';
            return { id, name, gone, now, doing: gone ? null : await activityOf(cloud, id) };
          });
          const stuck = looks.filter(
            ({ now, doing }) => now?.status === 'ERROR' && !doing && now['OS-EXT-STS:task_state'] !== 'deleting',
          );
          const settled = looks.every((one) => one.gone || stuck.includes(one));
          return {
            rows: (at: number) =>
              looks.map((one) => {
                const base = { key: one.id, name: one.name };
                if (one.gone)
                  return {
                    ...base,
                    state: 'done' as const,
                    text: flags.wait ? 'deleted' : 'is being deleted',
                    clock: duration(at - began),
                  };
                if (stuck.includes(one))
                  return { ...base, state: 'failed' as const, text: one.now?.fault?.message ?? 'failed' };
                const words = one.doing ? doingText(one.doing, at) : { text: 'deleting', clock: duration(at - began) };
                return { ...base, state: 'running' as const, ...words };
              }),
            ...(settled && { end: stuck.length }),
          };
        });
        if (session.output.json)
          session.output.result({ deleted: servers.map(({ id }) => id), failed: failed ?? 0 }, () => '');
        return failed ? exitCodes.failed : exitCodes.ok;
      }),
    );
}
