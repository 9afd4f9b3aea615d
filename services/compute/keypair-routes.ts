/** Nova's key pairs. */
import Type from 'typebox';
import { fault } from '../core/errors/index.ts';
import type { Api } from '../core/http/index.ts';
import type { Keypair, Keypairs, MadeKeypair } from './keypairs.ts';

const Body = Type.Object({
  keypair: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 255 }),
    public_key: Type.Optional(Type.String()),
    type: Type.Optional(Type.String()),
  }),
});

export function keypairRoutes(api: Api, keypairs: Keypairs): void {
  type ByName = { Params: { name: string } };
  const view = (row: Keypair | MadeKeypair) => ({
    name: row.name,
    public_key: row.public_key,
    fingerprint: row.fingerprint,
    user_id: row.user_id,
    ...('private_key' in row && { private_key: row.private_key }),
  });
  const missing = (name: string) => Object.assign(fault('keypair-not-found', { name }), { status: 404 });
  api.get('/os-keypairs', async (request) => ({
    keypairs: (await keypairs.list(request.context.userId ?? '')).map((row) => ({ keypair: view(row) })),
  }));
  api.get<ByName>('/os-keypairs/:name', async (request) => {
    const { name } = request.params;
    const row = (await keypairs.list(request.context.userId ?? '')).find((one) => one.name === name);
    if (!row) throw missing(name);
    return { keypair: { ...view(row), created_at: row.created_at.toISOString(), deleted: false, id: 1 } };
  });
  api.post('/os-keypairs', { schema: { body: Body } }, async (request) => {
    const { name, public_key: publicKey } = request.body.keypair;
    return { keypair: view(await keypairs.create(request.context.userId ?? '', { name, publicKey })) };
  });
  api.delete<ByName>('/os-keypairs/:name', async (request, reply) => {
    const { name } = request.params;
    if (!(await keypairs.delete(request.context.userId ?? '', name))) throw missing(name);
    return reply.status(202).send();
  });
}
