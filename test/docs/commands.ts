/** The two programs as commander knows them: what the pages say about commands is drawn from and held against these. */
import type { Command } from 'commander';
import { applianceCommands } from '../../services/cli/commands/appliance.ts';
import { bmcCommands } from '../../services/cli/commands/bmc.ts';
import { bundleCommands } from '../../services/cli/commands/bundle.ts';
import { deployCommand } from '../../services/cli/commands/deploy.ts';
import { imageCommands } from '../../services/cli/commands/image.ts';
import { labCommands } from '../../services/cli/commands/lab.ts';
import { netCommands } from '../../services/cli/commands/net.ts';
import { nodeCommands } from '../../services/cli/commands/node.ts';
import { serverCommands } from '../../services/cli/commands/server.ts';
import { stackCommands } from '../../services/cli/commands/stack.ts';
import { createProgram } from '../../services/cli/program.ts';

function undercloud(): Command {
  const program = createProgram('undercloud', 'bare-metal provisioning: power, netboot, gold images, nodes');
  for (const add of [
    applianceCommands,
    nodeCommands,
    bmcCommands,
    netCommands,
    imageCommands,
    bundleCommands,
    serverCommands,
    labCommands,
  ])
    add(program);
  return program;
}

function overcloud(): Command {
  const program = createProgram('overcloud', 'lays templates out on bare metal: servers, networks, configuration');
  for (const add of [deployCommand, stackCommands]) add(program);
  return program;
}

/** docs.test.ts holds each against the `--help` of its launcher. */
export const programs: readonly Command[] = [undercloud(), overcloud()];

/** What `--help` lists, without `help` itself. */
export const subcommands = (command: Command): Command[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help');

/** `undercloud node import` */
export const fullName = (command: Command): string =>
  command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();

/**
 * What is wrong with a command line as a page shows it, in words; null when nothing is. Looks at names of commands and
 * options alone: values are the reader's.
 */
export function faultOfLine(words: readonly string[]): string | null {
  const [name, ...rest] = words;
  const program = programs.find((one) => one.name() === name);
  if (!program) return null;
  /** The command and those above it: their options hold below them. */
  const path = [program];
  for (let at = 0; at < rest.length; at += 1) {
    const word = rest[at] as string;
    const command = path.at(-1) as Command;
    // What follows is a command of somebody else's, or the reader's own choice.
    if (word === '--' || /^[{…]/.test(word)) return null;
    if (word.startsWith('-')) {
      const flag = word.split('=')[0] as string;
      const option = path.flatMap((one) => one.options).find(({ short, long }) => short === flag || long === flag);
      if (!option && flag !== '--help' && flag !== '-h') return `\`${fullName(command)}\` has no option ${flag}`;
      if (option?.required && !word.includes('=')) at += 1;
      continue;
    }
    const below = command.commands.find((one) => one.name() === word);
    if (below) path.push(below);
    else if (command.commands.length > 0) return `\`${fullName(command)}\` has no command ${word}`;
  }
  return null;
}
