/** OS::Heat::SoftwareComponent: one configuration for each action in the life of a component. */
import { configHandler } from './software-config.ts';

/** The group that says so, to deployments as to the agent. */
export const componentGroup = 'component';

export const softwareComponent = configHandler({
  type: 'OS::Heat::SoftwareComponent',
  group: componentGroup,
  config: ({ properties }) => ({ configs: properties.configs ?? [] }),
});
