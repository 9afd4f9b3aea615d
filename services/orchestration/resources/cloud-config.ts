/** OS::Heat::CloudConfig: cloud-init's own format, written from a map. */
import { stringify } from 'yaml';
import { configHandler } from './software-config.ts';

export const cloudConfig = configHandler({
  type: 'OS::Heat::CloudConfig',
  group: 'Heat::Cloud-init',
  // cloud-init reads YAML 1.1, in which `yes` and `012` are other things than in 1.2: what could be one is quoted.
  config: ({ properties }) => `#cloud-config\n${stringify(properties.cloud_config ?? {}, { version: '1.1' })}`,
});
