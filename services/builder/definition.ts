import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { applyDibArguments } from './dib-options.ts';
import { BuildError } from './progress.ts';

/**
 * Artefacts that a build can leave behind. `chunks` is what the image store and the agent use; `tree` a directory; `oci` an archive of one image in OCI layout, which
 * `docker` (diskimage-builder's word) means too.
 */
export const IMAGE_TYPES = [
  'chunks',
  'raw',
  'qcow2',
  'tar',
  'tgz',
  'squashfs',
  'vhd',
  'vmdk',
  'vdi',
  'oci',
  'docker',
  'aci',
  'kernel',
  'tree',
] as const;
export type ImageType = (typeof IMAGE_TYPES)[number];

/** A gold image as data. In YAML it is one entry of diskimage-builder's list format, or of TripleO's `disk_images:`. */
export interface ImageDefinition {
  name: string;
  elements: string[];
  /** Installed in install.d beside what the elements want; after it where diskimage-builder's own elements install. */
  packages: string[];
  environment: Record<string, string>;
  types: ImageType[];
  /** Free space in the root file system of the image, in MiB; a node grows it to its disk. Without it as much as diskimage-builder leaves. */
  spareMib?: number;
  espMib: number;
  /** `base` goes first, as diskimage-builder does it unless told `-n`. */
  base?: boolean;
  /** The main element of a ramdisk (ramdisk-image-create). */
  ramdiskElement?: string;
  architecture?: string;
  imageGb?: number;
  extraGb?: number;
  journalMib?: number;
  mkfsOptions?: string[];
  maxOnlineResize?: string;
  qemuOptions?: string;
  rootLabel?: string;
  installType?: string;
  dockerTarget?: string;
  uncompressed?: boolean;
  checksum?: boolean;
  clearEnvironment?: boolean;
  /** The words that diskimage-builder would have been called with: DIB_ARGS. */
  arguments?: string;
  /** Path of the results without their endings: IMAGE_NAME. */
  output?: string;
}

/** The repository's own rooms. */
const HOUSE = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const SHIPPED_IMAGES = join(HOUSE, 'images');
export const SHIPPED_ELEMENTS = join(HOUSE, 'elements');
export const HOUSE_ROOT = HOUSE;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** diskimage-builder's keys are those of its command line; spare-mib and esp-mib are ours. */
const FIELDS = new Set(
  (
    'imagename elements packages environment types type arch base-element skip-base no-base ramdisk ramdisk-element image-size image-extra-size size mkfs-journal-size mkfs-options ' +
    'max-online-resize qemu-img-options root-label install-type docker-target uncompressed checksum clear-env clear trace debug-trace options distro ' +
    // Read and of no consequence here: the build needs no tmpfs of its own, and its cache is an option of the command.
    'min-tmpfs no-tmpfs image-cache offline logfile spare-mib esp-mib builder image_size releasever element-path'
  ).split(' '),
);

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

/**
 * Reads one entry of a definition file. `where` names the file and the entry in errors. Files in `images/` and those that say `skip-base: true` with elements of ours need
 * nothing else; `style: 'dib'` prepends `base` and makes qcow2 unless told otherwise, as diskimage-builder does.
 */
export function readDefinition(
  entry: unknown,
  where: string,
  style: 'undercloud' | 'dib' = 'undercloud',
): ImageDefinition {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
    refuse(where, 'an image is a map with "imagename" and "elements".');
  const fields = entry as Record<string, unknown>;
  const strange = Object.keys(fields).find((field) => !FIELDS.has(field));
  if (strange !== undefined) refuse(where, `unknown field "${strange}"; known: ${[...FIELDS].join(', ')}.`);
  const given0 = fields.imagename;
  // diskimage-builder's is a path, as that of -o.
  const name = style === 'dib' && typeof given0 === 'string' ? basename(given0) : given0;
  if (typeof name !== 'string' || !NAME.test(name)) {
    refuse(where, `"imagename" is ${JSON.stringify(given0)}; it must be letters, digits, dots, dashes or underscores.`);
  }
  const elements = words(where, 'elements', fields.elements);
  if (elements.length === 0) refuse(where, `image "${name}" lists no elements.`);
  const types = words(where, 'types', fields.types ?? fields.type);
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
  const flag = (...keys: string[]): boolean => keys.some((key) => fields[key] === true || fields[key] === 'true');
  const given1 = (key: string): string | undefined =>
    fields[key] === undefined || fields[key] === null ? undefined : String(fields[key]);
  const figure = (key: string): number | undefined => {
    const value = given1(key);
    if (value === undefined) return undefined;
    if (!/^\d+(\.\d+)?$/.test(value))
      refuse(where, `"${key}" of image "${name}" is ${JSON.stringify(fields[key])}, not a number.`);
    return Number(value);
  };
  const optional = <Value>(key: keyof ImageDefinition, value: Value | undefined): object =>
    value === undefined ? {} : { [key]: value };
  const trace = figure('debug-trace');
  if (trace !== undefined && trace > 0) environment.DIB_DEBUG_TRACE ??= String(trace);
  const made = types.length === 0 ? [style === 'undercloud' ? 'chunks' : 'qcow2'] : types;
  const definition: ImageDefinition = {
    name,
    elements,
    packages: words(where, 'packages', fields.packages),
    environment,
    types: made as ImageType[],
    espMib: mebibytes(where, 'esp-mib', fields['esp-mib'], 64),
    base: style === 'dib' && !flag('skip-base', 'no-base'),
    ...(style === 'undercloud' || fields['spare-mib'] !== undefined
      ? { spareMib: mebibytes(where, 'spare-mib', fields['spare-mib'], 128) }
      : {}),
    ...(flag('ramdisk') ? { ramdiskElement: given1('ramdisk-element') ?? 'ramdisk' } : {}),
    ...optional('architecture', given1('arch') === 'x86_64' ? 'amd64' : given1('arch')),
    ...optional('imageGb', figure('image-size') ?? figure('size') ?? figure('image_size')),
    ...optional('extraGb', figure('image-extra-size')),
    ...optional('journalMib', figure('mkfs-journal-size')),
    ...optional('mkfsOptions', given1('mkfs-options')?.split(/\s+/).filter(Boolean)),
    ...optional('maxOnlineResize', given1('max-online-resize')),
    ...optional('qemuOptions', qemuOptions(fields['qemu-img-options'])),
    ...optional('rootLabel', given1('root-label')),
    ...optional('installType', given1('install-type')),
    ...optional('dockerTarget', given1('docker-target')),
    ...(flag('uncompressed') ? { uncompressed: true } : {}),
    ...(flag('checksum') ? { checksum: true } : {}),
    ...(flag('clear-env', 'clear') ? { clearEnvironment: true } : {}),
    // What diskimage-builder would make lies where it would lie; what has chunks is for the store.
    ...(style === 'dib' && !made.includes('chunks') ? { output: String(given0) } : {}),
  };
  return words(where, 'options', fields.options).length === 0
    ? definition
    : applyDibArguments(definition, words(where, 'options', fields.options), where);
}

/** qemu-img's options: words as on the command line, or diskimage-builder's map. */
function qemuOptions(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object') return String(value);
  return Object.entries(value)
    .map(([key, each]) => `${key}=${String(each)}`)
    .join(',');
}

/**
 * Entries of one name are one image, as diskimage-builder and TripleO have it: lists are appended, maps are joined, anything else is replaced. An entry without a name goes on with
 * the image before it; the first is called "image".
 */
export function mergeEntries(entries: readonly unknown[]): unknown[] {
  const merged = new Map<unknown, Record<string, unknown>>();
  const rest: unknown[] = [];
  let previous: unknown = 'image';
  for (const entry of entries) {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
      rest.push(entry);
      continue;
    }
    const fields = entry as Record<string, unknown>;
    const imagename = fields.imagename ?? previous;
    previous = imagename;
    const whole = merged.get(imagename) ?? { imagename };
    for (const [key, value] of Object.entries(fields)) {
      const before = whole[key];
      if (Array.isArray(value) && Array.isArray(before)) whole[key] = [...before, ...value];
      else if (isMap(value) && isMap(before)) whole[key] = { ...before, ...value };
      else whole[key] = value;
    }
    merged.set(imagename, whole);
  }
  return [...merged.values(), ...rest];
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Loads the images of a file, by its name in `images/` or by its path. Fails with the names that there are. */
export async function loadDefinitions(
  nameOrPath: string,
  directory: string = SHIPPED_IMAGES,
): Promise<ImageDefinition[]> {
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
  const fields = (typeof document === 'object' && document !== null ? document : {}) as { disk_images?: unknown };
  const listed = fields.disk_images ?? document;
  const list = mergeEntries(Array.isArray(listed) ? listed : [listed]);
  if (list.length === 0) throw new BuildError(`${path} defines no image.`);
  // Ours have no element that diskimage-builder's base would go with.
  const style = fields.disk_images !== undefined || list.some((each) => usesBase(each)) ? 'dib' : 'undercloud';
  return list.map((each, index) =>
    readDefinition(each, list.length === 1 ? path : `${path}, image ${index + 1}`, style),
  );
}

/** Whether an entry builds on a root element of diskimage-builder's: then its rules hold for what is not said. */
function usesBase(entry: unknown): boolean {
  const { elements } = (entry ?? {}) as { elements?: unknown };
  const names =
    typeof elements === 'string' ? elements.split(/[\s,]+/) : Array.isArray(elements) ? elements.map(String) : [];
  return !names.includes('debian-base');
}

/** Loads the one image of a file, or the one of several whose name is `only`. */
export async function loadDefinition(nameOrPath: string, directory: string = SHIPPED_IMAGES): Promise<ImageDefinition> {
  const list = await loadDefinitions(nameOrPath, directory);
  const [first] = list;
  if (first === undefined || list.length > 1)
    throw new BuildError(
      `${nameOrPath} defines ${list.length} images (${list.map(({ name }) => name).join(', ')}): say which with --image.`,
    );
  return first;
}

/** What the definition says of the disk's size, in MiB; what it leaves open is left out. */
export function sizes(definition: ImageDefinition): {
  spareMib?: number;
  imageMib?: number;
  extraMib?: number;
  journalMib?: number;
  growsTo?: number;
} {
  const { spareMib, imageGb, extraGb, journalMib, maxOnlineResize } = definition;
  return {
    ...(spareMib === undefined ? {} : { spareMib }),
    ...(imageGb === undefined ? {} : { imageMib: Math.ceil(imageGb * 1024) }),
    ...(extraGb === undefined ? {} : { extraMib: Math.ceil(extraGb * 1024) }),
    ...(journalMib === undefined ? {} : { journalMib }),
    ...(maxOnlineResize === undefined ? {} : { growsTo: Number(maxOnlineResize) }),
  };
}
