import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { ImageDefinition } from './definition.ts';
import { listHooks } from './hooks.ts';
import { mergeLayers, walkTree } from './layers.ts';
import { type Layout, layoutEnvironment } from './layout.ts';
import { orderHooks } from './order.ts';
import { type PhaseContext, phaseEnvironment, runScript } from './phases.ts';
import { BuildError } from './progress.ts';

/** What diskimage-builder does between a finished tree and finalise.d, as far as hooks see it: the disk has a size, and block-device.d may bring a device. */

/** The file that DIB_BLOCK_DEVICE_PARAMS_YAML names: what diskimage-builder's block-device program is told. Returns its path. */
export async function writeBlockDeviceParameters(work: string, layout: Layout, mount: string): Promise<string> {
  const directory = join(work, 'block-device');
  await mkdir(directory, { recursive: true });
  const root = layoutEnvironment(layout);
  const path = join(directory, 'params.yaml');
  await writeFile(
    path,
    stringify({
      'image-dir': work,
      'root-fs-type': root.DIB_ROOT_FSTYPE,
      'root-label': layout.rootLabel,
      'mount-base': mount,
      'build-dir': work,
    }),
  );
  return path;
}

const JOURNAL_KIB = 64 * 1024;
const BLOCK_KIB = 4;

/** DIB_IMAGE_SIZE of the last phases, in KiB by diskimage-builder's own rule: what the tree holds and two thirds more, or as asked for; a multiple of 64. */
export function imageSizeKib(definition: ImageDefinition, layers: readonly string[]): number {
  const up = (kib: number): number => Math.ceil(kib / 64) * 64;
  if (definition.imageGb !== undefined) return up(Math.floor(definition.imageGb * 1024 * 1024));
  const counted = new Set<string>();
  let held = 0;
  for (const { node } of walkTree(mergeLayers(layers))) {
    if (node.identity !== '' && counted.has(node.identity)) continue;
    counted.add(node.identity);
    held += node.kind === 'directory' ? BLOCK_KIB : Math.ceil(node.size / 1024 / BLOCK_KIB) * BLOCK_KIB;
  }
  const wanted = definition.extraGb === undefined ? Math.floor(held / 0.6) : held + definition.extraGb * 1024 * 1024;
  return up(Math.floor(wanted) + (definition.journalMib === undefined ? JOURNAL_KIB : definition.journalMib * 1024));
}

/**
 * Runs block-device.d. diskimage-builder takes a device that one of its scripts names, with a tree that it has mounted there, for the image. No element that we know of does so
 * any more, and here the disk is written without devices: such a script is told of by its name and not passed over.
 */
export async function runBlockDeviceHooks(context: PhaseContext): Promise<void> {
  const phase = 'block-device.d';
  const environment = await phaseEnvironment(context, 'outside');
  for (const script of orderHooks(await listHooks(context.tree, phase))) {
    let device: string | undefined;
    const onProgress: PhaseContext['onProgress'] = (progress) => {
      device ??= /^IMAGE_BLOCK_DEVICE=["']?([^\s"']+)/.exec(progress.line ?? '')?.[1];
      context.onProgress(progress);
    };
    await runScript({ ...context, onProgress }, phase, script, environment);
    if (device !== undefined)
      throw new BuildError(
        `Script ${phase}/${script} of element "${context.tree.owners.get(`${phase}/${script}`)}" brings a device of its own (${device}): disks are laid out from a description here. Describe its layout in the element's block-device-default.yaml or in DIB_BLOCK_DEVICE_CONFIG.`,
      );
  }
}
