/** OS::Heat::SoftwareConfig and its kin: a text or a structure with inputs and outputs, kept for deployments; it never changes. */
import { randomUUID } from 'node:crypto';
import { done, type Handler, type Work } from '../engine/handler.ts';
import type { Properties } from '../engine/state.ts';
import type { Plain } from '../model.ts';
import { type ConfigBody, sealConfig } from '../software/configs.ts';
import { deleteConfig, insertConfig } from '../store/software.ts';

/** What differs between the types: the configuration itself, and whom it is for. */
export interface ConfigKind {
  readonly type: string;
  config(work: Work): Plain | Promise<Plain>;
  /** The tool on the server that applies it; default: the property `group`. */
  readonly group?: string;
}

const list = (value: Plain | undefined) => (value ?? []) as unknown as ConfigBody['inputs'];
const groupOf = (kind: ConfigKind, properties: Properties): string =>
  kind.group ?? String(properties.group ?? 'Heat::Ungrouped');

export function configHandler(kind: ConfigKind): Handler {
  return {
    type: kind.type,
    backend: 'database',
    async create(work) {
      if (work.physicalId !== null) return done;
      const { properties } = work;
      const body: ConfigBody = {
        config: await kind.config(work),
        inputs: list(properties.inputs),
        outputs: list(properties.outputs) as unknown as ConfigBody['outputs'],
        options: (properties.options ?? {}) as ConfigBody['options'],
      };
      await work.commit(async (tx) => {
        const id = randomUUID();
        await insertConfig(tx, {
          id,
          project_id: work.stack.projectId,
          name: work.physicalName,
          group_name: groupOf(kind, properties),
          body: sealConfig(work.desk, id, body),
        });
        return { physicalId: id, data: { config: body.config } };
      });
      return done;
    },
    async delete(work) {
      await work.commit(async (tx) => {
        await deleteConfig(tx, work.physicalId ?? '');
        return {};
      });
      return done;
    },
    attributes: ({ properties, data }) => ({ config: data.config ?? properties.config ?? null }),
  };
}

export const softwareConfig: Handler = configHandler({
  type: 'OS::Heat::SoftwareConfig',
  config: ({ properties }) => properties.config ?? '',
});
