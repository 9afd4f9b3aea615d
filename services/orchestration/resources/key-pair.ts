/** OS::Nova::KeyPair: a public key that is given, or a pair that is made; its private half is kept sealed when asked. */
import { done, type Handler } from '../engine/handler.ts';

export const keyPair: Handler = {
  type: 'OS::Nova::KeyPair',
  backend: 'compute',
  async create(work) {
    if (work.physicalId !== null) return done;
    const { properties, desk, context } = work;
    const userId = typeof properties.user === 'string' ? properties.user : (context.userId ?? '');
    const publicKey = typeof properties.public_key === 'string' ? properties.public_key : undefined;
    await work.commit(async (tx) => {
      const made = await desk.compute.keypairs.create(userId, { name: String(properties.name), publicKey }, tx);
      const secret = properties.save_private_key === true ? (made.private_key ?? '') : '';
      return { physicalId: made.name, data: { user: userId, public_key: made.public_key, private_key: secret } };
    });
    return done;
  },
  async delete(work) {
    await work.commit(async (tx) => {
      await work.desk.compute.keypairs.delete(String(work.data.user), work.physicalId ?? '', tx);
      return {};
    });
    return done;
  },
  async check(work) {
    await work.desk.compute.keypairs.find(String(work.data.user), work.physicalId ?? '');
  },
  attributes: ({ data, physicalId }) => ({
    public_key: data.public_key ?? '',
    private_key: data.private_key ?? '',
    show: { name: physicalId, public_key: data.public_key ?? '', user_id: data.user ?? '' },
  }),
};
