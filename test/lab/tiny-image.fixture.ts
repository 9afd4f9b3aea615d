/** An operating system of a few files, so that a build of it takes a second, and elements written on the spot. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildOptions, definitionOf, type ImageDefinition } from '../../services/builder/index.ts';

const ROOT = `#!/bin/bash
set -eu
mkdir -p "$TARGET_ROOT"/{bin,etc,usr/bin,var/log,tmp}
cp /bin/busybox "$TARGET_ROOT/bin/busybox"
for a in sh env mkdir cat sleep ls mount chmod; do ln -s busybox "$TARGET_ROOT/bin/$a"; done
for p in bash env; do cp --parents -L $(ldd /bin/bash /usr/bin/env | grep -o '/[^ ]*' | grep '\\.so') /bin/bash /usr/bin/env "$TARGET_ROOT/" 2>/dev/null || true; done
`;

export interface TinyImages {
  /** Below /tmp and with a state directory behind a link: paths that once led a build to an empty tree. */
  work: string;
  /** Writes a file of an element, executable. */
  write(element: string, path: string, text: string): Promise<void>;
  options(
    name: string,
    elements: readonly string[],
    changes?: Partial<ImageDefinition>,
  ): BuildOptions & { definition: ImageDefinition };
  /** A file of a finished image's tar archive. */
  file(name: string, path: string): string;
  remove(): Promise<void>;
}

export async function tinyImages(prefix: string): Promise<TinyImages> {
  const work = await mkdtemp(prefix);
  await mkdir(join(work, 'real-state'));
  await symlink('real-state', join(work, 'state'));
  const write = async (element: string, path: string, text: string): Promise<void> => {
    const file = join(work, 'elements', element, path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, text);
    await chmod(file, 0o755);
  };
  await write('tiny', 'element-provides', 'operating-system\n');
  await write('tiny', 'root.d/10-tiny', ROOT);
  return {
    work,
    write,
    options: (name, elements, changes = {}) => ({
      definition: {
        ...definitionOf(['tiny', ...elements]),
        name,
        base: false,
        types: ['tar'],
        output: join(work, name),
        ...changes,
      },
      out: work,
      cache: join(work, 'state', 'cache'),
      directory: work,
      elementsPath: [join(work, 'elements')],
    }),
    file: (name, path) => execFileSync('tar', ['-xOf', join(work, `${name}.tar`), `./${path}`], { encoding: 'utf8' }),
    remove: () => rm(work, { recursive: true, force: true }),
  };
}
