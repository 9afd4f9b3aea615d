import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { SHIPPED_ELEMENTS } from './definition.ts';
import { BuildError } from './progress.ts';

export const RAMDISK_ELEMENT = join(SHIPPED_ELEMENTS, 'deploy-ramdisk');

/** What a ramdisk is made of: `elements/deploy-ramdisk/profiles/NAME.yaml`. */
export interface RamdiskProfile {
  name: string;
  kernel: string;
  packages: string[];
  programs: string[];
  modules: string[];
  optional: string[];
  /** zstd's, for the squashfs. */
  compressionLevel: number;
  /** Kernel and initrd together may not be larger than this many million bytes. */
  limitMb: number;
}

/** Reads a profile by its name; an unknown one is refused with the names there are. */
export async function loadProfile(name: string, element: string = RAMDISK_ELEMENT): Promise<RamdiskProfile> {
  const directory = join(element, 'profiles');
  const text = await readFile(join(directory, `${name}.yaml`), 'utf8').catch(async () => {
    const names = (await readdir(directory).catch(() => [] as string[])).map((file) => file.replace(/\.yaml$/, ''));
    throw new BuildError(`There is no ramdisk profile "${name}". There are: ${names.sort().join(', ')}.`);
  });
  const fields = parse(text, { maxAliasCount: 100 }) as Record<string, unknown>;
  const list = (field: string): string[] => {
    const value = fields[field] ?? [];
    if (!Array.isArray(value) || value.some((each) => typeof each !== 'string')) {
      throw new BuildError(`"${field}" of ramdisk profile "${name}" is not a list of names.`);
    }
    return value as string[];
  };
  const { kernel, compressionLevel, limitMb } = fields;
  if (typeof kernel !== 'string' || typeof compressionLevel !== 'number' || typeof limitMb !== 'number') {
    throw new BuildError(`Ramdisk profile "${name}" needs kernel (a package), compressionLevel and limitMb (numbers).`);
  }
  return {
    name,
    kernel,
    packages: list('packages'),
    programs: list('programs'),
    modules: list('modules'),
    optional: list('optional'),
    compressionLevel,
    limitMb,
  };
}
