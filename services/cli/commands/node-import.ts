/** `undercloud node import`: enrols what an instackenv.json lists, and shows each node until its BMC is verified. */
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import { asInput, parseInput, readInput } from '../input-file.ts';
import { type NodeActivity, nodeActivity, nodeRow } from '../node-activity.ts';
import { table } from '../output.ts';
import { action } from '../program.ts';
import { inParallel, watch } from '../watch.ts';

interface Imported {
  uuid: string;
  name: string | null;
  action: 'create' | 'update' | 'keep';
  operation: string | null;
}

interface Enrolled extends Imported {
  state: string | null;
  error: string | null;
}

/** Where a verified node may come to rest. */
const resting = new Set(['available', 'manageable', 'active', 'enroll', 'clean failed', 'inspect failed']);
const done: Readonly<Record<Imported['action'], string>> = {
  create: 'enrolled',
  update: 'updated',
  keep: 'kept as it is, with the file’s values',
};
const parallelLooks = 16;

export function nodeImportCommand(node: Command): void {
  node
    .command('import')
    .argument('<file>', 'instackenv.json (or YAML): {"nodes": [{"pm_type": "ipmi", "pm_addr": …, "ports": […]}]}')
    .option('--no-provide', 'stop at `manageable`: verified, but not given to anybody')
    .option('--no-wait', 'return as soon as the file is accepted')
    .description('enrol nodes by their BMCs; safe to repeat, nodes are known again by MAC, BMC or uuid')
    .action(
      action(async (session, file: string, flags: { provide: boolean; wait: boolean }) => {
        const { output } = session;
        const instackenv = parseInput(readInput(file).toString('utf8'), file);
        const cloud = await session.cloud();
        const { body } = await asInput(
          cloud.request<{ nodes: Imported[] }>('POST', 'baremetal', `/v1/nodes/import?provide=${flags.provide}`, {
            body: instackenv,
          }),
        );
        session.goesOn('The import goes on in the undercloud; `undercloud node list` shows how far it is.');
        const began = Date.now();
        const nodes = body.nodes;
        const enrolled: Enrolled[] = nodes.map((one) => ({ ...one, state: null, error: null }));
        const pending = new Set(nodes.filter((one) => flags.wait && one.operation !== null).map(({ uuid }) => uuid));
        const seen = new Map<string, NodeActivity | undefined>();

        async function states(): Promise<Map<string, { state: string; error: string | null }>> {
          const list = await cloud.list<{ uuid: string; provision_state: string; last_error: string | null }>(
            'baremetal',
            '/v1/nodes?fields=uuid,provision_state,last_error',
            'nodes',
          );
          return new Map(list.map((one) => [one.uuid, { state: one.provision_state, error: one.last_error }]));
        }

        function settle(one: Enrolled, now: { state: string; error: string | null } | undefined): void {
          const activity = seen.get(one.uuid);
          if (activity?.now) return;
          const failed = activity?.last?.state === 'failed';
          if (!failed && now && !resting.has(now.state)) return;
          pending.delete(one.uuid);
          one.state = now?.state ?? null;
          if (failed) one.error = activity.last?.error ?? 'its verification failed';
          else if (!now) one.error = 'it was deleted meanwhile';
          else if (now.state === 'enroll' || now.state.endsWith('failed'))
            one.error = now.error ?? `it is ${now.state}`;
        }

        await watch(session, async () => {
          // The states first: an operation that ends between the two looks is seen at the next.
          const list = await states();
          await inParallel([...pending], parallelLooks, async (uuid) => {
            seen.set(uuid, await nodeActivity(cloud, uuid));
          });
          for (const one of enrolled) {
            if (pending.has(one.uuid)) settle(one, list.get(one.uuid));
            else one.state ??= list.get(one.uuid)?.state ?? null;
          }
          return {
            rows: (now: number) =>
              enrolled.map((one) => {
                const key = { key: one.uuid, name: one.name ?? one.uuid, since: began };
                if (one.error !== null)
                  return { ...key, state: 'failed' as const, text: one.error, fields: { node: one.uuid } };
                const arrived = pending.has(one.uuid)
                  ? null
                  : `${done[one.action]}${one.state ? `, ${one.state}` : ''}`;
                if (one.operation === null || !flags.wait)
                  return { ...key, state: 'done' as const, text: arrived ?? '', fields: { node: one.uuid } };
                const row = nodeRow(key, seen.get(one.uuid), arrived, now);
                // Between two operations (verify, provide) it is on its way all the same.
                return pending.has(one.uuid) && row.state === 'done'
                  ? { ...row, state: 'running' as const, text: '…' }
                  : row;
              }),
            ...(pending.size === 0 && { end: true }),
          };
        });
        output.result(
          enrolled.map(({ uuid, name, action: did, state, error }) => ({ uuid, name, action: did, state, error })),
          () =>
            table(
              ['name', 'uuid', 'state', ''],
              enrolled.map((one) => [one.name, one.uuid, one.state, one.error ? 'failed' : done[one.action]]),
            ),
        );
        const failed = enrolled.filter((one) => one.error !== null);
        if (failed.length > 0)
          throw fault('import-failed', {
            failed: failed.length,
            total: enrolled.length,
            reasons: failed.map((one) => `  ${one.name ?? one.uuid}: ${one.error}`).join('\n'),
          });
        return undefined;
      }),
    );
}
