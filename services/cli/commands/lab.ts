/** `undercloud lab`: virtual bare metal on this machine; services/lab does it, without HTTP and without a running undercloud. */
import type { Command } from 'commander';
import { fault } from '../../core/errors/index.ts';
import type { Firmware, Lab } from '../../lab/index.ts';
import { exitCodes } from '../exit.ts';
import { duration, fields, table } from '../output.ts';
import { action, requireRoot } from '../program.ts';
import { runSteps } from '../steps.ts';

/** Loaded by the commands that need it. */
const labRoom = () => import('../../lab/index.ts');

interface UpFlags {
  nodes: string;
  firmware?: string;
  memory?: string;
  disk?: string;
  cpus?: string;
  bmc?: string;
  bmcFaults?: string;
}

function whole(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value)) throw fault('usage', { reason: `${name} is a whole number, not ${value}.` });
  return Number(value);
}

/** The rows of services/lab/bmc-faults.ts, which is not loaded for a help text; held equal by lab.test.ts. */
export const faultHelp = `Chances from 0 to 1: loss, duplicate, reorder, truncate, corrupt, noise (random packets), foreign (session ids),
stale and leap (sequence numbers), stall (deaf for stallMs milliseconds, 10000), exhaust (log-ins that find no free session).
Switches, on or off: deaf, sessionsFull. boot: honest, forgets or ignores a boot device that is set,
ignores-once what is set for one boot, ignores-on what is set until a reset.
Examples: \`lab fault node-1 loss=0.1 stall=0.01\`, \`lab fault node-1 boot=ignores\`, \`lab fault node-1 none\`.`;

const known: readonly Firmware[] = ['bios', 'uefi', 'uefi-secure'];

/** `bios`, `uefi`, `uefi-secure`, or one for each node: `bios,uefi`. */
function firmwares(given: string | undefined): Firmware[] {
  const list = (given ?? 'bios').split(',').map((one) => one.trim());
  const wrong = list.find((one) => !(known as readonly string[]).includes(one));
  if (wrong !== undefined)
    throw fault('usage', {
      reason: `--firmware is bios, uefi or uefi-secure (or a list of them, one a node), not ${wrong}.`,
    });
  return list as Firmware[];
}

export function labCommands(program: Command): void {
  const lab = program.command('lab').description('virtual bare metal in a network namespace: QEMU nodes, a BMC each');

  lab
    .command('up')
    .option('--nodes <n>', 'how many there shall be; nodes that are there stay as they are', '2')
    .option(
      '--firmware <bios|uefi|uefi-secure>',
      'of the nodes that are added (uefi-secure: Secure Boot is on); a list gives each its own: bios,uefi',
    )
    .option('--memory <MiB>', 'of a node (default 1024)')
    .option('--disk <GiB>', 'of a node, sparse (default 10)')
    .option('--cpus <n>', 'of a node')
    .option(
      '--bmc <kind>',
      'who plays the BMCs: ipmi_sim (the default of a new lab), or own, which has suite 17 and faults',
    )
    .option(
      '--bmc-faults <seed>',
      'our own BMCs go wrong in ways that follow from this number; `none` makes them honest',
    )
    .description('raise the lab, or complete it; safe to repeat')
    .action(
      action(async (session, flags: UpFlags) => {
        requireRoot('lab up', 'makes a network namespace and tap devices');
        const nodes = whole('--nodes', flags.nodes) ?? 2;
        const list = firmwares(flags.firmware);
        const memoryMb = whole('--memory', flags.memory);
        const diskGb = whole('--disk', flags.disk);
        const vcpus = whole('--cpus', flags.cpus);
        const bmcs = flags.bmc;
        if (bmcs !== undefined && bmcs !== 'own' && bmcs !== 'ipmi_sim')
          throw fault('usage', { reason: `--bmc is own or ipmi_sim, not ${bmcs}.` });
        const bmcFaults = flags.bmcFaults === 'none' ? null : whole('--bmc-faults', flags.bmcFaults);
        const shape = {
          firmware: list.at(-1) ?? 'bios',
          ...(memoryMb !== undefined && { memoryMb }),
          ...(diskGb !== undefined && { diskGb }),
          ...(vcpus !== undefined && { vcpus }),
        };
        const { labUp } = await labRoom();
        let made: Lab | undefined;
        await runSteps(
          [
            {
              title: `raise the lab with ${nodes} node${nodes === 1 ? '' : 's'}`,
              run: async (say) => {
                made = await labUp({
                  stateDir: session.stateDir,
                  nodes,
                  shape,
                  shapes: list.map((firmware) => ({ firmware })),
                  ...(bmcs !== undefined && { bmcs }),
                  ...(bmcFaults !== undefined && { bmcFaults }),
                  onProgress: say,
                });
                return `${made.nodes.length} nodes, ${made.acceleration}, BMCs by ${made.bmcs === 'own' ? 'ourselves' : made.bmcs}`;
              },
            },
          ],
          session.output,
        );
        const state = session.state ? `--state ${session.state} ` : '';
        session.output.result(made, () => [
          ...table(
            ['node', 'firmware', 'memory', 'BMC', 'MAC'],
            (made?.nodes ?? []).map((one) => [
              one.name,
              one.firmware,
              `${one.memoryMb} MiB`,
              `${one.bmc.address}:${one.bmc.port}`,
              one.mac,
            ]),
          ),
          '',
          `Next: \`undercloud ${state}node import ${made?.instackenv}\`, \`undercloud ${state}lab console node-1\`.`,
        ]);
        return undefined;
      }),
    );

  lab
    .command('down')
    .option('--keep-console-logs', 'what the nodes said on their serial lines stays')
    .description('remove nodes, disks, BMCs and the namespace')
    .action(
      action(async (session, flags: { keepConsoleLogs?: boolean }) => {
        requireRoot('lab down', 'removes a network namespace and the processes in it');
        const lines: string[] = [];
        const { labDown } = await labRoom();
        const { leftRunning } = await labDown({
          stateDir: session.stateDir,
          keepConsoleLogs: flags.keepConsoleLogs === true,
          onProgress: (line) => {
            lines.push(line);
            session.output.progress(line);
          },
        });
        if (session.output.json) session.output.result({ leftRunning }, () => '');
        return leftRunning.length === 0 ? exitCodes.ok : exitCodes.unfinished;
      }),
    );

  lab
    .command('status')
    .description('what the lab is and does at this moment')
    .action(
      action(async (session) => {
        const { labStatus } = await labRoom();
        const now = labStatus(session.stateDir);
        if (!now) throw fault('lab-absent', { directory: `${session.stateDir}/lab` });
        const up = now.netns.present && now.ownerPid !== undefined && now.bmcPid !== undefined;
        session.output.result({ ...now, up }, () => [
          ...fields([
            ['namespace', `${now.netns.name}${now.netns.present ? '' : ' (absent)'}`],
            ['acceleration', now.acceleration],
            [
              'machines',
              now.ownerPid === undefined ? 'no owner: `undercloud lab up` starts it' : `process ${now.ownerPid}`,
            ],
            [
              'BMCs',
              now.bmcPid === undefined
                ? 'down'
                : `process ${now.bmcPid} (${now.bmcs === 'own' ? 'our own' : now.bmcs})`,
            ],
            ...now.nodes
              .filter(({ bmcFaults }) => bmcFaults.length > 0)
              .map(({ node, bmcFaults }): [string, string] => [`${node.name}’s faults`, bmcFaults.join(' ')]),
            ['instackenv', now.instackenv],
          ]),
          '',
          ...table(
            ['node', 'power', 'boots', 'firmware', 'BMC', 'MAC', 'resident', 'CPU', 'console log'],
            now.nodes.map(({ node, power, bootDevice, rssMb, cpuSeconds, consoleLog }) => [
              node.name,
              power,
              bootDevice,
              node.firmware,
              `${node.bmc.address}:${node.bmc.port}`,
              node.mac,
              power === 'on' ? `${Math.round(rssMb)} MiB` : null,
              power === 'on' ? duration(cpuSeconds * 1000) : null,
              consoleLog,
            ]),
          ),
        ]);
        return up ? exitCodes.ok : exitCodes.failed;
      }),
    );

  lab
    .command('console')
    .argument('<node>', 'node-1 and so on')
    .description('a node’s serial line; `~.` after a new line leaves')
    .action(
      action(async (session, node: string) => {
        requireRoot('lab console', 'opens the lab’s serial line');
        const { labConsole } = await labRoom();
        await labConsole({ stateDir: session.stateDir, node, signal: session.interrupted });
        return undefined;
      }),
    );

  lab
    .command('fault')
    .argument('<node>', 'node-1 and so on')
    .argument('[faults...]', 'name=value, or none; without any: what is wrong now')
    .description('make a node’s BMC go wrong, where the BMCs are our own (`lab up --bmc own`)')
    .addHelpText('after', () => `\n${faultHelp}`)
    .action(
      action(async (session, node: string, words: string[]) => {
        requireRoot('lab fault', 'speaks to the owner of the lab’s machines');
        const { labFault } = await labRoom();
        const faults = await labFault(session.stateDir, node, words);
        session.output.result(
          { node, faults },
          () => `${node}: ${faults.length > 0 ? faults.join(' ') : 'nothing is wrong'}`,
        );
        return undefined;
      }),
    );

  lab
    .command('exec')
    .argument('<command...>', 'after `--`: the command and its arguments')
    .description('run a command on the lab’s side of the network: `undercloud lab exec -- curl http://192.0.2.10/`')
    .action(
      action(async (session, command: string[]) => {
        requireRoot('lab exec', 'enters the lab’s network namespace');
        const { labExec } = await labRoom();
        return labExec(session.stateDir, command);
      }),
    );
}
