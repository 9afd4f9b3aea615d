/** The actions of Heat's CFN API for a user who signs with a key of their own; names and order of elements are Heat's. */
import { type Context, mayWrite } from '../../core/context.ts';
import { fault } from '../../core/errors/index.ts';
import type { Desk } from '../desk.ts';
import { openDefinition } from '../engine/definition.ts';
import type { Live } from '../engine/state.ts';
import { stackArn, toPlain } from '../language/index.ts';
import type { Plain, Stack, StackWish } from '../model.ts';
import { stackSubject } from '../model.ts';
import { shownParameters } from '../reading/hand-over.ts';
import { eventId, told } from '../routes/events.ts';
import { documentOf } from '../routes/resources.ts';
import { resourceIn, showOutputs, showTree } from '../show.ts';
import { heatTime } from '../software/configs.ts';
import type { Stacks } from '../stacks.ts';
import { resourcesFor } from '../store/resources.ts';
import type * as store from '../store/stacks.ts';
import { cfnFault } from './fault.ts';
import { type Element, members, write } from './xml.ts';

export interface Asked {
  readonly desk: Desk;
  readonly stacks: Stacks;
  readonly context: Context;
  readonly params: Readonly<Record<string, string>>;
}

const arn = ({ project_id, name, id }: Stack): string => stackArn({ project: project_id, name, id });
const text = (value: Plain | undefined): string =>
  value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);

function needed({ params }: Asked, name: string): string {
  const value = params[name];
  if (value === undefined || value === '') throw cfnFault('MissingParameter', `The parameter ${name} is missing.`);
  return value;
}

const found = (asked: Asked): Promise<store.StackRow> => asked.stacks.find(asked.context, needed(asked, 'StackName'));

function templateIn({ params }: Asked): string {
  if (params.TemplateBody !== undefined) return params.TemplateBody;
  if (params.TemplateUrl ?? params.TemplateURL)
    throw cfnFault('InvalidParameterValue', 'Templates are not fetched from URLs here: give its text as TemplateBody.');
  throw cfnFault('MissingParameter', 'TemplateBody or TemplateUrl were not given.');
}

/** `Parameters.member.N.ParameterKey` and `….ParameterValue`. */
function parametersIn(params: Readonly<Record<string, string>>): Record<string, string> {
  const out: Record<string, string> = Object.create(null);
  for (const [key, name] of Object.entries(params)) {
    const member = /^Parameters\.member\.(\d{1,6})\.ParameterKey$/.exec(key)?.[1];
    const value = member === undefined ? undefined : params[`Parameters.member.${member}.ParameterValue`];
    if (value !== undefined) out[name] = value;
  }
  return { ...out };
}

function wishIn(asked: Asked): StackWish {
  const { params } = asked;
  if (params.DisableRollback !== undefined && params.OnFailure !== undefined)
    throw cfnFault('InvalidParameterCombination', 'DisableRollback and OnFailure may not be used together');
  const minutes = params.TimeoutInMinutes;
  if (minutes !== undefined && !/^[1-9]\d{0,5}$/.test(minutes))
    throw cfnFault('InvalidParameterValue', `TimeoutInMinutes has to be a whole number above 0, not "${minutes}".`);
  const disable =
    params.OnFailure === undefined ? params.DisableRollback?.toLowerCase() : String(params.OnFailure === 'DO_NOTHING');
  return {
    template: templateIn(asked),
    parameters: parametersIn(params),
    ...(disable !== undefined && { disableRollback: disable === 'true' || disable === '1' }),
    ...(minutes !== undefined && { timeoutMinutes: Number(minutes) }),
  };
}

const summary = (stack: Stack): Element[] => [
  ['CreationTime', heatTime(stack.created_at)],
  ...(stack.updated_at ? [['LastUpdatedTime', heatTime(stack.updated_at)] as const] : []),
  ['StackId', arn(stack)],
  ['StackName', stack.name],
  ['StackStatusReason', stack.reason],
  ['TemplateDescription', stack.description],
  ['StackStatus', `${stack.action}_${stack.status}`],
];

async function described({ desk }: Asked, stack: store.StackRow): Promise<Element[]> {
  const node = await showTree(desk, stack);
  const parameters = Object.entries(await shownParameters(desk, stack));
  return [
    ['Capabilities', []],
    ['CreationTime', heatTime(stack.created_at)],
    ['Description', stack.description],
    // AWS's spelling: botocore takes nothing else for true, and boto takes any.
    ['DisableRollback', String(stack.disable_rollback)],
    ['NotificationARNs', []],
    members(
      'Parameters',
      parameters.map(([key, value]) => [
        ['ParameterKey', key],
        ['ParameterValue', text(value)],
      ]),
    ),
    ['StackId', arn(stack)],
    ['StackName', stack.name],
    ['StackStatusReason', stack.reason],
    // Heat writes `None`, on which botocore fails.
    ...(stack.timeout_mins === null ? [] : [['TimeoutInMinutes', String(stack.timeout_mins)] as const]),
    ...(stack.updated_at ? [['LastUpdatedTime', heatTime(stack.updated_at)] as const] : []),
    ['StackStatus', `${stack.action}_${stack.status}`],
    members(
      'Outputs',
      showOutputs(node).map((one) => [
        ['Description', one.description],
        ['OutputKey', one.output_key],
        ['OutputValue', text(one.output_value)],
      ]),
    ),
  ];
}

type Part = 'stack' | 'time' | 'updated';

function resourceShown(stack: Stack, { row }: Live, parts: readonly Part[]): Element[] {
  const has = (part: Part) => parts.includes(part);
  const at = heatTime(row.updated_at);
  return [
    ...(has('stack') ? [['Description', ''] as const] : []),
    ...(has('updated') ? [['LastUpdatedTimestamp', at] as const] : []),
    ['LogicalResourceId', row.name],
    ['PhysicalResourceId', row.physical_id ?? ''],
    ['ResourceStatusReason', row.reason || 'state changed'],
    ['ResourceType', row.type],
    ...(has('stack') ? [['StackId', arn(stack)] as const, ['StackName', stack.name] as const] : []),
    ...(has('time') ? [['Timestamp', at] as const] : []),
    ['ResourceStatus', `${row.action}_${row.status}`],
  ];
}

async function resourcesIn(asked: Asked, stack: store.StackRow, parts: readonly Part[]): Promise<Element[][]> {
  const node = await showTree(asked.desk, stack);
  const wanted = asked.params.LogicalResourceId;
  const all = wanted === undefined ? [...node.resources.values()] : [resourceIn(node, wanted)];
  return all.map((live) => resourceShown(stack, live, parts));
}

async function stackOfPhysical(asked: Asked): Promise<store.StackRow> {
  const { desk, stacks, context, params } = asked;
  if (params.StackName !== undefined && params.PhysicalResourceId !== undefined)
    throw cfnFault('InvalidParameterCombination', 'Use `StackName` or `PhysicalResourceId` but not both');
  if (params.StackName !== undefined) return found(asked);
  const physical = needed(asked, 'PhysicalResourceId');
  const [one] = await resourcesFor(desk.house.db, physical);
  if (!one) throw fault('resource-not-found', { resource: physical, stack: '(any)' });
  return stacks.find(context, one.stack_id);
}

async function eventsOf({ desk }: Asked, stack: store.StackRow): Promise<Element[][]> {
  const node = await showTree(desk, stack);
  const rows = await desk.house.recorder.timeline(stackSubject(stack.id), { limit: 10_000 });
  return rows
    .flatMap((event) => told(node, event))
    .map((event) => [
      ['EventId', eventId(event.id)],
      ['LogicalResourceId', event.resource],
      ['PhysicalResourceId', event.physicalId ?? ''],
      ['ResourceStatusReason', event.reason],
      ['ResourceType', event.type],
      ['StackId', arn(stack)],
      ['StackName', stack.name],
      ['Timestamp', heatTime(event.at)],
      ['ResourceStatus', event.status],
      ['ResourceProperties', JSON.stringify(node.resources.get(event.resource)?.state.properties ?? {})],
    ]);
}

interface Action {
  /** Needs a role that writes. */
  readonly writes?: true;
  readonly run: (asked: Asked) => Promise<readonly Element[]>;
}

const actions: Readonly<Record<string, Action>> = {
  ListStacks: {
    run: async ({ stacks, context }) => [members('StackSummaries', (await stacks.list(context)).map(summary))],
  },
  DescribeStacks: {
    async run(asked) {
      const { stacks, context, params } = asked;
      const names = params.StackName === undefined ? (await stacks.list(context)).map(({ id }) => id) : null;
      const rows = names ? await Promise.all(names.map((id) => stacks.find(context, id))) : [await found(asked)];
      const all: Element[][] = [];
      for (const row of rows) all.push(await described(asked, row));
      return [members('Stacks', all)];
    },
  },
  CreateStack: {
    writes: true,
    async run(asked) {
      return [['StackId', arn(await asked.stacks.create(asked.context, needed(asked, 'StackName'), wishIn(asked)))]];
    },
  },
  UpdateStack: {
    writes: true,
    async run(asked) {
      return [['StackId', arn(await asked.stacks.update(asked.context, needed(asked, 'StackName'), wishIn(asked)))]];
    },
  },
  DeleteStack: {
    writes: true,
    async run(asked) {
      await asked.stacks.remove(asked.context, needed(asked, 'StackName'));
      return [];
    },
  },
  CancelUpdateStack: {
    writes: true,
    async run(asked) {
      await asked.stacks.cancel(asked.context, needed(asked, 'StackName'), { rollback: true });
      return [];
    },
  },
  GetTemplate: {
    async run(asked) {
      const row = await found(asked);
      const { template } = openDefinition(asked.desk.house.secrets, row.id, row.definition);
      const tree =
        typeof template === 'string' ? toPlain((await showTree(asked.desk, row)).analysis.template.tree) : template;
      return [['TemplateBody', JSON.stringify(tree)]];
    },
  },
  ValidateTemplate: {
    async run(asked) {
      const { desk, context } = asked;
      const stack = { id: 'None', name: 'None', project_id: context.projectId ?? '' };
      const source = { wish: { template: templateIn(asked) }, present: null, files: {}, stack };
      const body = (await desk.reader.ask('describe', { source })).body as unknown as {
        Description: string;
        Parameters: Record<string, { Default?: Plain; Description?: string; NoEcho?: Plain }>;
      };
      return [
        ['Description', body.Description],
        members(
          'Parameters',
          Object.entries(body.Parameters).map(([key, one]) => [
            ['ParameterKey', key],
            ['DefaultValue', text(one.Default)],
            ['Description', one.Description ?? ''],
            ['NoEcho', text(one.NoEcho) || 'false'],
          ]),
        ),
      ];
    },
  },
  EstimateTemplateCost: { run: async () => [['Url', 'http://en.wikipedia.org/wiki/Gratis']] },
  DescribeStackEvents: {
    async run(asked) {
      const { stacks, context, params } = asked;
      const rows =
        params.StackName === undefined
          ? await Promise.all((await stacks.list(context)).map(({ id }) => stacks.find(context, id)))
          : [await found(asked)];
      const all: Element[][] = [];
      for (const row of rows) all.push(...(await eventsOf(asked, row)));
      return [members('StackEvents', all)];
    },
  },
  DescribeStackResource: {
    async run(asked) {
      const row = await found(asked);
      const node = await showTree(asked.desk, row);
      const live = resourceIn(node, needed(asked, 'LogicalResourceId'));
      const [description, updated, name, ...rest] = resourceShown(row, live, ['stack', 'updated']) as [
        Element,
        Element,
        Element,
        ...Element[],
      ];
      const metadata: Element = ['Metadata', JSON.stringify(await documentOf(asked.desk, node, live))];
      return [['StackResourceDetail', [description, updated, name, metadata, ...rest]]];
    },
  },
  DescribeStackResources: {
    run: async (asked) => [
      members('StackResources', await resourcesIn(asked, await stackOfPhysical(asked), ['stack', 'time'])),
    ],
  },
  ListStackResources: {
    async run(asked) {
      const wish = { ...asked, params: { StackName: needed(asked, 'StackName') } };
      return [members('StackResourceSummaries', await resourcesIn(wish, await found(asked), ['updated']))];
    },
  },
};

/** @returns the answer's document. @throws Fault `cfn-invalid`, and what the rules throw */
export async function act(asked: Asked): Promise<string> {
  const name = asked.params.Action;
  if (name === undefined) throw cfnFault('MissingAction', 'The request is missing an action or operation parameter');
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (!action) throw cfnFault('InvalidAction', `The action ${name} is not one of ${Object.keys(actions).join(', ')}.`);
  if (action.writes && !mayWrite(asked.context)) throw fault('cfn-denied');
  return write([`${name}Response`, [[`${name}Result`, await action.run(asked)]]]);
}
