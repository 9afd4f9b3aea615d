/** Every command of the protocol and what this agent does about it: a table. */
import { gzipSync } from 'node:zlib';
import { type CommandName, type JsonObject, STEP_KINDS, type StepKind } from '../ipa/index.ts';
import { openDisk } from './disk-file.ts';
import { readLayout, volumeUuid } from './disk-layout.ts';
import { runImage } from './hand-over.ts';
import { executeStep, listSteps, writeImageStep } from './steps.ts';
import { tarOf } from './tar.ts';
import { rootDisk, type Task } from './task.ts';

export type Handler = (params: JsonObject, task: Task) => Promise<JsonObject | null>;

/** Commands that concern the written disk also work after the agent was restarted: the disk is found again by its hints. */
async function partitionUuids(_params: JsonObject, task: Task): Promise<JsonObject> {
  if (task.memory.written) return task.memory.written.uuids;
  const disk = await rootDisk(task);
  const file = await openDisk(task.hardware, disk);
  try {
    const { root, esp, identifier } = await readLayout(file);
    return {
      'root uuid': await volumeUuid(file, root),
      'efi system partition uuid': await volumeUuid(file, esp),
      'disk identifier': identifier,
      disk: disk.name,
    };
  } finally {
    await file.close();
  }
}

/** Images bring their boot loader with them; what the firmware lacks is only its own entry. */
async function installBootLoader(params: JsonObject, task: Task): Promise<JsonObject> {
  const answer = (what: string) => ({ result: `install_bootloader: ${what}` });
  if (task.hardware.bootMode() === 'bios') return answer("booted by BIOS, which starts the image's own boot sector");
  const disk = task.memory.written?.disk ?? (await rootDisk(task));
  const file = await openDisk(task.hardware, disk);
  let number: number | undefined;
  try {
    number = (await readLayout(file)).esp?.number;
  } finally {
    await file.close();
  }
  if (number === undefined) return answer('the image has no EFI system partition: nothing to enter');
  const label = typeof params.label === 'string' && params.label !== '' ? params.label.slice(0, 64) : 'undercloud';
  const done = await task.hardware.addEfiEntry({ disk, partition: number, label });
  task.log(done);
  return answer(done);
}

async function collectLogs(_params: JsonObject, task: Task): Promise<JsonObject> {
  const archive = gzipSync(tarOf(await task.hardware.logs(), Math.floor(Date.now() / 1000)));
  return { system_logs: archive.toString('base64') };
}

function nodeInfo(params: JsonObject, task: Task): void {
  const { node } = params;
  if (typeof node === 'object' && node !== null && !Array.isArray(node)) task.memory.node = node;
}

function stepHandlers(kind: StepKind): [string, Handler][] {
  return [
    [`${kind}.get_${kind}_steps`, async () => listSteps(kind)],
    [`${kind}.execute_${kind}_step`, (params, task) => executeStep(kind, params, task)],
  ];
}

const OTHERS: [string, Handler][] = [
  ['standby.prepare_image', (params, task) => writeImageStep(params, task)],
  ['standby.get_partition_uuids', partitionUuids],
  // Every write of this agent is flushed before its command ends.
  ['standby.sync', async () => null],
  [
    'standby.power_off',
    async (_params, task) => {
      task.afterwards(() => task.hardware.powerOff());
      return null;
    },
  ],
  ['standby.run_image', runImage],
  ['image.install_bootloader', installBootLoader],
  ['log.collect_system_logs', collectLogs],
  ['poll.get_hardware_info', async (_params, task) => (await task.hardware.inventory()) as unknown as JsonObject],
  [
    'poll.set_node_info',
    async (params, task) => {
      const info = params.node_info;
      if (typeof info === 'object' && info !== null && !Array.isArray(info)) nodeInfo(info, task);
      return null;
    },
  ],
  // There is nothing to lock: no shell is served, and every command needs the token.
  ['system.lockdown', async () => null],
];

/** Commands that carry the node bring it up to date, root device hints included. */
function withNode(handler: Handler): Handler {
  return (params, task) => {
    nodeInfo(params, task);
    return handler(params, task);
  };
}

export const HANDLERS = Object.fromEntries(
  [...STEP_KINDS.flatMap(stepHandlers), ...OTHERS].map(([name, handler]) => [name, withNode(handler)]),
) as Record<CommandName, Handler>;
