import type { ImageDefinition, ImageType } from './definition.ts';
import { BuildError } from './progress.ts';

/** diskimage-builder's options: what each changes in a definition. `value` is empty for those that take none. */
interface DibOption {
  takes: boolean;
  change: (definition: ImageDefinition, value: string, where: string) => Partial<ImageDefinition>;
}

function number(value: string, option: string, where: string): number {
  if (!/^\d+(\.\d+)?$/.test(value))
    throw new BuildError(`${where}: ${option} is given ${JSON.stringify(value)}, which is not a number.`);
  return Number(value);
}

const flag = (change: DibOption['change']): DibOption => ({ takes: false, change });
const option = (change: DibOption['change']): DibOption => ({ takes: true, change });
const list = (value: string): string[] => value.split(',').filter(Boolean);
/** Options that a build here has no use for: it needs no tmpfs, and its cache and log are options of the command. */
const nothing = (): Partial<ImageDefinition> => ({});

export const DIB_OPTIONS: Readonly<Record<string, DibOption>> = {
  '-a': option((_, value) => ({ architecture: value === 'x86_64' ? 'amd64' : value })),
  '-o': option((_, value) => ({ output: value, name: value.slice(value.lastIndexOf('/') + 1) })),
  '-t': option((_, value) => ({ types: list(value) as ImageType[] })),
  '-x': flag(({ environment }) => ({
    environment: { ...environment, DIB_DEBUG_TRACE: String(Number(environment.DIB_DEBUG_TRACE ?? 0) + 1) },
  })),
  '-u': flag(() => ({ uncompressed: true })),
  '-c': flag(() => ({ clearEnvironment: true })),
  '-n': flag(() => ({ base: false })),
  '-p': option(({ packages }, value) => ({ packages: [...packages, ...list(value)] })),
  '--checksum': flag(() => ({ checksum: true })),
  '--image-size': option((_, value, where) => ({ imageGb: number(value, '--image-size', where) })),
  '--image-extra-size': option((_, value, where) => ({ extraGb: number(value, '--image-extra-size', where) })),
  '--max-online-resize': option((_, value, where) => ({
    maxOnlineResize: String(number(value, '--max-online-resize', where)),
  })),
  '--mkfs-journal-size': option((_, value, where) => ({ journalMib: number(value, '--mkfs-journal-size', where) })),
  '--mkfs-options': option((_, value) => ({ mkfsOptions: value.split(/\s+/).filter(Boolean) })),
  '--qemu-img-options': option((_, value) => ({ qemuOptions: value })),
  '--root-label': option((_, value) => ({ rootLabel: value })),
  '--ramdisk-element': option((_, value) => ({ ramdiskElement: value })),
  '--install-type': option((_, value) => ({ installType: value })),
  '--docker-target': option((_, value) => ({ dockerTarget: value })),
  '--offline': flag(({ environment }) => ({ environment: { ...environment, DIB_OFFLINE: '1' } })),
  '--no-tmpfs': flag(nothing),
  '--min-tmpfs': option(nothing),
  '--logfile': option(nothing),
  '--image-cache': option(nothing),
};

/** A copy of a definition with diskimage-builder's options applied, as TripleO's `options:` gives them ("--min-tmpfs 7" may be one word or two). */
export function applyDibArguments(
  definition: ImageDefinition,
  given: readonly string[],
  where: string,
): ImageDefinition {
  let result = definition;
  const words = given.flatMap((word) => word.split(/\s+/)).filter(Boolean);
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [name = '', inline] = word.startsWith('--') ? word.split(/=(.*)/s) : [word];
    const known = DIB_OPTIONS[name];
    if (known === undefined)
      throw new BuildError(`${where}: there is no option "${name}"; known: ${Object.keys(DIB_OPTIONS).join(' ')}.`);
    const value = known.takes ? (inline ?? words.shift()) : '';
    if (value === undefined) throw new BuildError(`${where}: the option "${name}" needs a value.`);
    result = { ...result, ...known.change(result, value, where) };
  }
  return withoutEnding(result);
}

/** `-o disk.qcow2 -t qcow2` writes disk.qcow2, not disk.qcow2.qcow2: with one type its ending is no part of the name (diskimage-builder does so). */
function withoutEnding(definition: ImageDefinition): ImageDefinition {
  const { output, types } = definition;
  const [type] = types;
  if (output === undefined || types.length !== 1 || !output.endsWith(`.${type}`)) return definition;
  const plain = output.slice(0, -`.${type}`.length);
  return { ...definition, output: plain, name: plain.slice(plain.lastIndexOf('/') + 1) };
}

/** Variables that diskimage-builder takes for options that were not given. */
export function withVariables(
  definition: ImageDefinition,
  environment: Readonly<Record<string, string>>,
): ImageDefinition {
  const figure = (name: string): number | undefined => {
    const value = environment[name];
    return value === undefined || value === '' ? undefined : number(value, name, 'the environment');
  };
  const imageGb = definition.imageGb ?? figure('DIB_IMAGE_SIZE');
  const extraGb = definition.extraGb ?? figure('DIB_IMAGE_EXTRA_SIZE');
  const journalMib = definition.journalMib ?? figure('DIB_JOURNAL_SIZE');
  return {
    ...definition,
    ...(imageGb === undefined ? {} : { imageGb }),
    ...(extraGb === undefined ? {} : { extraGb }),
    ...(journalMib === undefined ? {} : { journalMib }),
    ...(environment.DIB_CHECKSUM === '1' ? { checksum: true } : {}),
  };
}

/** A definition from elements on the command line, with diskimage-builder's defaults. */
export function definitionOf(elements: readonly string[]): ImageDefinition {
  return {
    name: 'image',
    elements: [...elements],
    packages: [],
    environment: {},
    types: ['qcow2'],
    espMib: 64,
    base: true,
    output: 'image',
  };
}

/** The elements that diskimage-builder makes of those asked for: `base` first, the ramdisk's before it, a block device for `vm`. */
export function requestedElements(definition: ImageDefinition, architecture: string): string[] {
  const asked = [...definition.elements];
  if (asked.includes('vm') && !asked.some((name) => name.startsWith('block-device-')))
    asked.push(/^(arm64|aarch64)$/.test(architecture) ? 'block-device-efi' : 'block-device-mbr');
  const withBase = definition.base ? ['base', ...asked] : asked;
  return [...new Set(definition.ramdiskElement === undefined ? withBase : [definition.ramdiskElement, ...withBase])];
}
