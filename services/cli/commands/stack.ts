/** `overcloud status|list|show|outputs|events|delete|plan|validate`: stacks over the API, like any other client. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import type { Client } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { fields, table } from '../output.ts';
import { action, type Session } from '../program.ts';
import { requireStack, type Stack, type StackOutput, stackPath, stackTree } from '../stack-api.ts';
import { withPaths } from '../stack-files.ts';
import { outputLines, outputValues, plain } from '../stack-outputs.ts';
import { type Tree, treeRows } from '../stack-tree.ts';
import { watchStack } from '../stack-watch.ts';
import { driftCommand, graphCommand, planCommand } from './stack-plan.ts';
import { validateCommand } from './stack-validate.ts';

const followMs = 700;

export function stackCommands(program: Command): void {
  statusCommand(program);
  listCommand(program);
  showCommand(program);
  outputsCommand(program);
  eventsCommand(program);
  deleteCommand(program);
  planCommand(program);
  graphCommand(program);
  driftCommand(program);
  validateCommand(program);
}

const allStacks = async (cloud: Client): Promise<Stack[]> =>
  (await cloud.get<{ stacks: Stack[] }>('orchestration', '/stacks')).stacks;

const printed = (tree: Tree): string[] => {
  const marks = { idle: '·', running: '…', done: '✔', failed: '✘', skipped: '-' };
  return treeRows(tree, { fold: false, since: Date.now(), words: withPaths }, Date.now()).map((row) => {
    // The clock of the stack itself counts from the watching, which did not begin.
    const clock = row.key !== '' && row.clock ? ` (${row.clock})` : '';
    return `${'  '.repeat(row.depth ?? 0)}${marks[row.state]} ${row.name}${row.text ? `  ${row.text}` : ''}${clock}`;
  });
};

function statusCommand(program: Command): void {
  program
    .command('status')
    .argument('[stack]', 'name or id; left out: all stacks, briefly')
    .option('-f, --follow', 'watch it to the end of what it is at')
    .description('a stack’s tree of resources, with what each waits for')
    .action(
      action(async (session, name: string | undefined, flags: { follow?: boolean }) => {
        const cloud = await session.cloud();
        if (name === undefined) {
          listStacks(session, await allStacks(cloud));
          return undefined;
        }
        const stack = await requireStack(cloud, name);
        if (flags.follow) session.goesOn(`The stack ${name} goes on in the undercloud.`);
        const tree = flags.follow ? await watchStack(session, cloud, { stack }) : await stackTree(cloud, stack);
        if (tree === undefined || tree === 'gone') throw fault('stack-not-found', { stack: name });
        // A live tree stands on the terminal already.
        if (session.output.json || !flags.follow) session.output.result(tree, () => printed(tree));
        if (tree.status === 'FAILED') {
          session.output.progress(withPaths(tree.reason));
          return exitCodes.failed;
        }
        return undefined;
      }),
    );
}

function listStacks(session: Session, stacks: readonly Stack[]): void {
  session.output.result(stacks, () =>
    stacks.length === 0
      ? 'There are no stacks; `overcloud deploy FILE` makes one.'
      : table(
          ['name', 'id', 'status', 'created', 'updated'],
          stacks.map((one) => [one.stack_name, one.id, one.stack_status, one.creation_time, one.updated_time]),
        ),
  );
}

function listCommand(program: Command): void {
  program
    .command('list')
    .description('the stacks')
    .action(
      action(async (session) => {
        listStacks(session, await allStacks(await session.cloud()));
        return undefined;
      }),
    );
}

function showCommand(program: Command): void {
  program
    .command('show')
    .argument('<stack>', 'name or id')
    .description('a stack in full')
    .action(
      action(async (session, name: string) => {
        const stack = await requireStack(await session.cloud(), name);
        session.output.result(stack, () => [
          ...fields([
            ['name', stack.stack_name],
            ['id', stack.id],
            ['status', stack.stack_status],
            ['reason', withPaths(stack.stack_status_reason ?? '')],
            ['description', stack.description],
            ['created', stack.creation_time],
            ['updated', stack.updated_time],
            ['timeout', stack.timeout_mins ? `${stack.timeout_mins} min` : null],
          ]),
          ...section(
            'Parameters',
            Object.entries(stack.parameters ?? {}).filter(([key]) => !key.startsWith('OS::')),
          ),
          ...(stack.outputs?.length ? ['', 'Outputs', ...outputLines(stack.outputs).map((line) => `  ${line}`)] : []),
        ]);
        return undefined;
      }),
    );
}

const section = (title: string, pairs: readonly (readonly [string, unknown])[]): string[] =>
  pairs.length === 0
    ? []
    : ['', title, ...fields(pairs.map(([key, value]) => [key, plain(value)])).map((line) => `  ${line}`)];

function outputsCommand(program: Command): void {
  program
    .command('outputs')
    .argument('<stack>', 'name or id')
    .argument('[key]', 'this one alone, as it is')
    .description('what a stack’s template gives out')
    .action(
      action(async (session, name: string, key: string | undefined) => {
        const { outputs = [] } = await requireStack(await session.cloud(), name);
        if (key === undefined) {
          session.output.result(outputValues(outputs), () =>
            outputs.length > 0 ? outputLines(outputs) : `${name} has no outputs.`,
          );
          return undefined;
        }
        const one: StackOutput | undefined = outputs.find(({ output_key }) => output_key === key);
        if (!one) throw fault('output-not-found', { key });
        if (one.output_error)
          throw fault('stack-failed', { action: `Output ${key}`, stack: name, cause: one.output_error, remedy: '' });
        session.output.result(one.output_value ?? null, () => plain(one.output_value));
        return undefined;
      }),
    );
}

interface StackEvent {
  id: string;
  event_time: string;
  resource_name: string;
  resource_status: string;
  resource_status_reason: string;
  links?: { rel: string; href: string }[];
}

function eventsCommand(program: Command): void {
  program
    .command('events')
    .argument('<stack>', 'name or id')
    .option('-f, --follow', 'go on with what happens from now, until Ctrl-C')
    .option('--depth <n>', 'nested stacks to this depth', '5')
    .description('what has happened to a stack and its resources')
    .action(
      action(async (session, name: string, flags: { follow?: boolean; depth: string }) => {
        if (!/^\d{1,2}$/.test(flags.depth))
          throw fault('usage', { reason: `--depth is a small number, not ${flags.depth}.` });
        const cloud = await session.cloud();
        const stack = await requireStack(cloud, name);
        const look = async (): Promise<StackEvent[]> =>
          (
            await cloud.get<{ events: StackEvent[] }>(
              'orchestration',
              `${stackPath(stack)}/events?nested_depth=${flags.depth}`,
            )
          ).events;
        const line = (event: StackEvent): string => {
          const inner = event.links?.find(({ rel }) => rel === 'self')?.href.match(/\/stacks\/([^/]+)\//)?.[1];
          const where = inner && decodeURIComponent(inner) !== stack.stack_name ? `${decodeURIComponent(inner)}.` : '';
          const reason = withPaths(event.resource_status_reason ?? '').replace(/\s*\n\s*/g, ' ');
          return `${event.event_time}  ${where}${event.resource_name}  ${event.resource_status}${reason && reason !== 'state changed' ? `  ${reason}` : ''}`;
        };
        const sorted = (events: StackEvent[]) =>
          events.toSorted((a, b) => (a.event_time < b.event_time ? -1 : a.event_time > b.event_time ? 1 : 0));
        let events = sorted(await look());
        if (!flags.follow) {
          session.output.result(events, () => (events.length > 0 ? events.map(line) : 'Nothing has happened yet.'));
          return undefined;
        }
        session.goesOn('Nothing was stopped but the watching.');
        const told = new Set<string>();
        for (;;) {
          for (const event of events) {
            if (told.has(event.id)) continue;
            told.add(event.id);
            process.stdout.write(`${session.output.json ? JSON.stringify(event) : line(event)}\n`);
          }
          await wait(followMs, undefined, { signal: session.interrupted });
          events = sorted(await look());
        }
      }),
    );
}

function deleteCommand(program: Command): void {
  program
    .command('delete')
    .argument('<stack...>', 'names or ids')
    .option('--no-wait', 'return as soon as it has begun')
    .description('remove stacks with everything that they made; their nodes become available again')
    .action(
      action(async (session, names: string[], flags: { wait: boolean }) => {
        const cloud = await session.cloud();
        const stacks: Stack[] = [];
        // All of them are looked up before the first is deleted: a misspelt name must not be found out half-way.
        for (const name of names) stacks.push(await requireStack(cloud, name));
        for (const stack of stacks)
          await cloud.request('DELETE', 'orchestration', stackPath(stack), { repeatable: true });
        session.goesOn('The deletion goes on in the undercloud; `overcloud list` shows its end.');
        const results: { name: string; id: string; deleted: boolean; reason: string | null }[] = [];
        for (const stack of stacks) {
          const base = { name: stack.stack_name, id: stack.id };
          if (!flags.wait) {
            results.push({ ...base, deleted: false, reason: null });
            continue;
          }
          const wasBusy = stack.stack_status.endsWith('_IN_PROGRESS');
          const end = await watchStack(session, cloud, { stack, action: 'DELETE', wasBusy });
          const deleted = end === 'gone' || (end?.action === 'DELETE' && end.status === 'COMPLETE');
          const reason = deleted || !end ? null : withPaths(end.reason);
          results.push({ ...base, deleted, reason });
          if (!deleted) session.output.progress(`${stack.stack_name}: ${reason ?? 'it is still there.'}`);
        }
        session.output.result(results, () =>
          results.map(
            ({ name, deleted }) => `${name}  ${deleted ? 'deleted' : flags.wait ? 'not deleted' : 'is being deleted'}`,
          ),
        );
        return flags.wait && results.some(({ deleted }) => !deleted) ? exitCodes.failed : exitCodes.ok;
      }),
    );
}
