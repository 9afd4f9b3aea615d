/** `undercloud`: the appliance, its nodes, images and lab. */
import { applianceCommands } from './commands/appliance.ts';
import { bmcCommands } from './commands/bmc.ts';
import { bundleCommands } from './commands/bundle.ts';
import { imageCommands } from './commands/image.ts';
import { labCommands } from './commands/lab.ts';
import { netCommands } from './commands/net.ts';
import { nodeCommands } from './commands/node.ts';
import { serverCommands } from './commands/server.ts';
import { createProgram, main } from './program.ts';

const program = createProgram('undercloud', 'bare-metal provisioning: power, netboot, gold images, nodes');
applianceCommands(program);
nodeCommands(program);
bmcCommands(program);
netCommands(program);
imageCommands(program);
bundleCommands(program);
serverCommands(program);
labCommands(program);
await main(program);
