/**
 * The metadata service at 169.254.169.254, on the provisioning interface only. The caller is known by its address and by
 * the MAC in our neighbour table: an address alone could be borrowed.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { neighbourMac } from '../boot/index.ts';
import { systemContext } from '../core/context.ts';
import { fault } from '../core/errors/index.ts';
import type { Routes } from '../core/http/index.ts';
import type { Desk } from './desk.ts';
import { type DocumentName, documents, ec2Tree, type MachineFacts, openstackVersions } from './documents.ts';
import { serverSubject } from './model.ts';
import { server as findServer } from './store.ts';

const ec2Versions = ['1.0', '2007-01-19', '2009-04-04', '2011-01-01', '2014-02-25', 'latest'];

export function metadataRoutes(desk: Desk): Routes {
  const { house, network } = desk;

  /** Its ports answer to the caller's address; a neighbour entry with another MAC means that somebody else uses it. */
  async function caller(request: FastifyRequest): Promise<MachineFacts> {
    const address = (request.ip ?? '').replace(/^::ffff:/, '');
    const context = systemContext(request.id);
    const [port] = await network.listPorts(context, { fixed_ips: `ip_address=${address}` });
    const mac = await neighbourMac(address);
    if (!port?.deviceId || (mac !== null && mac !== port.macAddress))
      throw fault('not-found', { what: `A server at ${address}` });
    const server = await findServer(house.db, port.deviceId);
    if (!server || server.deleted_at) throw fault('not-found', { what: `A server at ${address}` });
    return desk.facts(server, context);
  }

  const text = (reply: FastifyReply, body: string) => reply.type('text/plain; charset=utf-8').send(body);

  return (api) => {
    // A plain 404 with a body: cloud-init and GRUB's relatives read the status only.
    api.setErrorHandler((error, _request, reply) => {
      const status = (error as { status?: number }).status ?? 500;
      reply
        .status(status)
        .type('text/plain')
        .send(`${(error as Error).message}\n`);
    });
    const tell = (facts: MachineFacts, request: FastifyRequest) =>
      house.recorder.emit('server.metadata', serverSubject(facts.server.id), {
        path: request.url,
        address: request.ip,
        status: 200,
      });

    api.get('/', async (_request, reply) => text(reply, [...ec2Versions, ''].join('\n')));
    api.get('/openstack', async (_request, reply) => text(reply, openstackVersions.join('\n')));
    api.get<{ Params: { version: string } }>('/openstack/:version', async (request, reply) => {
      const facts = await caller(request);
      return text(reply, [...documents(facts).keys()].join('\n'));
    });
    api.get<{ Params: { version: string; name: string } }>('/openstack/:version/:name', async (request, reply) => {
      const facts = await caller(request);
      const { version, name } = request.params;
      const body = (openstackVersions as readonly string[]).includes(version)
        ? documents(facts).get(name as DocumentName)
        : undefined;
      if (body === undefined) throw fault('not-found', { what: request.url });
      tell(facts, request);
      return name.endsWith('.json')
        ? reply.type('application/json').send(body)
        : reply.type('application/octet-stream').send(body);
    });
    api.get<{ Params: { version: string; '*': string } }>('/:version/meta-data/*', async (request, reply) => {
      const facts = await caller(request);
      tell(facts, request);
      return text(reply, ec2Answer(ec2Tree(facts), request.params['*'].replace(/\/$/, '')));
    });
    api.get<{ Params: { version: string } }>('/:version/meta-data', async (request, reply) => {
      const facts = await caller(request);
      tell(facts, request);
      return text(reply, ec2Answer(ec2Tree(facts), ''));
    });
    api.get<{ Params: { version: string } }>('/:version/user-data', async (request, reply) => {
      const facts = await caller(request);
      if (facts.userData === null) throw fault('not-found', { what: request.url });
      tell(facts, request);
      return reply.type('application/octet-stream').send(facts.userData);
    });
  };
}

/** A leaf's value, or the names below the path, directories with a slash, as EC2 does. */
function ec2Answer(tree: Record<string, string>, path: string): string {
  const leaf = tree[path];
  if (leaf !== undefined) return leaf;
  const prefix = path === '' ? '' : `${path}/`;
  const below = Object.keys(tree)
    .filter((key) => key.startsWith(prefix))
    .map((key) => {
      const [name, ...more] = key.slice(prefix.length).split('/');
      return more.length > 0 ? `${name}/` : `${name}`;
    });
  if (below.length === 0) throw fault('not-found', { what: path });
  return [...new Set(below)].sort().join('\n');
}
