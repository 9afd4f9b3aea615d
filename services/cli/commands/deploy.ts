/** `overcloud deploy`: makes or changes a stack from a template with all its files, and shows it live to its end. */
import { basename } from 'node:path';
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import type { Client } from '../client.ts';
import { asInput } from '../input-file.ts';
import { action, type Session } from '../program.ts';
import { bodyOf, findStack, requireStack, type Stack, stackPath, stackTree } from '../stack-api.ts';
import { collectStackFiles, placeOf, type StackFiles, withPaths } from '../stack-files.ts';
import { outputLines, outputValues } from '../stack-outputs.ts';
import { planLines, planStack } from '../stack-plan.ts';
import { failuresOf, isDeployed, isSettled, marksOf, type Tree } from '../stack-tree.ts';
import { watchStack } from '../stack-watch.ts';
import { keptPlan, type PolicyFlags, policyOf, policyOptions } from './stack-plan.ts';

export interface TemplateFlags {
  environment?: string[];
  parameter?: string[];
}

interface DeployFlags extends TemplateFlags, PolicyFlags {
  plan?: string;
  name?: string;
  timeout?: string;
  wait: boolean;
  planOnly?: boolean;
  keepFailed?: boolean;
  rollback?: boolean;
}

/** A plan that was kept holds its template itself. */
const noFiles: StackFiles = { template: '', templateFile: '', files: {}, environmentFiles: [] };

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** What every command that takes a template takes with it. */
export const templateOptions = (command: Command, file = '<file>'): Command =>
  command
    .argument(file, 'the template: a path or an http(s) URL')
    .option('-e, --environment <file>', 'an environment; may be given again, later ones win', collect)
    .option('--parameter <name=value>', 'a parameter’s value; may be given again', collect);

/** `k=v`; the value may hold any character. */
export function parametersOf(given: readonly string[] | undefined): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const one of given ?? []) {
    const at = one.indexOf('=');
    if (at < 1) throw fault('usage', { reason: `--parameter is NAME=VALUE, not “${one}”.` });
    parameters[one.slice(0, at)] = one.slice(at + 1);
  }
  return parameters;
}

/** `templates/hello.hot.yaml` → `hello`. */
export function stackNameOf(file: string): string {
  const name = basename(file.replace(/[?#].*$/, '')).replace(/(\.hot)?\.(ya?ml|json|template)$/i, '');
  return name.replace(/[^A-Za-z0-9_.-]/g, '-').replace(/^[^A-Za-z]+/, '') || 'overcloud';
}

export async function gather(file: string, flags: TemplateFlags): Promise<StackFiles> {
  return collectStackFiles(file, flags.environment ?? []);
}

export function deployCommand(program: Command): void {
  policyOptions(templateOptions(program.command('deploy'), '[file]'))
    .option('--plan <file>', 'carry out exactly this plan of `overcloud plan --output`, or refuse it as stale')
    .option('--name <name>', 'the stack’s name (default: the template’s file name without its endings)')
    .option('--timeout <minutes>', 'it fails when it takes longer', '60')
    .option('--no-wait', 'return as soon as it has begun')
    .option('--plan-only', 'tell what would be done, and do nothing')
    .option('--rollback', 'on failure go back to what was before')
    .option('--keep-failed', 'a stack that failed to be created stays, also when nothing of it is deployed')
    .description('lay a template out: makes the stack, or changes the one of that name to it')
    .action(
      action(async (session, file: string | undefined, flags: DeployFlags) => {
        if ((file === undefined) === (flags.plan === undefined))
          throw fault('usage', { reason: 'Give a template to deploy, or --plan with a plan that was kept.' });
        const minutes = Number(flags.timeout);
        if (!Number.isInteger(minutes) || minutes < 1)
          throw fault('usage', { reason: `--timeout is a whole number of minutes, not ${flags.timeout}.` });
        const kept = flags.plan === undefined ? null : keptPlan(flags.plan);
        const parameters = parametersOf(flags.parameter);
        const name = kept?.stack ?? flags.name ?? stackNameOf(file ?? '');
        const files = file === undefined ? noFiles : await gather(file, flags);
        const cloud = await session.cloud();
        if (flags.planOnly && file !== undefined) {
          const plan = await readable(planStack(cloud, name, { ...bodyOf(files, parameters), ...policyOf(flags) }));
          session.output.result(plan, () => planLines(plan));
          return undefined;
        }
        const body = {
          ...(kept ? { plan: kept } : { ...bodyOf(files, parameters), ...policyOf(flags) }),
          timeout_mins: minutes,
          disable_rollback: flags.rollback !== true,
        };
        const present = await findStack(cloud, name);
        const before = present && (await stackTree(cloud, present));
        const stack = kept
          ? await carryOut(cloud, name, body)
          : present
            ? await change(cloud, present, body)
            : await make(cloud, name, body);
        const again = `\`overcloud status ${name} --follow\` watches it again`;
        session.goesOn(`The stack ${name} goes on in the undercloud; ${again}.`);
        const made = present ? 'UPDATE' : 'CREATE';
        if (!flags.wait) {
          session.output.result(
            { id: stack.id, name, action: made, status: 'IN_PROGRESS' },
            () => `${name} has begun (${stack.id}); ${again}.`,
          );
          return undefined;
        }
        const tree = await watchStack(session, cloud, {
          stack,
          action: made,
          wasBusy: before !== undefined && !isSettled(before),
          // The undercloud ends it in time; a minute more is for its saying so.
          patienceMs: (minutes + 1) * 60_000,
          ...(before && { before: marksOf(before) }),
        });
        if (tree === undefined)
          throw fault('stack-unsettled', { stack: name, state: `${made} in progress`, minutes: minutes + 1 });
        if (tree === 'gone' || tree.status !== 'COMPLETE' || tree.action === 'ROLLBACK' || tree.action === 'DELETE')
          return failed(session, cloud, { stack, name, made, tree, files, keep: flags.keepFailed === true });
        const { outputs = [] } = await requireStack(cloud, stack.id);
        session.output.result(
          { id: stack.id, name, action: tree.action, status: tree.status, outputs: outputValues(outputs) },
          () => (outputs.length > 0 ? outputLines(outputs) : `${name} is laid out; its template has no outputs.`),
        );
        return undefined;
      }),
    );
}

/** The undercloud's words about the template are about files of this machine. */
export async function readable<T>(work: Promise<T>): Promise<T> {
  try {
    return await asInput(work);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === 'input-refused') throw fault('input-refused', { message: withPaths(message) }, error);
    throw error;
  }
}

async function make(cloud: Client, name: string, body: object): Promise<Pick<Stack, 'id' | 'stack_name'>> {
  const answer = await readable(
    cloud.request<{ stack: { id: string } }>('POST', 'orchestration', '/stacks', {
      body: { stack_name: name, ...body },
    }),
  );
  return { id: answer.body.stack.id, stack_name: name };
}

async function carryOut(cloud: Client, name: string, body: object): Promise<Pick<Stack, 'id' | 'stack_name'>> {
  const answer = await readable(
    cloud.request<{ stack: { id: string } }>('POST', 'orchestration', '/plans/apply', { body }),
  );
  return { id: answer.body.stack.id, stack_name: name };
}

async function change(cloud: Client, stack: Stack, body: object): Promise<Pick<Stack, 'id' | 'stack_name'>> {
  await readable(cloud.request('PUT', 'orchestration', stackPath(stack), { body }));
  return stack;
}

interface Failed {
  readonly stack: Pick<Stack, 'id' | 'stack_name'>;
  readonly name: string;
  readonly made: 'CREATE' | 'UPDATE';
  readonly tree: Tree | 'gone';
  readonly files: StackFiles;
  readonly keep: boolean;
}

/** Says why, and leaves nothing half-made behind. */
async function failed(
  session: Session,
  cloud: Client,
  { stack, name, made, tree, files, keep }: Failed,
): Promise<never> {
  if (tree === 'gone' || tree.action === 'DELETE')
    throw fault('stack-failed', {
      action: made,
      stack: name,
      cause: 'somebody deleted the stack meanwhile.',
      remedy: '',
    });
  const cause = causeOf(tree, files);
  const useless = made === 'CREATE' && !keep && !isDeployed(tree);
  if (!useless)
    throw fault('stack-failed', {
      action: made,
      stack: name,
      cause,
      remedy:
        tree.action === 'ROLLBACK'
          ? 'The stack was rolled back to what it was before.'
          : `Correct that and deploy again: it goes on from here. \`overcloud delete ${name}\` removes it.`,
    });
  session.output.progress(`Nothing of ${name} is deployed: it is removed again (--keep-failed keeps it).`);
  await cloud.request('DELETE', 'orchestration', stackPath(stack), { repeatable: true });
  session.goesOn(`The deletion of ${name} goes on in the undercloud.`);
  const end = await watchStack(session, cloud, { stack, action: 'DELETE', patienceMs: 15 * 60_000 });
  const clean = end === 'gone' || (end?.action === 'DELETE' && end.status === 'COMPLETE');
  throw fault('stack-failed', {
    action: made,
    stack: name,
    cause,
    remedy: clean ? 'Nothing of it is left.' : `Its removal did not end well: see \`overcloud status ${name}\`.`,
  });
}

/** The stack's own reason, else its resources'; each with its place in the template. */
export function causeOf(tree: Tree, files: Pick<StackFiles, 'template' | 'templateFile'>): string {
  const failures = failuresOf(tree);
  const reasons =
    tree.reason && failures.length <= 1 ? [tree.reason] : failures.map(({ path, reason }) => `${path}: ${reason}`);
  const sentences = (reasons.length > 0 ? reasons : [tree.reason || 'no reason is told.']).map(withPaths);
  const first = failures[0];
  const text = sentences.join('\n  ');
  if (!first || /:\d+/.test(text.replace(/\d+:\d\d:\d\d/g, ''))) return text;
  const place = placeOf(files, first.path.split('.')[0] ?? '');
  return place ? `${text} (${place})` : text;
}
