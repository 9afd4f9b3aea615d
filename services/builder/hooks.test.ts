import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestPaths, listHooks, mergeHooks } from './hooks.ts';
import { parseEnvironment, planPhase } from './phases.ts';
import type { Element } from './resolve.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hooks-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function element(name: string, files: Record<string, number>): Promise<Element> {
  for (const [path, mode] of Object.entries(files)) {
    const file = join(root, name, path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, `${name} ${path}\n`, { mode });
  }
  return { name, path: join(root, name), dependencies: [], provides: [] };
}

describe('the merged hook tree', () => {
  it('keeps modes and owners, and leaves descriptions and tests out', async () => {
    const one = await element('one', {
      'install.d/10-a': 0o755,
      'install.d/20-notes': 0o644,
      'element-deps': 0o644,
      'tests/x': 0o755,
      'README.md': 0o644,
    });
    const two = await element('two', { 'install.d/10-b': 0o755, 'static/etc/x': 0o644, 'element-deps': 0o644 });
    const tree = await mergeHooks([one, two], join(root, 'tree'));
    expect([...tree.owners]).toEqual([
      ['install.d/10-a', 'one'],
      ['install.d/20-notes', 'one'],
      ['install.d/10-b', 'two'],
      ['static/etc/x', 'two'],
    ]);
    expect((await stat(join(tree.path, 'install.d/10-a'))).mode & 0o777).toBe(0o755);
    expect(await listHooks(tree, 'install.d')).toEqual(expect.arrayContaining(['10-a', '10-b']));
    expect(await listHooks(tree, 'install.d')).not.toContain('20-notes');
    expect(await listHooks(tree, 'finalise.d')).toEqual([]);
  });

  it('refuses the same file from two elements', async () => {
    const one = await element('one', { 'install.d/10-a': 0o755 });
    const two = await element('two', { 'install.d/10-a': 0o755 });
    await expect(mergeHooks([one, two], join(root, 'tree'))).rejects.toThrow(
      'Elements "one" and "two" both bring install.d/10-a',
    );
  });

  it('digests names, modes and bytes', async () => {
    const { path } = await element('one', { 'install.d/10-a': 0o755 });
    const before = await digestPaths([path]);
    expect(await digestPaths([path])).toBe(before);
    await writeFile(join(path, 'install.d/10-a'), 'other');
    expect(await digestPaths([path])).not.toBe(before);
  });

  it('puts native steps among the scripts by name, and a script of the same name in their place', async () => {
    const one = await element('one', {
      'install.d/10-a': 0o755,
      'install.d/00-first': 0o755,
      'install.d/99-own': 0o755,
    });
    const tree = await mergeHooks([one], join(root, 'tree'));
    const run = async (): Promise<void> => {};
    const steps = await planPhase(tree, 'install.d', [
      { name: '99-own', run },
      { name: '01-packages', run },
    ]);
    expect(steps.map((step) => (typeof step === 'string' ? step : `native ${step.name}`))).toEqual([
      '00-first',
      'native 01-packages',
      '10-a',
      '99-own',
    ]);
  });
});

describe('the environment between phases', () => {
  it('survives line ends and exported functions', () => {
    const text = ['A=1', 'B=two\nlines', 'BASH_FUNC_f%%=() {  echo x\n}', 'SHLVL=2', '_=/usr/bin/env', 'EMPTY='].join(
      '\0',
    );
    expect(parseEnvironment(`${text}\0`)).toEqual({
      A: '1',
      B: 'two\nlines',
      'BASH_FUNC_f%%': '() {  echo x\n}',
      EMPTY: '',
    });
  });
});
