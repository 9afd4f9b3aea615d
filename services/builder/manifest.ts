import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageType } from './definition.ts';
import type { Artefact } from './outputs.ts';

/** How to start the image by a direct boot or kexec. The files lie beside the manifest under these names. */
export interface ImageBoot {
  kernel: 'kernel';
  initrd: 'initrd';
  commandLine: string;
  rootUuid: string;
  espUuid: string;
  /** Their paths in the image. */
  kernelPath: string;
  initrdPath: string;
  kernelSha256: string;
  initrdSha256: string;
}

/** `manifest.json`: everything a deploy needs to know about an image. It holds nothing that two builds of the same inputs would not share. */
export interface ImageManifest {
  format: 'undercloud.image/1';
  name: string;
  /** Names the inputs of the build: definition, elements, mirrors, builder. */
  key: string;
  /** Of the raw image, in bytes and hexadecimal: 0 when no disk was made, empty when neither raw nor chunks is among the types (sha512: without chunks). */
  size: number;
  sha256: string;
  sha512: string;
  /** Of index.json, when there is one: whoever trusts the manifest can trust the index and through it each chunk. */
  indexSha256?: string;
  release: string;
  architecture: string;
  elements: string[];
  packages: { name: string; version: string; architecture: string }[];
  firmware: ('bios' | 'uefi')[];
  /** Starts on machines that enforce Secure Boot with Microsoft's keys. */
  secureBoot?: boolean;
  boot: ImageBoot;
  types: ImageType[];
  /** Files beside the manifest or, for results by name, beside its directory. */
  artefacts?: Artefact[];
}

/** The manifest of a finished image directory; undefined when there is none that can be read. */
export async function readManifest(directory: string): Promise<ImageManifest | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, 'manifest.json'), 'utf8')) as ImageManifest;
    if (manifest.format !== 'undercloud.image/1') return undefined;
    const needed = [
      ...(manifest.boot.kernelPath === '' ? [] : ['kernel', 'initrd']),
      ...(manifest.types.includes('chunks') ? ['index.json'] : []),
    ];
    for (const file of needed) await stat(join(directory, file));
    return manifest;
  } catch {
    return undefined;
  }
}
