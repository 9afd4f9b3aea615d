/** OS::Swift::Container: a container of the undercloud's small object store. */
import { fault } from '../../core/errors/index.ts';
import { done, type Handler, type Work } from '../engine/handler.ts';
import type { Plain } from '../model.ts';
import { unlessGone } from './gone.ts';

function headersOf({ properties }: Work): Record<string, string> {
  const meta = Object.entries((properties['X-Container-Meta'] ?? {}) as { [key: string]: Plain });
  const acls = (['X-Container-Read', 'X-Container-Write'] as const).flatMap((name) =>
    typeof properties[name] === 'string' ? [[name.toLowerCase(), properties[name]] as const] : [],
  );
  return Object.fromEntries([
    ...meta.map(([key, value]) => [`x-container-meta-${key.toLowerCase()}`, String(value)] as const),
    ...acls,
  ]);
}

const type = 'OS::Swift::Container';

export const container: Handler = {
  type,
  backend: 'database',
  async validate(wish) {
    const account = wish.property('X-Account-Meta');
    if (account && Object.keys(account as object).length > 0)
      throw Object.assign(
        fault('resource-type-parsed-only', { type, why: 'its accounts have no metadata; leave X-Account-Meta out' }),
        { property: 'X-Account-Meta' },
      );
  },
  async create(work) {
    if (work.physicalId !== null) return done;
    const name = String(work.properties.name ?? work.physicalName);
    await work.commit(async (tx) => {
      await work.desk.objects.put(work.stack.projectId, name, headersOf(work), tx);
      return { physicalId: name };
    });
    return done;
  },
  delete: (work) =>
    unlessGone(
      work.commit(async (tx) => {
        const purge = work.properties.PurgeOnDelete === true;
        await work.desk.objects.remove(work.stack.projectId, work.physicalId ?? '', { purge }, tx);
        return {};
      }),
      'not-found',
    ),
  async check(work) {
    await work.desk.objects.find(work.stack.projectId, work.physicalId ?? '');
  },
  async attributes({ desk, stack, physicalId }) {
    const name = physicalId ?? '';
    const root = `${desk.objectUrl}/AUTH_${stack.projectId}`;
    const found = await desk.objects.find(stack.projectId, name);
    return {
      DomainName: new URL(desk.objectUrl).hostname,
      RootURL: root,
      WebsiteURL: `${root}/${encodeURIComponent(name)}`,
      ObjectCount: found.count,
      BytesUsed: found.bytes,
      HeadContainer: {
        ...found.headers,
        'x-container-object-count': String(found.count),
        'x-container-bytes-used': String(found.bytes),
      },
    };
  },
};
