/**
 * CFN's side: for the agents on nodes DescribeStackResource, and the pre-signed URLs that deployments and wait conditions
 * report to, with keys that are good for one resource each; for users with access keys of their own, all actions. Who
 * asks is proven by the signature alone.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Fault, fault } from '../../core/errors/index.ts';
import { type Api, baseUrl, type Routes } from '../../core/http/index.ts';
import type { Desk } from '../desk.ts';
import { stackArn } from '../language/index.ts';
import type { Plain } from '../model.ts';
import { loadOne } from '../one-resource.ts';
import { documentOf } from '../routes/resources.ts';
import { resourceIn, showTree } from '../show.ts';
import { signal } from '../signals.ts';
import { heatTime } from '../software/configs.ts';
import { secretOf } from '../software/credentials.ts';
import { newerDocument, type Read } from '../software/long-poll.ts';
import type { Stacks } from '../stacks.ts';
import { credentialByKey, type FoundResource, resource } from '../store/resources.ts';
import * as stackStore from '../store/stacks.ts';
import { act } from './actions.ts';
import { cfnFault } from './fault.ts';
import { isStackKey, mayRead } from './policy.ts';
import { proofOf } from './proof.ts';
import { type Element, write } from './xml.ts';

const awsCodes: Readonly<Record<number, string>> = {
  400: 'InvalidParameterValue',
  403: 'AccessDenied',
  404: 'InvalidParameterValue',
  500: 'InternalFailure',
};

/** Heat's: what it maps its own errors to. Others are named after their status. */
const codes: Readonly<Record<string, string>> = {
  'stack-exists': 'AlreadyExists',
  'stack-action-running': 'InvalidAction',
  'subject-busy': 'InvalidAction',
  'stack-not-running': 'InvalidAction',
};

/** AWS has no 404, 409 or 422: what the sender has to change is a 400. */
const statusOf = (error: Fault): number =>
  error.code === 'cfn-invalid'
    ? Number(error.details.status ?? 400)
    : error.status >= 500 || error.status === 403
      ? error.status
      : 400;

function errorDocument(error: Fault): string {
  const kind = error.status >= 500 ? 'Server' : 'Sender';
  const code =
    error.code === 'cfn-invalid'
      ? String(error.details.code ?? 'InvalidParameterValue')
      : (codes[error.code] ?? awsCodes[error.status] ?? 'InvalidParameterValue');
  return write([
    'ErrorResponse',
    [
      [
        'Error',
        [
          ['Type', kind],
          ['Code', code],
          ['Message', error.sentence],
        ],
      ],
    ],
  ]);
}

const isXml = 'application/xml; charset=UTF-8';

/** The query as it was signed: decoded once, `+` left a plus as boto signs it. */
function paramsOf(query: string): Record<string, string> {
  const params: Record<string, string> = {};
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    try {
      params[decodeURIComponent(name)] = decodeURIComponent(value);
    } catch {
      throw fault('cfn-invalid', { reason: 'The query is not percent-encoded UTF-8.', code: 'InvalidQueryParameter' });
    }
  }
  return params;
}

export function createCfnRoutes(desk: Desk, stacks: Stacks): Routes {
  const { db } = desk.house;

  /** A user's own key: any action, in the key's project, while the request is fresh. Null: the key is not a user's. */
  async function asUser(request: FastifyRequest, extra: Record<string, string> = {}): Promise<string | null> {
    const params = { ...paramsOf(request.url.split('?')[1] ?? ''), ...extra };
    const proof = proofOf(request, params, new URL(desk.cfnUrl).host);
    const found = proof.accessKey ? await desk.identity.signer(proof.accessKey, request.id) : undefined;
    if (!found) return null;
    if (!proof.isOf(found.secret))
      throw cfnFault('SignatureDoesNotMatch', 'The signature that was calculated here is another one.', 403);
    proof.checkFresh(desk.house.clock.now());
    return act({ desk, stacks, context: found.context, params });
  }

  /** @throws Fault `cfn-denied` */
  async function signer(
    request: FastifyRequest,
    extra: Readonly<Record<string, string>> = {},
  ): Promise<FoundResource & { params: Record<string, string> }> {
    const params = { ...paramsOf(request.url.split('?')[1] ?? ''), ...extra };
    // Behind a proxy the host that was signed is the one that we hand out.
    const proof = proofOf(request, params, new URL(desk.cfnUrl).host);
    const row = proof.accessKey ? await credentialByKey(db, proof.accessKey) : undefined;
    if (!row || !proof.isOf(secretOf(desk, row))) throw fault('cfn-denied');
    return { id: row.id, name: row.name, type: row.type, stack_id: row.stack_id, root_id: row.root_id, params };
  }

  /** @throws Fault `cfn-denied`, `resource-not-found` */
  async function readable(row: stackStore.StackRow, key: FoundResource, wanted: string) {
    const node = await showTree(desk, row);
    if (!mayRead(node, key.name, wanted)) throw fault('cfn-denied');
    return { node, live: resourceIn(node, wanted) };
  }

  async function describe(request: FastifyRequest, extra: Readonly<Record<string, string>> = {}): Promise<Read> {
    const found = await signer(request, extra);
    const { params } = found;
    if (params.Action !== 'DescribeStackResource')
      throw fault('cfn-invalid', {
        reason: `The action ${params.Action ?? '(none)'} is not served here.`,
        code: 'InvalidAction',
      });
    const row = await stackStore.stack(db, found.stack_id);
    const wanted = params.LogicalResourceId ?? found.name;
    if (!row || (wanted !== found.name && !isStackKey(found.type))) throw fault('cfn-denied');
    if (params.StackName !== undefined && ![row.name, row.id, `${row.name}/${row.id}`].includes(params.StackName))
      throw fault('cfn-denied');
    const { node, live } = isStackKey(found.type) ? await readable(row, found, wanted) : await loadOne(desk, found);
    const document = await documentOf(desk, node, live);
    const detail: Element[] = [
      ['Description', ''],
      ['LastUpdatedTimestamp', heatTime(live.row.updated_at)],
      ['LogicalResourceId', live.row.name],
      ['Metadata', JSON.stringify(document)],
      ['PhysicalResourceId', live.row.physical_id ?? ''],
      ['ResourceStatus', `${live.row.action}_${live.row.status}`],
      ['ResourceStatusReason', live.row.reason || 'state changed'],
      ['ResourceType', live.row.type],
      ['StackId', stackArn({ project: row.project_id, name: row.name, id: row.id })],
      ['StackName', row.name],
    ];
    const text = write([
      'DescribeStackResourceResponse',
      [['DescribeStackResourceResult', [['StackResourceDetail', detail]]]],
    ]);
    return { server: live.row.physical_id, text };
  }

  async function report(request: FastifyRequest): Promise<FoundResource> {
    const found = await signer(request);
    // A key is good for its own resource, whatever the path says; a path of another one was not signed with it.
    const path = decodeURIComponent(request.url.split('?')[0] ?? '');
    if (!path.endsWith(`/resources/${found.name}`) || !path.includes(`/${found.stack_id}/`)) throw fault('cfn-denied');
    const row = await resource(db, found.id);
    if (!row) throw fault('cfn-denied');
    await signal(desk, { ...found, physical_id: row.physical_id }, bodyOf(request), null);
    return found;
  }

  return async (api) => {
    const send = (reply: FastifyReply, text: string, status = 200) =>
      reply.status(status).header('content-type', isXml).send(text);
    // Agents send JSON under any content type, and under none.
    api.removeAllContentTypeParsers();
    api.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
    api.setErrorHandler((error, _request, reply) => {
      const known = error as unknown as Fault;
      if ('sentence' in known) return send(reply, errorDocument(known), statusOf(known));
      const status = (error as { statusCode?: number }).statusCode ?? 500;
      return send(
        reply,
        errorDocument(
          fault(status < 500 ? 'cfn-invalid' : 'internal', {
            reason: (error as Error).message,
            text: (error as Error).message,
          }),
        ),
        status,
      );
    });
    api.get('/', async (request, reply) => {
      const href = `${baseUrl(request, '/cfn', desk.publicUrl)}/v1/`;
      return reply.status(300).send({ versions: [{ id: 'v1.0', status: 'CURRENT', links: [{ rel: 'self', href }] }] });
    });
    api.addHook('preClose', async () => desk.bell.close());
    (api as Api).get('/v1', async (request, reply) => {
      const answer = await asUser(request);
      if (answer !== null) return send(reply, answer);
      const text = await newerDocument(desk, request, reply, () => describe(request));
      return text === null ? reply : send(reply, text);
    });
    api.post('/v1', async (request, reply) => {
      // A form's blank is a plus; a plus itself is %2B there.
      const form = paramsOf(String(request.body ?? '').replaceAll('+', '%20'));
      return send(reply, (await asUser(request, form)) ?? (await describe(request, form)).text);
    });
    api.post('/v1/signal/*', async (request, reply) => {
      await report(request);
      return reply.status(200).send();
    });
    api.put('/v1/waitcondition/*', async (request, reply) =>
      send(reply, write(['resource', (await report(request)).name])),
    );
  };
}

/** @throws Fault `cfn-invalid` where Heat answers 500 */
function bodyOf(request: FastifyRequest): Plain {
  const text = String(request.body ?? '');
  if (text.trim() === '') return null;
  try {
    return JSON.parse(text) as Plain;
  } catch (error) {
    throw fault('cfn-invalid', {
      reason: `The signal is not JSON: ${(error as Error).message}.`,
      code: 'MalformedQueryString',
    });
  }
}
