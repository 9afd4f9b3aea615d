/** OS::Glance::WebImage: an image that the store fetches by itself, from a host that the configuration allows. */
import { fault } from '../../core/errors/index.ts';
import { isFault } from '../engine/faults.ts';
import { done, type Handler, type Outcome, type Work, waitFor } from '../engine/handler.ts';
import type { Plain } from '../model.ts';

const lookEvery = 2_000;
const plainTexts = (map: Plain | undefined): Record<string, string> =>
  Object.fromEntries(
    Object.entries((map ?? {}) as { [key: string]: Plain }).map(([key, value]) => [key, String(value)]),
  );

/** The properties that Glance keeps as properties of the image. */
const named = ['architecture', 'kernel_id', 'ramdisk_id', 'os_distro', 'os_version'] as const;

function fieldsOf({ properties, physicalName }: Work) {
  const own = named.flatMap((name) => (typeof properties[name] === 'string' ? [[name, String(properties[name])]] : []));
  return {
    name: String(properties.name ?? physicalName),
    disk_format: String(properties.disk_format),
    container_format: String(properties.container_format),
    min_disk: Number(properties.min_disk ?? 0),
    min_ram: Number(properties.min_ram ?? 0),
    protected: properties.protected === true,
    tags: ((properties.tags ?? []) as Plain[]).map(String),
    properties: { ...plainTexts(properties.extra_properties), ...Object.fromEntries(own) },
    ...(typeof properties.visibility === 'string' && {
      visibility: properties.visibility as 'public' | 'private' | 'shared' | 'community',
    }),
    ...(typeof properties.owner === 'string' && { owner: properties.owner }),
  };
}

async function look(work: Work): Promise<Outcome> {
  const { desk, context, physicalId } = work;
  const image = await desk.images.find(context, physicalId ?? '');
  if (image.status === 'active') return done;
  const last = await desk.house.operations.last({ type: 'image', id: image.id });
  if (image.status === 'queued' && last?.error)
    throw fault('image-import-refused', { id: image.id, method: 'web-download', reason: last.error.sentence });
  if (image.status === 'queued') {
    await desk.images.import(context, image.id, { name: 'web-download', uri: String(work.properties.location) });
    work.data.imported = true;
  }
  const { done: bytes = 0, total = 0 } = last?.progress ?? {};
  return waitFor({
    on: `image ${image.name} to be fetched from ${String(work.properties.location)}${total > 0 ? ` (${bytes} of ${total} bytes)` : ''}`,
    remedy: 'See whether that server answers this one; `openstack image show` tells its state.',
    recheckMs: lookEvery,
  });
}

export const webImage: Handler = {
  type: 'OS::Glance::WebImage',
  backend: 'database',
  async create(work) {
    const { desk, context } = work;
    if (work.physicalId === null) {
      // The resource's own id names the image, so that a process killed in between finds it again.
      const id = String(work.properties.id ?? work.id);
      const there = await desk.images.find(context, id).catch(() => null);
      if (!there) await desk.images.create(context, { ...fieldsOf(work), id });
      await work.commit(async () => ({ physicalId: id }));
    }
    return look(work);
  },
  async update(work) {
    const { disk_format, container_format, min_disk, min_ram, ...changes } = fieldsOf(work);
    await work.desk.images.update(work.context, work.physicalId ?? '', changes);
    return done;
  },
  async delete(work) {
    const { desk, context, physicalId } = work;
    try {
      await desk.images.update(context, physicalId ?? '', { protected: false });
      await desk.images.delete(context, physicalId ?? '');
    } catch (error) {
      if (!isFault(error, 'image-not-found')) throw error;
    }
    return done;
  },
  async check(work) {
    await work.desk.images.find(work.context, work.physicalId ?? '');
  },
  async attributes(work) {
    const { id, name, status, disk_format, size } = await work.desk.images.find(work.context, work.physicalId ?? '');
    return { show: { id, name, status, disk_format, size } };
  },
};
