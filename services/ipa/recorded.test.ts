/** Replays a conversation recorded between Ironic 29.0 and an agent: every message must pass the checks, and keep what it said. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  createAgentClient,
  type JsonObject,
  lastCommand,
  readCommandList,
  readCommandRequest,
  readCommandResult,
  readHeartbeat,
  readImageInfo,
  readLookupAnswer,
  readLookupQuery,
  readStepOffers,
  readStepRequest,
} from './index.ts';

interface Recorded {
  dir: string;
  method?: string;
  path?: string;
  status?: number;
  request?: JsonObject | null;
  response?: JsonObject | string;
}

const RECORDED = JSON.parse(
  readFileSync(new URL('../../test/captures/ipa/ironic-29.0.json', import.meta.url), 'utf8'),
) as Recorded[];

function exchanges(dir: string, method: string, path: RegExp): Recorded[] {
  const found = RECORDED.filter((entry) => entry.dir === dir && entry.method === method && path.test(entry.path ?? ''));
  expect(found.length).toBeGreaterThan(0);
  return found;
}

describe('a conversation recorded from Ironic 29.0', () => {
  it('looks up', () => {
    for (const { path, response } of exchanges('agent->ironic', 'GET', /^\/v1\/lookup/)) {
      const query = Object.fromEntries(new URL(path!, 'http://recorded').searchParams);
      expect(readLookupQuery(query)).toEqual({ addresses: ['52:54:00:dd:00:04'] });
      const answer = readLookupAnswer(response);
      const recorded = response as { node: { uuid: string }; config: { agent_token: string } };
      expect(answer.node.uuid).toBe(recorded.node.uuid);
      expect(answer.config).toEqual({
        heartbeat_timeout: 300,
        agent_token: recorded.config.agent_token,
        agent_token_required: true,
      });
    }
  });

  it('beats', () => {
    for (const { request } of exchanges('agent->ironic', 'POST', /^\/v1\/heartbeat/))
      expect(readHeartbeat(request)).toEqual(request);
  });

  it('commands, and their results', () => {
    const names: string[] = [];
    for (const { request, response } of exchanges('ironic->agent', 'POST', /^\/v1\/commands/)) {
      expect(readCommandRequest(request)).toEqual(request);
      expect(readCommandResult(response)).toEqual(response);
      names.push((request as { name: string }).name);
    }
    expect(new Set(names)).toEqual(
      new Set([
        'clean.get_clean_steps',
        'clean.execute_clean_step',
        'deploy.get_deploy_steps',
        'deploy.execute_deploy_step',
        'standby.get_partition_uuids',
        'image.install_bootloader',
        'standby.power_off',
      ]),
    );
    for (const { response } of exchanges('ironic->agent', 'GET', /^\/v1\/commands/)) {
      const list = readCommandList(response);
      expect({ commands: list }).toEqual(response);
      const name = list[0]!.command_name;
      expect(lastCommand(list, name)).toBe(list.filter(({ command_name }) => command_name === name).at(-1));
    }
  });

  it('steps and images', () => {
    const posts = exchanges('ironic->agent', 'POST', /^\/v1\/commands/);
    for (const kind of ['clean', 'deploy'] as const) {
      const { response } = posts.find(({ request }) => request?.name === `${kind}.get_${kind}_steps`)!;
      const result = (response as JsonObject).command_result as JsonObject;
      const offers = readStepOffers(kind, result);
      expect(offers.steps).toEqual(result[`${kind}_steps`]);
      expect(offers.hardwareManagerVersion).toEqual({ FakeHardwareManager: '1.0' });
    }
    const { request } = posts.find(({ request }) => request?.name === 'deploy.execute_deploy_step')!;
    const step = readStepRequest((request!.params as JsonObject).step);
    expect(step).toMatchObject({ step: 'write_image', interface: 'deploy' });
    const info = readImageInfo(step.args.image_info);
    expect(info).toMatchObject({
      id: 'image.raw',
      urls: ['http://127.0.0.1:19997/image.raw'],
      disk_format: 'raw',
      hash: { algorithm: 'md5', value: 'b6d81b360a5672d80c27430f39153e2c' },
    });
    expect(info.configdrive).toMatch(/^H4sI/);
  });

  it('is asked by our client in the same words', async () => {
    for (const { path, request, response } of exchanges('ironic->agent', 'POST', /^\/v1\/commands/)) {
      const asked: [string, string, unknown][] = [];
      const client = createAgentClient({
        callbackUrl: 'http://127.0.0.1:19997',
        agentToken: '<TOKEN>',
        transport: async ({ method, url, body }) => {
          asked.push([method, url, JSON.parse(body ?? 'null')]);
          return { status: 200, body: JSON.stringify(response) };
        },
      });
      const { name, params } = request as { name: string; params: JsonObject };
      const result = await client.execute(name, params, { wait: path!.includes('wait=true') });
      expect(result).toEqual(response);
      expect(asked).toEqual([['POST', `http://127.0.0.1:19997${path!.replace('<TOKEN>', '%3CTOKEN%3E')}`, request]]);
    }
  });
});
