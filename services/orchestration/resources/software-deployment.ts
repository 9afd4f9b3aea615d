/** OS::Heat::SoftwareDeployment and its kin: a configuration with values, run by the agent on a server, which signals what came of it. */
import { randomUUID } from 'node:crypto';
import { fault } from '../../core/errors/index.ts';
import { done, type Handler, type Outcome, type Work, waitFor } from '../engine/handler.ts';
import type { Plain } from '../model.ts';
import {
  type ConfigBody,
  type ConfigInput,
  lastLines,
  openConfig,
  openDeployment,
  sealConfig,
  sealDeployment,
} from '../software/configs.ts';
import { dropCredential, ensureCredential, type Holder, refuseZaqar, signalUrl } from '../software/credentials.ts';
import * as store from '../store/software.ts';
import { tempUrl } from '../temp-urls/sign.ts';
import { componentGroup } from './software-component.ts';

/** An agent that will not answer must not keep a stack from being deleted. */
const farewellMs = 600_000;

const holderOf = (work: Work): Holder => ({ id: work.id, name: work.name, stack: work.stack });
const transportOf = ({ properties }: Work): string => String(properties.signal_transport ?? 'CFN_SIGNAL');

/** What differs between the types: what becomes of the configuration when its values are known. */
export interface DeploymentKind {
  readonly type: string;
  derive(config: Plain, inputs: readonly Input[], work: Work): Plain;
}

const empty: ConfigBody = { config: '', inputs: [], outputs: [], options: {} };

/** Another project's configuration is none at all. @throws Fault `config-not-found` */
async function sourceOf({ desk, properties, stack }: Work): Promise<store.ConfigRow | undefined> {
  const id = properties.config;
  if (typeof id !== 'string' || id === '') return undefined;
  const row = await store.config(desk.house.db, id);
  if (row?.project_id !== stack.projectId) throw fault('config-not-found', { id });
  return row;
}

export type Input = ConfigInput & { readonly value: Plain };

const input = (name: string, description: string, value: Plain): Input => ({
  name,
  description,
  type: 'String',
  value,
});

/** What the configuration's author asked for, then what the caller gave beyond it, then what the agent needs to answer. */
function inputsOf(config: ConfigBody, values: { readonly [name: string]: Plain }, own: readonly Input[]): Input[] {
  const declared = config.inputs.map((one) => ({ ...one, value: values[one.name] ?? one.default ?? '' }));
  const names = new Set(declared.map(({ name }) => name));
  const extra = Object.entries(values)
    .filter(([name]) => !names.has(name))
    .map(([name, value]) => ({ name, type: 'String', value }));
  return [...declared, ...extra, ...own];
}

/** Which action's configuration lies there. A creation that was cut short goes on with its own: the agent may be at it. */
const layOf = ({ action, startedAt }: Work): string => (action === 'CREATE' ? action : `${action} ${startedAt}`);

/** Lays the configuration of this action out for the server's agent. The id is new: agents remember what they ran by it. */
async function deploy(work: Work, kind: DeploymentKind): Promise<void> {
  const { desk, properties, action } = work;
  const source = await sourceOf(work);
  const config = source ? openConfig(desk, source) : empty;
  const values = (properties.input_values ?? {}) as { [name: string]: Plain };
  const transport = transportOf(work);
  refuseZaqar(work, transport);
  await work.commit(async (tx) => {
    const own: Input[] = [
      input('deploy_server_id', 'ID of the server being deployed to', String(properties.server)),
      input('deploy_action', 'Name of the current action being deployed', action),
      input('deploy_stack_id', 'ID of the stack this deployment belongs to', `${work.stack.name}/${work.stack.id}`),
      input('deploy_resource_name', 'Name of this deployment resource in the stack', work.name),
      input(
        'deploy_signal_transport',
        'How the server should signal to heat with the deployment output values.',
        transport,
      ),
    ];
    if (transport === 'CFN_SIGNAL') {
      const credential = await ensureCredential(desk, tx, holderOf(work), { user: false });
      const url = signalUrl(desk, holderOf(work), credential, 'signal', new Date(work.now));
      own.push(input('deploy_signal_id', 'ID of signal to use for signaling output values', url));
      own.push(input('deploy_signal_verb', 'HTTP verb to use for signaling output values', 'POST'));
    }
    if (transport === 'TEMP_URL_SIGNAL') {
      const credential = await ensureCredential(desk, tx, holderOf(work), { user: false });
      const url = tempUrl(desk, holderOf(work), credential, 'PUT');
      own.push(input('deploy_signal_id', 'ID of signal to use for signaling output values', url));
      own.push(input('deploy_signal_verb', 'HTTP verb to use for signaling output values', 'PUT'));
    }
    if (transport === 'HEAT_SIGNAL') {
      const { user } = await ensureCredential(desk, tx, holderOf(work), { user: true });
      own.push(input('deploy_auth_url', 'URL for API authentication', desk.authUrl));
      own.push(input('deploy_username', 'Username for API authentication', user?.id ?? ''));
      own.push(input('deploy_user_id', 'User ID for API authentication', user?.id ?? ''));
      own.push(input('deploy_password', 'Password for API authentication', user?.password ?? ''));
      own.push(input('deploy_project_id', 'ID of project for API authentication', user?.projectId ?? ''));
      own.push(input('deploy_region_name', 'Region name for API authentication', desk.region));
    }
    const configId = randomUUID();
    const inputs = inputsOf(config, values, own);
    await store.insertConfig(tx, {
      id: configId,
      project_id: work.stack.projectId,
      name: String(properties.name ?? source?.name ?? work.name),
      group_name: source?.group_name ?? 'Heat::Ungrouped',
      body: sealConfig(desk, configId, { ...config, config: kind.derive(config.config, inputs, work), inputs }),
    });
    const id = work.physicalId ?? randomUUID();
    const before = (await store.deployment(tx, id))?.config_id;
    const silent = transport === 'NO_SIGNAL';
    tx.afterCommit(() => work.desk.bell.ring(String(work.properties.server)));
    await store.insertDeployment(tx, {
      id,
      project_id: work.stack.projectId,
      server_id: String(properties.server),
      config_id: configId,
      action,
      status: silent ? 'COMPLETE' : 'IN_PROGRESS',
      reason: silent ? 'Not waiting for outputs signal' : 'Deploy data available',
      body: sealDeployment(desk, id, { input_values: values, output_values: null }),
    });
    if (before && before !== configId) await store.deleteConfig(tx, before);
    return { physicalId: id, data: { deployed: layOf(work) } };
  });
}

async function look(work: Work): Promise<Outcome> {
  const row = await store.deployment(work.desk.house.db, work.physicalId ?? '');
  if (!row) throw fault('deployment-not-found', { id: work.physicalId });
  if (row.status === 'COMPLETE') return done;
  const values = openDeployment(work.desk, row).output_values ?? {};
  if (row.status === 'FAILED') {
    const code = values.deploy_status_code ?? 'unknown';
    const stderr = lastLines(values.deploy_stderr) || lastLines(values.deploy_stdout) || row.reason;
    throw fault('deployment-failed', { code, stderr, deployment: row.id });
  }
  // A tenant may name a server that is gone, or none of this undercloud's: then its id, as it was given.
  const server = await work.desk.compute.findServer(work.context, row.server_id).catch(() => null);
  return waitFor({
    on: `the agent on server ${server?.name ?? row.server_id} to run ${String(work.properties.name ?? work.name)} and report`,
    remedy: 'See the node’s console, or `journalctl -u undercloud-agent` on it.',
    recheckMs: 30_000,
  });
}

/** A component says itself which actions it has something for. */
async function isFor(work: Work, action: string): Promise<boolean> {
  const source = await sourceOf(work);
  if (source?.group_name === componentGroup) {
    const { configs } = openConfig(work.desk, source).config as { configs?: { actions?: string[] }[] };
    return (configs ?? []).some(({ actions }) => (actions ?? usualActions).includes(action));
  }
  return ((work.properties.actions ?? usualActions) as string[]).includes(action);
}

const usualActions = ['CREATE', 'UPDATE'];

async function run(work: Work, kind: DeploymentKind): Promise<Outcome> {
  if (work.data.deployed !== layOf(work)) {
    if (!(await isFor(work, work.action))) return done;
    await deploy(work, kind);
  }
  return look(work);
}

async function farewell(work: Work, kind: DeploymentKind): Promise<Outcome> {
  const overdue = work.now - work.startedAt >= farewellMs;
  const laid = work.data.deployed === layOf(work);
  if (!overdue && (laid || (await isFor(work, 'DELETE').catch(() => false)))) {
    if (!laid) await deploy(work, kind);
    const row = await store.deployment(work.desk.house.db, work.physicalId ?? '');
    if (row?.status === 'IN_PROGRESS') return look(work);
  }
  await work.commit(async (tx) => {
    const row = await store.deployment(tx, work.physicalId ?? '');
    tx.afterCommit(() => work.desk.bell.ring(String(work.properties.server)));
    await store.deleteDeployment(tx, work.physicalId ?? '');
    if (row?.config_id) await store.deleteConfig(tx, row.config_id);
    await dropCredential(work.desk, tx, work.id);
    return {};
  });
  return done;
}

export const deploymentHandler = (kind: DeploymentKind): Handler => ({
  type: kind.type,
  backend: 'database',
  toldOnFailure: true,
  create: (work) => run(work, kind),
  update: (work) => run(work, kind),
  suspend: (work) => run(work, kind),
  resume: (work) => run(work, kind),
  delete: (work) => farewell(work, kind),
  async attributes(work) {
    const row = work.physicalId ? await store.deployment(work.desk.house.db, work.physicalId) : undefined;
    return row ? { ...(openDeployment(work.desk, row).output_values ?? {}) } : {};
  },
  signal: (body, { name }) => {
    if (typeof body !== 'object' || body === null || Array.isArray(body))
      throw fault('signal-invalid', { resource: name, reason: 'it is no map of outputs' });
    return `the agent reported status ${String(body.deploy_status_code ?? 0)}`;
  },
});

export const softwareDeployment: Handler = deploymentHandler({
  type: 'OS::Heat::SoftwareDeployment',
  derive: (config) => config,
});
