import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from './cache.ts';

/** Where Debian's python3-diskimage-builder puts the field's common elements, and the shell library that some of them source. Set DIB_PACKAGE to use a checkout. */
const PACKAGE = process.env.DIB_PACKAGE ?? '/usr/lib/python3/dist-packages/diskimage_builder';
export const UPSTREAM_ELEMENTS = join(PACKAGE, 'elements');
export const UPSTREAM_LIBRARY = join(PACKAGE, 'lib');
/** Elements' host scripts need PyYAML, which the machine's first `python3` may not have. */
export const UPSTREAM_PYTHON = '/usr/bin/python3';

/** Whether the packaged elements are there. */
export function hasUpstream(): Promise<boolean> {
  return exists(UPSTREAM_ELEMENTS);
}

// Elements call sudo before nearly everything. The build is root already, and a machine without sudo, or whose sudo takes the environment away, must do too.
const SUDO = `#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in
    -E | -H | -n | -S) shift ;;
    -u) shift 2 ;;
    --) shift; break ;;
    *) break ;;
  esac
done
exec env "$@"
`;

// A library for machines without the package: what its scripts source, as far as elements use it.
const DIE = `function die() { echo "ERROR: $*" >&2; exit 1; }\n`;

/** Programs that stand before the machine's own while hooks run outside. Returns their directory. */
export async function writeHostPrograms(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'sudo'), SUDO);
  await chmod(join(directory, 'sudo'), 0o755);
  return directory;
}

/** The directory that hooks know as _LIB. */
export async function libraryPath(work: string): Promise<string> {
  if (await exists(join(UPSTREAM_LIBRARY, 'die'))) return UPSTREAM_LIBRARY;
  const directory = join(work, 'lib');
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'die'), DIE);
  return directory;
}
