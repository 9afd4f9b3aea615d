/** OS::Heat::SoftwareConfig: a text with its inputs and outputs, kept for deployments; it never changes. */
import { randomUUID } from 'node:crypto';
import { done, type Handler } from '../engine/handler.ts';
import { type ConfigBody, sealConfig } from '../software/configs.ts';
import { deleteConfig, insertConfig } from '../store/software.ts';

export const softwareConfig: Handler = {
  type: 'OS::Heat::SoftwareConfig',
  backend: 'database',
  async create(work) {
    if (work.physicalId !== null) return done;
    const { properties } = work;
    await work.commit(async (tx) => {
      const id = randomUUID();
      const body = {
        config: properties.config ?? '',
        inputs: (properties.inputs ?? []) as unknown as ConfigBody['inputs'],
        outputs: (properties.outputs ?? []) as unknown as ConfigBody['outputs'],
        options: (properties.options ?? {}) as ConfigBody['options'],
      };
      await insertConfig(tx, {
        id,
        project_id: work.stack.projectId,
        name: work.physicalName,
        group_name: String(properties.group ?? 'Heat::Ungrouped'),
        body: sealConfig(work.desk, id, body),
      });
      return { physicalId: id };
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
  attributes: ({ properties }) => ({ config: properties.config ?? null }),
};
