import type { ImageDefinition } from './definition.ts';
import type { HostApt } from './host-apt.ts';
import { sourceLines } from './host-apt.ts';
import type { Environment } from './phases.ts';
import type { Element } from './resolve.ts';

/** Directories that hooks are told about. */
export interface BuildPlaces {
  build: string;
  hooks: string;
  mount: string;
  cache: string;
}

/** Variables of the caller that reach the hooks. The rest of its environment would make the same build differ from one shell to the next. */
const PASSED = /^(DIB_|(https?|ftp|no)_proxy$|(HTTPS?|FTP|NO)_PROXY$)/;

/** One shell word, single quotes within quoted. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Everything the hooks find in their environment before environment.d is sourced (diskimage-builder's list). */
export function hookEnvironment(
  definition: ImageDefinition,
  elements: readonly Element[],
  elementsPath: readonly string[],
  apt: HostApt,
  places: BuildPlaces,
  epoch: number,
): Environment {
  const passed: Environment = {};
  for (const [name, value] of Object.entries(process.env))
    if (PASSED.test(name) && value !== undefined) passed[name] = value;
  const names = elements.map(({ name }) => name);
  const yaml = elements.map(({ name, path }) => `${name}: ${path}\n`).join('');
  const array = elements.map(({ name, path }) => `[${name}]=${path} `).join('');
  return {
    HOME: '/root',
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    ARCH: apt.architecture,
    DIB_RELEASE: apt.release,
    DIB_OFFLINE: '',
    DIB_CHECKSUM: '',
    DIB_DEBUG_TRACE: '0',
    DIB_ROOT_LABEL: 'cloudimg-rootfs',
    DIB_ROOT_FSTYPE: 'ext4',
    DIB_DEFAULT_INSTALLTYPE: 'source',
    FS_TYPE: 'ext4',
    SOURCE_DATE_EPOCH: String(epoch),
    ...passed,
    ...definition.environment,
    DIB_APT_SOURCES: sourceLines(apt).join('\n'),
    DIB_APT_SOURCES_SIGNED: sourceLines(apt, true).join('\n'),
    DIB_ARGS: names.join(' '),
    DIB_IMAGE_CACHE: places.cache,
    DIB_LOCKFILES: places.build,
    IMAGE_NAME: definition.name,
    IMAGE_ELEMENT: names.join(' '),
    IMAGE_ELEMENT_YAML: yaml,
    'BASH_FUNC_get_image_element_array%%': `() {  echo ${quoted(array)}\n}`,
    ELEMENTS_PATH: elementsPath.join(':'),
    TMP_BUILD_DIR: places.build,
    TMP_IMAGE_DIR: places.build,
    TMP_HOOKS_PATH: places.hooks,
    TMP_MOUNT_PATH: places.mount,
    TARGET_ROOT: places.mount,
  };
}

/** The variables on which cached work depends: everything but the paths of this one build. */
export function keyedEnvironment(environment: Environment): string {
  const own = new Set([
    'TMP_BUILD_DIR',
    'TMP_IMAGE_DIR',
    'TMP_HOOKS_PATH',
    'TMP_MOUNT_PATH',
    'TARGET_ROOT',
    'DIB_IMAGE_CACHE',
    'DIB_LOCKFILES',
  ]);
  const local = new Set([
    ...own,
    'IMAGE_NAME',
    'ELEMENTS_PATH',
    'IMAGE_ELEMENT_YAML',
    'BASH_FUNC_get_image_element_array%%',
  ]);
  return Object.keys(environment)
    .filter((name) => !local.has(name))
    .sort()
    .map((name) => `${name}=${environment[name]}\0`)
    .join('');
}
