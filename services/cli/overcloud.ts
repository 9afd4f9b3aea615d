/** `overcloud`: stacks laid out on the undercloud's nodes. */
import { deployCommand } from './commands/deploy.ts';
import { stackCommands } from './commands/stack.ts';
import { createProgram, main } from './program.ts';

const program = createProgram('overcloud', 'lays templates out on bare metal: servers, networks, configuration');
deployCommand(program);
stackCommands(program);
await main(program);
