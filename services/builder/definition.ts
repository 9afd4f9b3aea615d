import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { BuildError } from './progress.ts';

/** Artefacts that a build can leave behind. `chunks` is what the image store and the agent use. */
export const IMAGE_TYPES = ['chunks', 'raw', 'qcow2', 'tree'] as const;
export type ImageType = (typeof IMAGE_TYPES)[number];

/** A gold image as data. In YAML it is one entry of diskimage-builder's list format: imagename, elements, packages, environment, types, and the fields below. */
export interface ImageDefinition {
  name: string;
  elements: string[];
  /** Installed in install.d beside what the elements want. */
  packages: string[];
  environment: Record<string, string>;
  types: ImageType[];
  /** Free space in the root file system of the image, in MiB; a node grows it to its disk. */
  spareMib: number;
  espMib: number;
}

/** The repository's own rooms. */
const HOUSE = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const SHIPPED_IMAGES = join(HOUSE, 'images');
export const SHIPPED_ELEMENTS = join(HOUSE, 'elements');
export const HOUSE_ROOT = HOUSE;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const FIELDS = new Set(['imagename', 'elements', 'packages', 'environment', 'types', 'spare-mib', 'esp-mib', 'arch']);

function refuse(where: string, what: string): never {
  throw new BuildError(`${where}: ${what}`);
}

function words(where: string, field: string, value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const list = typeof value === 'string' ? value.split(/[\s,]+/).filter((each) => each !== '') : value;
  if (!Array.isArray(list) || list.some((each) => typeof each !== 'string'))
    refuse(where, `"${field}" is not a list of names.`);
  return list as string[];
}

function mebibytes(where: string, field: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 1_048_576) {
    refuse(where, `"${field}" is ${JSON.stringify(value)}, not a whole number of MiB from 1 to 1048576.`);
  }
  return value;
}

/** Reads one entry of a definition file. `where` names the file and the entry in errors. */
export function readDefinition(entry: unknown, where: string): ImageDefinition {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
    refuse(where, 'an image is a map with "imagename" and "elements".');
  const fields = entry as Record<string, unknown>;
  const strange = Object.keys(fields).find((field) => !FIELDS.has(field));
  if (strange !== undefined) refuse(where, `unknown field "${strange}"; known: ${[...FIELDS].join(', ')}.`);
  const name = fields.imagename;
  if (typeof name !== 'string' || !NAME.test(name)) {
    refuse(where, `"imagename" is ${JSON.stringify(name)}; it must be letters, digits, dots, dashes or underscores.`);
  }
  const elements = words(where, 'elements', fields.elements);
  if (elements.length === 0) refuse(where, `image "${name}" lists no elements.`);
  const types = words(where, 'types', fields.types);
  const wrong = types.find((type) => !(IMAGE_TYPES as readonly string[]).includes(type));
  if (wrong !== undefined) refuse(where, `image "${name}" asks for type "${wrong}"; known: ${IMAGE_TYPES.join(', ')}.`);
  const given = fields.environment ?? {};
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    refuse(where, `"environment" of image "${name}" is not a map.`);
  const environment: Record<string, string> = {};
  for (const [key, value] of Object.entries(given)) {
    if (!/^[A-Za-z_]\w*$/.test(key))
      refuse(where, `"${key}" in the environment of image "${name}" is not a variable's name.`);
    if (value !== null && typeof value === 'object')
      refuse(where, `variable ${key} of image "${name}" is not a plain value.`);
    environment[key] = value === null ? '' : String(value);
  }
  return {
    name,
    elements,
    packages: words(where, 'packages', fields.packages),
    environment,
    types: types.length === 0 ? ['chunks'] : (types as ImageType[]),
    spareMib: mebibytes(where, 'spare-mib', fields['spare-mib'], 128),
    espMib: mebibytes(where, 'esp-mib', fields['esp-mib'], 64),
  };
}

/** Loads an image by its name in `images/` or by the path of a YAML file. Fails with the names that there are. */
export async function loadDefinition(nameOrPath: string, directory: string = SHIPPED_IMAGES): Promise<ImageDefinition> {
  const isPath = nameOrPath.includes('/') || /\.ya?ml$/.test(nameOrPath);
  const path = isPath ? nameOrPath : join(directory, `${nameOrPath}.yaml`);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    if (isPath) throw new BuildError(`The image definition ${path} cannot be read: check the path.`);
    const there = (await readdir(directory).catch(() => [] as string[])).filter((file) => file.endsWith('.yaml'));
    const names = there.map((file) => basename(file, '.yaml')).join(', ');
    throw new BuildError(`There is no image "${nameOrPath}" in ${directory}. Defined there: ${names || 'none'}.`);
  }
  let document: unknown;
  try {
    document = parse(text, { maxAliasCount: 100 });
  } catch (error) {
    throw new BuildError(`${path} is not valid YAML: ${(error as Error).message}`);
  }
  const list = Array.isArray(document) ? document : [document];
  if (list.length !== 1) throw new BuildError(`${path} defines ${list.length} images: put each in a file of its own.`);
  return readDefinition(list[0], path);
}
