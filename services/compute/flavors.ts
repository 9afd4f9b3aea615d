/** Flavors: what a server asks of a node, above all its resource class. */
import { randomUUID } from 'node:crypto';
import type { Database, Tx } from '../core/database/index.ts';
import { fault } from '../core/errors/index.ts';
import type { Flavor } from './model.ts';
import * as store from './store.ts';

export interface Flavors {
  list(): Promise<Flavor[]>;
  /** By id or name. @throws Fault `flavor-not-found` */
  find(idOrName: string): Promise<Flavor>;
  /** @throws Fault `flavor-exists` */
  create(wanted: Partial<Flavor> & Pick<Flavor, 'name'>, tx?: Tx): Promise<Flavor>;
  setSpecs(id: string, specs: Record<string, string>, tx?: Tx): Promise<void>;
  /** False when there is none. */
  delete(id: string, tx?: Tx): Promise<boolean>;
}

export function createFlavors(db: Database): Flavors {
  return {
    list: () => store.flavors(db),
    async find(idOrName) {
      const row = await store.flavor(db, idOrName);
      if (!row) throw fault('flavor-not-found', { id: idOrName });
      return row;
    },
    async create(wanted, tx) {
      const row: Flavor = {
        ram: 0,
        vcpus: 1,
        disk: 0,
        description: null,
        is_public: true,
        extra_specs: {},
        ...wanted,
        id: wanted.id && wanted.id !== 'auto' ? wanted.id : randomUUID(),
      };
      await store.insertFlavor(tx ?? db, row).catch((error: { code?: string }) => {
        throw error.code === '23505' ? fault('flavor-exists', { name: row.name }) : error;
      });
      return row;
    },
    setSpecs: (id, specs, tx) => store.setFlavorSpecs(tx ?? db, id, specs),
    delete: (id, tx) => store.deleteFlavor(tx ?? db, id),
  };
}
