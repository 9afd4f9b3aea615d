/** OS::Nova::Flavor. */
import { isAdmin } from '../../core/context.ts';
import { fault } from '../../core/errors/index.ts';
import { done, type Handler, type Work } from '../engine/handler.ts';
import type { Plain } from '../model.ts';

function mayChange({ context }: Work): void {
  if (!isAdmin(context)) throw fault('forbidden', { action: 'os_compute_api:os-flavor-manage', roles: 'admin' });
}

const specsOf = (value: Plain | undefined): Record<string, string> =>
  Object.fromEntries(
    Object.entries((value ?? {}) as { [key: string]: Plain }).map(([key, item]) => [key, String(item)]),
  );

export const flavor: Handler = {
  type: 'OS::Nova::Flavor',
  backend: 'compute',
  async create(work) {
    if (work.physicalId !== null) return done;
    mayChange(work);
    const { properties } = work;
    await work.commit(async (tx) => {
      const made = await work.desk.compute.flavors.create(
        {
          id: String(properties.flavorid ?? 'auto'),
          name: String(properties.name ?? work.physicalName),
          ram: Number(properties.ram),
          vcpus: Number(properties.vcpus),
          disk: Number(properties.disk ?? 0),
          is_public: properties.is_public !== false,
          extra_specs: specsOf(properties.extra_specs),
        },
        tx,
      );
      return { physicalId: made.id };
    });
    return done;
  },
  async update(work, changed) {
    const other = changed.find((name) => name !== 'extra_specs');
    if (other) return { kind: 'replace', property: other };
    mayChange(work);
    await work.commit(async (tx) => {
      await work.desk.compute.flavors.setSpecs(work.physicalId ?? '', specsOf(work.properties.extra_specs), tx);
      return {};
    });
    return done;
  },
  replacedBy: (changed) => changed.find((name) => name !== 'extra_specs'),
  async delete(work) {
    mayChange(work);
    await work.commit(async (tx) => {
      await work.desk.compute.flavors.delete(work.physicalId ?? '', tx);
      return {};
    });
    return done;
  },
  async check(work) {
    await work.desk.compute.flavors.find(work.physicalId ?? '');
  },
  async attributes(work) {
    const found = await work.desk.compute.flavors.find(work.physicalId ?? '');
    const { id, name, ram, vcpus, disk, is_public, extra_specs } = found;
    return { extra_specs, is_public, show: { id, name, ram, vcpus, disk, 'os-flavor-access:is_public': is_public } };
  },
};
