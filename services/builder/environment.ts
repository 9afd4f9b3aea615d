import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageDefinition } from './definition.ts';
import type { HostApt } from './host-apt.ts';
import { sourceLines } from './host-apt.ts';
import type { Environment } from './phases.ts';
import type { Element } from './resolve.ts';
import { UPSTREAM_PYTHON } from './upstream.ts';

/** Directories that hooks are told about. */
export interface BuildPlaces {
  build: string;
  hooks: string;
  mount: string;
  cache: string;
  library: string;
}

/** Variables of the caller that reach the hooks beside DIB_ and proxies. The rest of its environment would make the same build differ from one shell to the next. */
const PASSED =
  /^(DIB_\w+|(https?|ftp|no)_proxy|(HTTPS?|FTP|NO)_PROXY|ELEMENTS_PATH|ARCH|FS_TYPE|IMAGE_NAME|GRUB_OPTS|EFI_BOOT_DIR|TMP_DIR|NO_SOURCE_REPOSITORIES|KERNEL|break|break_outside_target|break_cmd|PYPI_MIRROR\w*|REG_\w+|ACI_MANIFEST)$/;

/** The caller's variables that reach hooks. */
export function callerEnvironment(from: Readonly<Record<string, string | undefined>> = process.env): Environment {
  return Object.fromEntries(
    Object.entries(from)
      .filter(
        (pair): pair is [string, string] => PASSED.test(pair[0]) && pair[1] !== undefined && pair[0] !== 'DIB_PACKAGE',
      )
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** One shell word, single quotes within quoted. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** apt sources in the form of diskimage-builder's debian-minimal: NAME:LINE, from the host's own mirrors (its default names a security path that answers 404). */
function sourcesConf(apt: HostApt): string {
  return apt.sources
    .map(({ uri, suite, components }) => {
      const name = suite.endsWith('-updates') ? 'updates' : suite.endsWith('-security') ? 'security' : 'default';
      return `${name}:deb ${uri} ${suite} ${components.join(' ')}`;
    })
    .join('\n');
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
  const passed = definition.clearEnvironment ? {} : callerEnvironment();
  const names = elements.map(({ name }) => name);
  const yaml = elements.map(({ name, path }) => `${name}: ${path}\n`).join('');
  const array = elements.map(({ name, path }) => `[${name}]=${path} `).join('');
  const dib = Object.entries({ ...passed, ...definition.environment }).filter(([name]) => name.startsWith('DIB_'));
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    LC_ALL: 'C',
    HOME: process.env.HOME ?? '/root',
    USER: process.env.USER ?? 'root',
    ARCH: definition.architecture ?? apt.architecture,
    // Another distribution's elements have defaults of their own.
    ...(apt.origin === 'elements'
      ? {}
      : {
          DIB_RELEASE: apt.release,
          DIB_DISTRIBUTION_MIRROR: apt.sources[0]?.uri ?? '',
          DIB_APT_SOURCES_CONF: sourcesConf(apt),
        }),
    DIB_OFFLINE: '',
    ...(definition.imageGb === undefined ? {} : { DIB_IMAGE_SIZE: String(definition.imageGb) }),
    ...(definition.extraGb === undefined ? {} : { DIB_IMAGE_EXTRA_SIZE: String(definition.extraGb) }),
    DIB_CHECKSUM: definition.checksum ? '1' : '0',
    DIB_DEBUG_TRACE: '0',
    DIB_NO_TMPFS: '1',
    DIB_MIN_TMPFS: '2',
    DIB_ROOT_LABEL: 'cloudimg-rootfs',
    DIB_ROOT_FSTYPE: 'ext4',
    DIB_DEFAULT_INSTALLTYPE: 'source',
    FS_TYPE: 'ext4',
    SOURCE_DATE_EPOCH: String(epoch),
    ...passed,
    ...definition.environment,
    DIB_ENV: dib.map(([name, value]) => `declare -x ${name}="${value}"`).join('\n'),
    DIB_PYTHON_EXEC: UPSTREAM_PYTHON,
    DIB_APT_SOURCES: sourceLines(apt).join('\n'),
    DIB_APT_SOURCES_SIGNED: sourceLines(apt, true).join('\n'),
    DIB_ARGS: definition.arguments ?? definition.elements.join(' '),
    DIB_IMAGE_CACHE: places.cache,
    DIB_LOCKFILES: places.build,
    // A rebuild elsewhere says by itself what the image was called.
    IMAGE_NAME: definition.environment.IMAGE_NAME ?? definition.output ?? definition.name,
    IMAGE_ELEMENT: names.join(' '),
    IMAGE_ELEMENT_YAML: yaml,
    'BASH_FUNC_get_image_element_array%%': `() {  echo ${quoted(array)}\n}`,
    ELEMENTS_PATH: elementsPath.join(':'),
    TMP_BUILD_DIR: places.build,
    TMP_IMAGE_DIR: places.build,
    TMP_HOOKS_PATH: places.hooks,
    TMP_MOUNT_PATH: places.mount,
    _LIB: places.library,
  };
}

/** Differs from build to build, or says nothing about what a script makes. */
const LOCAL = new Set([
  'TMP_BUILD_DIR',
  'TMP_IMAGE_DIR',
  'TMP_HOOKS_PATH',
  'TMP_MOUNT_PATH',
  'TARGET_ROOT',
  'DIB_IMAGE_CACHE',
  'DIB_LOCKFILES',
  'ELEMENTS_PATH',
  'HOME',
  'USER',
  'TMP_DIR',
  'DIB_BLOCK_DEVICE_PARAMS_YAML',
]);
/** Names every element: counts only for scripts that ask for it, or no layer would outlive a new element at the end. */
const WHEN_NAMED: readonly (readonly [string, RegExp])[] = [
  ['IMAGE_NAME', /\bIMAGE_NAME\b/],
  ['DIB_ARGS', /\bDIB_ARGS\b/],
  ['DIB_ENV', /\bDIB_ENV\b/],
  ['IMAGE_ELEMENT', /\bIMAGE_ELEMENT\b/],
  ['IMAGE_ELEMENT_YAML', /\bIMAGE_ELEMENT_YAML\b/],
  ['BASH_FUNC_get_image_element_array%%', /get_image_element_array/],
  ['DIB_IMAGE_SIZE', /\bDIB_IMAGE_SIZE\b/],
  ['DIB_IMAGE_EXTRA_SIZE', /\bDIB_IMAGE_EXTRA_SIZE\b/],
  ['DIB_MANIFEST_SAVE_DIR', /\bDIB_MANIFEST_SAVE_DIR\b/],
  ['DIB_CHECKSUM', /\bDIB_CHECKSUM\b/],
  ['UC_ROOT_UUID', /\bUC_ROOT_UUID\b|grub/],
  ['UC_INITRAMFS_LIST', /UC_INITRAMFS_LIST/],
];

/** The variables on which a script's layer depends: everything but paths of this one build and names that the script does not mention. */
export function keyedEnvironment(environment: Environment, script: string): string {
  const unnamed = new Set(WHEN_NAMED.filter(([, mention]) => !mention.test(script)).map(([name]) => name));
  return Object.keys(environment)
    .filter((name) => !LOCAL.has(name) && !unnamed.has(name))
    .sort()
    .map((name) => `${name}=${environment[name]}\0`)
    .join('');
}

/** Reads /etc/os-release of a finished tree (its layers, highest first). */
export async function osRelease(layers: readonly string[]): Promise<Record<string, string>> {
  for (const layer of [...layers].reverse()) {
    for (const path of ['usr/lib/os-release', 'etc/os-release']) {
      const text = await readFile(join(layer, path), 'utf8').catch(() => undefined);
      if (text === undefined) continue;
      return Object.fromEntries(
        text
          .split('\n')
          .map((line) => /^(\w+)=(.*)$/.exec(line))
          .filter((match) => match !== null)
          .map((match) => [match[1]!, match[2]!.replace(/^"(.*)"$/, '$1')]),
      );
    }
  }
  return {};
}
