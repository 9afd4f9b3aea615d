/**
 * AWS::IAM::User and AWS::IAM::AccessKey: a key that a node signs with to read the metadata of its stack's resources (what
 * cfn-init and cfn-hup do). It is good for that alone, as far as the user's OS::Heat::AccessPolicy goes.
 */
import { done, type Handler } from '../../engine/handler.ts';
import { dropCredential, ensureCredential } from '../../software/credentials.ts';

/** The key's own resource is what the credential belongs to; the user is a name that keys and policies meet at. */
export const iamUser: Handler = {
  type: 'AWS::IAM::User',
  named: true,
  create: () => done,
};

export const iamAccessKey: Handler = {
  type: 'AWS::IAM::AccessKey',
  backend: 'database',
  async create(work) {
    if (work.physicalId !== null) return done;
    const { desk, id, name, stack, properties } = work;
    await work.commit(async (tx) => {
      const { accessKey, secret } = await ensureCredential(desk, tx, { id, name, stack }, { user: false });
      return { physicalId: accessKey, data: { secret, user: String(properties.UserName) } };
    });
    return done;
  },
  async delete(work) {
    await work.commit(async (tx) => {
      await dropCredential(work.desk, tx, work.id);
      return {};
    });
    return done;
  },
  attributes: ({ data }) => ({ SecretAccessKey: data.secret ?? '', UserName: data.user ?? '' }),
};
