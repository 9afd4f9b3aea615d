/** `overcloud plan|graph|drift`: what would be done, what needs what, and what is not any more as it was made. */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { fault } from '../../core/errors/index.ts';
import { exitCodes } from '../exit.ts';
import { table } from '../output.ts';
import { action } from '../program.ts';
import { bodyOf, requireStack, stackPath } from '../stack-api.ts';
import { planLines, planStack, type StackPlan } from '../stack-plan.ts';
import { gather, parametersOf, readable, stackNameOf, type TemplateFlags, templateOptions } from './deploy.ts';

/** What a plan may not do, as options. */
export interface PolicyFlags {
  mostDeletions?: number;
  protect?: string[];
  forbid?: string[];
}

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
const whole = (value: string): number => {
  if (!/^\d+$/.test(value)) throw new InvalidArgumentError('It is a whole number.');
  return Number(value);
};

export const policyOptions = (command: Command): Command =>
  command
    .option('--most-deletions <n>', 'refuse when more than so many resources would be deleted or replaced', whole)
    .option('--protect <path>', 'refuse when this resource would be deleted or replaced; may be given again', collect)
    .option('--forbid <change>', 'refuse any delete, replace, wipe, rewrite or reboot; may be given again', collect);

export function policyOf({ mostDeletions, protect, forbid }: PolicyFlags): { policy?: object } {
  if (mostDeletions === undefined && !protect && !forbid) return {};
  return {
    policy: {
      ...(mostDeletions !== undefined && { most_deletions: mostDeletions }),
      ...(protect && { protected: protect }),
      ...(forbid && { forbid }),
    },
  };
}

interface PlanFlags extends TemplateFlags, PolicyFlags {
  name?: string;
  output?: string;
}

export function planCommand(program: Command): void {
  policyOptions(templateOptions(program.command('plan')))
    .option('--name <name>', 'the stack’s name (default: the template’s file name without its endings)')
    .option('--output <file>', 'keep the plan, sealed, for `deploy --plan`; it holds the template’s secrets encrypted')
    .description('tell what `deploy` would make, change, replace, remove and keep; nothing is done')
    .action(
      action(async (session, file: string, flags: PlanFlags) => {
        const parameters = parametersOf(flags.parameter);
        const files = await gather(file, flags);
        const body = { ...bodyOf(files, parameters), ...policyOf(flags) };
        const plan = await readable(planStack(await session.cloud(), flags.name ?? stackNameOf(file), body));
        if (flags.output !== undefined) keep(flags.output, plan);
        session.output.result(plan.file ?? plan, () => [
          ...planLines(plan),
          ...(flags.output === undefined
            ? []
            : ['', `Kept in ${flags.output}: \`overcloud deploy --plan ${flags.output}\`.`]),
        ]);
        return plan.violations.length > 0 ? exitCodes.failed : undefined;
      }),
    );
}

function keep(file: string, plan: StackPlan): void {
  if (!plan.file) throw fault('usage', { reason: 'This cloud makes no plans that can be kept; it is a plain Heat.' });
  try {
    writeFileSync(file, `${JSON.stringify(plan.file, null, 1)}\n`, { mode: 0o600 });
  } catch (error) {
    throw fault('file-unwritable', { file, reason: (error as Error).message }, error);
  }
}

/** A kept plan. @throws Fault `file-unreadable`, `plan-unreadable` */
export function keptPlan(file: string): { stack: string; [key: string]: unknown } {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw fault('file-unreadable', { file, reason: (error as Error).message }, error);
  }
  try {
    const plan = JSON.parse(text) as { stack?: unknown };
    if (typeof plan.stack === 'string') return plan as { stack: string };
  } catch {
    // Told below: whatever it is, it is no plan.
  }
  throw fault('plan-unreadable', { format: 'undercloud-plan-1' });
}

type Graph = Record<string, { type: string; requires: string[] }>;

/** DOT, as Graphviz draws it: an arrow goes from what is needed to what needs it. */
export function dot(graph: Graph): string[] {
  const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`;
  return [
    'digraph stack {',
    '  rankdir=LR; node [shape=box];',
    ...Object.entries(graph).map(
      ([name, { type }]) => `  ${quoted(name)} [label=${quoted(`${name}\\n${type}`).replaceAll('\\\\n', '\\n')}];`,
    ),
    ...Object.entries(graph).flatMap(([name, { requires }]) =>
      requires.map((one) => `  ${quoted(one)} -> ${quoted(name)};`),
    ),
    '}',
  ];
}

export function graphCommand(program: Command): void {
  templateOptions(program.command('graph'))
    .option('--format <format>', 'text, or dot for Graphviz', 'text')
    .description('show which resource of a template needs which; nothing is done')
    .action(
      action(async (session, file: string, flags: TemplateFlags & { format: string }) => {
        if (flags.format !== 'text' && flags.format !== 'dot')
          throw fault('usage', { reason: `--format is text or dot, not ${flags.format}.` });
        const body = bodyOf(await gather(file, flags), parametersOf(flags.parameter));
        const cloud = await session.cloud();
        const answer = await readable(cloud.request<{ resources: Graph }>('POST', 'orchestration', '/graph', { body }));
        const graph = answer.body.resources;
        session.output.result(graph, () =>
          flags.format === 'dot'
            ? dot(graph)
            : table(
                ['resource', 'type', 'needs'],
                Object.entries(graph).map(([name, { type, requires }]) => [name, type, requires.join(', ') || '-']),
              ),
        );
        return undefined;
      }),
    );
}

interface Drifted {
  path: string;
  type: string;
  state: string;
  reason: string;
  properties: { name: string; expected: unknown; actual: unknown }[];
}

export function driftCommand(program: Command): void {
  program
    .command('drift')
    .argument('<name>', 'the stack’s name or id')
    .description('hold each resource against what it was made to be; ends with 1 when one is not; nothing is changed')
    .action(
      action(async (session, name: string) => {
        const cloud = await session.cloud();
        const stack = await requireStack(cloud, name);
        const { resources } = await cloud.get<{ resources: Drifted[] }>('orchestration', `${stackPath(stack)}/drift`);
        const off = resources.filter(({ state }) => state !== 'in sync' && state !== 'not looked at');
        const rows = resources.map(({ path, type, state, reason }) => [
          state,
          path,
          type,
          state === 'not looked at' ? ' ' : reason || ' ',
        ]);
        session.output.result({ stack: name, resources }, () => [
          ...table(['', 'resource', 'type', ''], rows),
          '',
          ...off.flatMap(({ path, properties }) =>
            properties.map(
              (one) => `${path}.${one.name}: ${JSON.stringify(one.expected)} → ${JSON.stringify(one.actual)}`,
            ),
          ),
          off.length === 0
            ? `${name}: nothing has drifted.`
            : `${name}: ${off.length} of ${resources.length} are not as they were made. \`openstack stack resource mark unhealthy ${name} RESOURCE\`, and the next deploy makes one anew.`,
        ]);
        return off.length > 0 ? exitCodes.failed : exitCodes.ok;
      }),
    );
}
