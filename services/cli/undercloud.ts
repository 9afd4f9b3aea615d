/** `undercloud`: the appliance, its nodes, images and lab. */
import { applianceCommands } from './commands/appliance.ts';
import { createProgram, main } from './program.ts';

const program = createProgram('undercloud', 'bare-metal provisioning: power, netboot, gold images, nodes');
applianceCommands(program);
await main(program);
