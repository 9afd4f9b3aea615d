/** The operations this release knows, by kind and definition version. */
import { fault } from '../errors/index.ts';
import type { Operation } from './definition.ts';
import type { OperationRow } from './store.ts';

export interface Registry {
  add<Params>(operation: Operation<Params>): void;
  /** @throws Fault `operation-unknown` when a row names what this release dropped */
  find(row: Pick<OperationRow, 'id' | 'kind' | 'definition' | 'step'>): Operation<unknown>;
  all(): readonly Operation<unknown>[];
}

export function createRegistry(): Registry {
  const known = new Map<string, Operation<unknown>>();
  return {
    add(operation) {
      const names = operation.steps.map((step) => step.name);
      if (new Set(names).size !== names.length) throw new Error(`operation ${operation.kind} names a step twice`);
      known.set(`${operation.kind}/${operation.definition}`, operation as Operation<unknown>);
    },
    find(row) {
      const operation = known.get(`${row.kind}/${row.definition}`);
      if (!operation || (row.step !== null && !operation.steps.some((step) => step.name === row.step))) {
        throw fault('operation-unknown', { id: row.id, kind: row.kind, version: row.definition, step: row.step });
      }
      return operation;
    },
    all: () => [...known.values()],
  };
}
