/** Software configurations and deployments that clients make by hand. */
import { randomUUID } from 'node:crypto';
import type { Context } from '../../core/context.ts';
import { isAdmin } from '../../core/context.ts';
import { fault } from '../../core/errors/index.ts';
import type { Api } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import type { Plain } from '../model.ts';
import {
  type ConfigInput,
  type ConfigOutput,
  configDocument,
  heatTime,
  openDeployment,
  sealConfig,
  sealDeployment,
} from '../software/configs.ts';
import * as store from '../store/software.ts';
import { number, one, type Query } from './dialect.ts';
import { bodyOf } from './wishes.ts';

type ById = { Params: { id: string } };

const listOf = (value: Plain | undefined, name: string): Plain[] => {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw fault('bad-request', { reason: `"${name}" has to be a list.` });
};
/** Inputs or outputs: each a map with a name. */
const namedOf = <T>(value: Plain | undefined, name: string): T[] => {
  const all = listOf(value, name);
  for (const one of all)
    if (typeof one !== 'object' || one === null || Array.isArray(one) || typeof one.name !== 'string')
      throw fault('bad-request', {
        reason: `Each of "${name}" has to be a map with a name, not ${JSON.stringify(one)}.`,
      });
  return all as T[];
};
const mapOf = (value: Plain | undefined, name: string): { [key: string]: Plain } => {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value;
  throw fault('bad-request', { reason: `"${name}" has to be a map.` });
};

export function softwareRoutes(api: Api, desk: Desk): void {
  const { db } = desk.house;
  const projectOf = (context: Context): string => context.projectId ?? '';

  async function config(context: Context, id: string): Promise<store.ConfigRow> {
    const row = await store.config(db, id);
    if (!row || (!isAdmin(context) && row.project_id !== projectOf(context))) throw fault('config-not-found', { id });
    return row;
  }

  async function deployment(context: Context, id: string): Promise<store.DeploymentRow> {
    const row = await store.deployment(db, id);
    if (!row || (!isAdmin(context) && row.project_id !== projectOf(context)))
      throw fault('deployment-not-found', { id });
    return row;
  }

  const shown = (row: store.DeploymentRow) => ({
    id: row.id,
    server_id: row.server_id,
    ...openDeployment(desk, row),
    action: row.action,
    status: row.status,
    status_reason: row.reason,
    config_id: row.config_id,
    creation_time: heatTime(row.created_at),
    ...(row.updated_at && { updated_time: heatTime(row.updated_at) }),
  });

  api.get<{ Querystring: Query }>('/software_configs', async (request) => {
    const { query, context } = request;
    const marker = one(query.marker);
    const limit = number(query, 'limit');
    const rows = await store.configs(db, projectOf(context), {
      ...(marker && { marker }),
      ...(limit !== undefined && { limit }),
    });
    return {
      software_configs: rows.map((row) => ({
        id: row.id,
        name: row.name,
        group: row.group_name,
        creation_time: heatTime(row.created_at),
        project: row.project_id,
      })),
    };
  });

  api.post('/software_configs', async (request) => {
    const body = bodyOf(request.body);
    const id = randomUUID();
    const sealed = sealConfig(desk, id, {
      config: body.config ?? '',
      inputs: namedOf<ConfigInput>(body.inputs, 'inputs'),
      outputs: namedOf<ConfigOutput>(body.outputs, 'outputs'),
      options: mapOf(body.options, 'options'),
    });
    const row = await store.insertConfig(db, {
      id,
      project_id: projectOf(request.context),
      name: String(body.name ?? ''),
      group_name: String(body.group ?? 'Heat::Ungrouped'),
      body: sealed,
    });
    return { software_config: configDocument(desk, row) };
  });

  api.get<ById>('/software_configs/:id', async (request) => ({
    software_config: configDocument(desk, await config(request.context, request.params.id)),
  }));

  api.delete<ById>('/software_configs/:id', async (request, reply) => {
    const row = await config(request.context, request.params.id);
    await store.deleteConfig(db, row.id);
    return reply.status(204).send();
  });

  api.get<{ Querystring: Query }>('/software_deployments', async (request) => {
    const rows = await store.deployments(db, projectOf(request.context), one(request.query.server_id));
    return { software_deployments: rows.map(shown) };
  });

  api.post('/software_deployments', async (request) => {
    const body = bodyOf(request.body);
    if (typeof body.server_id !== 'string') throw fault('bad-request', { reason: 'server_id has to be given.' });
    const row = body.config_id ? await config(request.context, String(body.config_id)) : null;
    const id = randomUUID();
    const made = await store.insertDeployment(db, {
      id,
      project_id: projectOf(request.context),
      server_id: body.server_id,
      config_id: row?.id ?? null,
      action: String(body.action ?? 'INIT'),
      status: String(body.status ?? 'COMPLETE'),
      reason: String(body.status_reason ?? 'None'),
      body: sealDeployment(desk, id, { input_values: mapOf(body.input_values, 'input_values'), output_values: null }),
    });
    desk.bell.ring(made.server_id);
    return { software_deployment: shown(made) };
  });

  api.get<ById>('/software_deployments/:id', async (request) => ({
    software_deployment: shown(await deployment(request.context, request.params.id)),
  }));

  api.put<ById>('/software_deployments/:id', async (request) => {
    const row = await deployment(request.context, request.params.id);
    const body = bodyOf(request.body);
    const before = openDeployment(desk, row);
    await store.patchDeployment(db, row.id, {
      ...(typeof body.config_id === 'string' && { config_id: (await config(request.context, body.config_id)).id }),
      ...(typeof body.action === 'string' && { action: body.action }),
      ...(typeof body.status === 'string' && { status: body.status }),
      ...(typeof body.status_reason === 'string' && { reason: body.status_reason }),
      body: sealDeployment(desk, row.id, {
        input_values: body.input_values ? mapOf(body.input_values, 'input_values') : before.input_values,
        output_values: body.output_values ? mapOf(body.output_values, 'output_values') : before.output_values,
      }),
    });
    desk.bell.ring(row.server_id);
    return { software_deployment: shown(await deployment(request.context, row.id)) };
  });

  api.delete<ById>('/software_deployments/:id', async (request, reply) => {
    const row = await deployment(request.context, request.params.id);
    await store.deleteDeployment(db, row.id);
    desk.bell.ring(row.server_id);
    return reply.status(204).send();
  });

  api.get<{ Params: { server: string } }>('/software_deployments/metadata/:server', async (request) => {
    const rows = await store.configsOfServer(db, request.params.server);
    const mine = rows.filter((row) => isAdmin(request.context) || row.project_id === projectOf(request.context));
    return { metadata: mine.map((row) => configDocument(desk, row)) };
  });
}
