import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SHIPPED_ELEMENTS } from './definition.ts';
import { findElements, resolveElements } from './resolve.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'elements-'));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function element(directory: string, name: string, dependencies = '', provides = ''): Promise<void> {
  const path = join(root, directory, name);
  await mkdir(path, { recursive: true });
  if (dependencies !== '') await writeFile(join(path, 'element-deps'), dependencies);
  if (provides !== '') await writeFile(join(path, 'element-provides'), provides);
}

async function resolveFrom(path: string[], ...requested: string[]): Promise<string[]> {
  const known = await findElements(path.map((each) => join(root, each)));
  return resolveElements(requested, known).map(({ name }) => name);
}

describe('resolution of elements', () => {
  it('adds dependencies breadth first, each once, with loops', async () => {
    await element('a', 'image', 'os\nextra\n');
    await element('a', 'extra', 'deep\nimage\n');
    await element('a', 'deep', 'os\n');
    await element('a', 'os', '# the system\n\n', 'operating-system\n');
    expect(await resolveFrom(['a'], 'image')).toEqual(['image', 'os', 'extra', 'deep']);
  });

  it('lets the leftmost directory of the path win and follows symlinks to the real name', async () => {
    await element('a', 'os', '', 'operating-system');
    await element('b', 'os', 'never');
    await symlink(join(root, 'a/os'), join(root, 'a/alias'));
    const known = await findElements([join(root, 'a'), join(root, 'b')]);
    expect(known.get('os')?.path).toBe(join(root, 'a/os'));
    expect(known.has('alias')).toBe(false);
  });

  it('drops an element that another one provides', async () => {
    await element('a', 'os', 'init\n', 'operating-system\ninit\n');
    await element('a', 'init', 'something-unknown');
    expect(await resolveFrom(['a'], 'os')).toEqual(['os']);
  });

  it('refuses what cannot be resolved, with the names', async () => {
    await element('a', 'os', '', 'operating-system');
    await element('a', 'os2', '', 'operating-system');
    await element('a', 'virtual');
    await element('a', 'provider', '', 'virtual');
    await element('a', 'needy', 'missing-one');
    await expect(resolveFrom(['a'], 'os', 'needy')).rejects.toThrow('"missing-one", which element "needy" depends on');
    await expect(resolveFrom(['a'], 'nosuch')).rejects.toThrow('There is no element "nosuch"');
    await expect(resolveFrom(['a'], 'os', 'os2')).rejects.toThrow('"os" and "os2" both provide "operating-system"');
    await expect(resolveFrom(['a'], 'os', 'virtual', 'provider')).rejects.toThrow(
      '"virtual" was asked for, but "provider"',
    );
    await expect(resolveFrom(['a'], 'provider')).rejects.toThrow('provides an operating system');
    await expect(resolveFrom(['a', 'gone'], 'os')).rejects.toThrow('not a readable directory');
  });

  it('resolves every shipped element together with the base', async () => {
    const known = await findElements([SHIPPED_ELEMENTS]);
    for (const name of known.keys()) {
      if (name === 'deploy-ramdisk') continue;
      const names = resolveElements([...new Set(['debian-base', name])], known).map((each) => each.name);
      expect(names).toContain(name);
    }
  });
});
