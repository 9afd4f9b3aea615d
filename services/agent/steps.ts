/** The steps that this agent offers, by kind: a table. */
import {
  type JsonObject,
  ProtocolError,
  readConfigDrive,
  readImageInfo,
  readStepRequest,
  type StepKind,
  type StepOffer,
} from '../ipa/index.ts';
import { eraseDevices, eraseDevicesMetadata } from './erase.ts';
import { AgentFailure } from './failure.ts';
import { rootDisk, type Task } from './task.ts';
import { writeImage } from './write-image.ts';

export const HARDWARE_MANAGER = 'UndercloudHardwareManager';
export const HARDWARE_MANAGER_VERSION = { [HARDWARE_MANAGER]: '1.0' };

interface Step {
  offer: StepOffer;
  run(args: JsonObject, task: Task): Promise<JsonObject | null>;
}

export async function writeImageStep(args: JsonObject, task: Task): Promise<JsonObject> {
  const info = readImageInfo(args.image_info);
  const disk = await rootDisk(task);
  await task.memory.written?.neighbours?.close();
  const written = await writeImage({
    hardware: task.hardware,
    disk,
    info,
    configDrive: readConfigDrive(args.configdrive, 'configdrive'),
    fetcher: task.fetcher,
    key: task.memory.imageKey,
    neighbours: task.memory.neighbours,
    onProgress: (done, total, bytes) => task.progress('write_image', done, total, bytes),
    log: task.log,
    signal: task.signal,
  });
  task.memory.written = written;
  return { result: `prepare_image: ${written.summary}`, ...(written.bytes && { bytes: { ...written.bytes } }) };
}

const erase = { interface: 'deploy', reboot_requested: false, abortable: true };

/** Priorities are IPA's; 0 runs only when asked for. */
export const STEPS: Record<StepKind, Step[]> = {
  clean: [
    { offer: { ...erase, step: 'erase_devices', priority: 10 }, run: (_args, task) => eraseDevices(task) },
    {
      offer: { ...erase, step: 'erase_devices_metadata', priority: 99 },
      run: (_args, task) => eraseDevicesMetadata(task),
    },
  ],
  deploy: [
    {
      offer: {
        step: 'write_image',
        interface: 'deploy',
        priority: 0,
        reboot_requested: false,
        argsinfo: {
          image_info: {
            description: 'What to write: id, urls or chunks, disk_format, checksum, configdrive.',
            required: true,
          },
          configdrive: { description: 'base64 of a gzip of an ISO or FAT volume, or a URL of that.', required: false },
        },
      },
      run: writeImageStep,
    },
    {
      offer: { ...erase, step: 'erase_devices_metadata', priority: 0 },
      run: (_args, task) => eraseDevicesMetadata(task),
    },
  ],
  service: [],
};

export function listSteps(kind: StepKind): JsonObject {
  const offers = STEPS[kind].map(({ offer }) => offer as unknown as JsonObject);
  return { [`${kind}_steps`]: { [HARDWARE_MANAGER]: offers }, hardware_manager_version: HARDWARE_MANAGER_VERSION };
}

/** Thrown when the conductor planned its steps with another version of this agent: it must list them again. */
export class VersionMismatch extends AgentFailure {}

export async function executeStep(kind: StepKind, params: JsonObject, task: Task): Promise<JsonObject> {
  const step = readStepRequest(params.step);
  const version = params[`${kind}_version`];
  if (version !== undefined && version !== null && JSON.stringify(version) !== JSON.stringify(HARDWARE_MANAGER_VERSION))
    throw new VersionMismatch(
      'VersionMismatch',
      `The ${kind} steps were planned for ${JSON.stringify(version)}, and this agent is ${JSON.stringify(HARDWARE_MANAGER_VERSION)}: list the steps again.`,
      { code: 409 },
    );
  const found = STEPS[kind].find(({ offer }) => offer.step === step.step && offer.interface === step.interface);
  if (!found) {
    const known = STEPS[kind].map(({ offer }) => `${offer.interface}.${offer.step}`).join(', ') || 'none';
    throw new ProtocolError(`There is no ${kind} step ${step.interface}.${step.step}; this agent has: ${known}.`);
  }
  const result = await found.run(step.args, task);
  return { [`${kind}_result`]: result, [`${kind}_step`]: step.original };
}
