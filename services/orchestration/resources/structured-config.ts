/** OS::Heat::StructuredConfig: a map; deployments put their values into it wherever it says `get_input`. */
import { configHandler } from './software-config.ts';

export const structuredConfig = configHandler({
  type: 'OS::Heat::StructuredConfig',
  config: ({ properties }) => properties.config ?? {},
});
