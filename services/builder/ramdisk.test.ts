import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copySources, stripSource } from './agent-sources.ts';
import { readLinkage, withoutSymbols } from './elf.ts';
import { loadOrder, parseModulesDep, selectModules } from './modules.ts';
import { loadProfile } from './ramdisk-profile.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ramdisk-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('kernel modules', () => {
  const table = parseModulesDep(
    `kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/char/hw_random/virtio-rng.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko
kernel/fs/jbd2/jbd2.ko:
`,
  );

  it('are chosen by name, directory or file, with their dependencies', () => {
    const chosen = selectModules(table, ['virtio_rng', 'fs/ext4/'], new Set(), []);
    expect(chosen).toEqual([
      'kernel/drivers/char/hw_random/virtio-rng.ko',
      'kernel/drivers/virtio/virtio.ko',
      'kernel/drivers/virtio/virtio_ring.ko',
      'kernel/fs/ext4/ext4.ko',
      'kernel/fs/jbd2/jbd2.ko',
    ]);
  });

  it('may be missing only when optional or built in', () => {
    expect(() => selectModules(table, ['nvme'], new Set(), [])).toThrow('no module "nvme"');
    expect(selectModules(table, ['nvme'], new Set(['nvme']), [])).toEqual([]);
    expect(selectModules(table, ['nvme'], new Set(), ['kernel/drivers/nvme/host/nvme.ko'])).toEqual([]);
  });

  it('are loaded after what they depend on', () => {
    expect(loadOrder(table, ['virtio_pci', 'ext4', 'unknown'])).toEqual([
      'kernel/drivers/virtio/virtio_ring.ko',
      'kernel/drivers/virtio/virtio.ko',
      'kernel/drivers/virtio/virtio_pci.ko',
      'kernel/fs/jbd2/jbd2.ko',
      'kernel/fs/ext4/ext4.ko',
    ]);
  });
});

describe('programs', () => {
  it('tell which libraries they need, and run without their symbols', async () => {
    const node = await readFile(process.execPath);
    const linkage = readLinkage(node);
    expect(linkage.interpreter).toMatch(/ld-linux/);
    expect(linkage.needed).toContain('libc.so.6');
    expect(readLinkage(Buffer.from('#!/bin/sh\n'))).toEqual({ needed: [] });
    const program = join(root, 'true');
    const original = await readFile('/bin/true');
    await writeFile(program, withoutSymbols(original), { mode: 0o755 });
    execFileSync(program);
    expect(withoutSymbols(original).length).toBeLessThan(original.length);
    expect(withoutSymbols(Buffer.from('no program')).toString()).toBe('no program');
    expect(readLinkage(original.subarray(0, 100)).needed).toEqual([]);
  });
});

describe('the agent in the ramdisk', () => {
  it('is copied with what it imports, without types, and runs', async () => {
    const source = join(root, 'source');
    await mkdir(join(source, 'services/agent'), { recursive: true });
    await mkdir(join(source, 'services/ipa'), { recursive: true });
    await writeFile(
      join(source, 'services/agent/main.ts'),
      `import type { Word } from './types.ts';\nimport { say } from '../ipa/say.ts';\nconst w: Word = 'ok';\nsay(w);\n`,
    );
    await writeFile(join(source, 'services/agent/types.ts'), `export type Word = string;\n`);
    await writeFile(
      join(source, 'services/ipa/say.ts'),
      `import { EOL } from 'node:os';\nexport const say = (w: string): boolean => process.stdout.write(w + EOL);\n`,
    );
    const target = join(root, 'target');
    expect(await copySources(source, 'services/agent/main.ts', target)).toEqual([
      'services/agent/main.ts',
      'services/ipa/say.ts',
    ]);
    expect(execFileSync(process.execPath, [join(target, 'services/agent/main.js')], { encoding: 'utf8' })).toBe('ok\n');
    await writeFile(join(source, 'services/ipa/say.ts'), `import pino from 'pino';\nexport const say = pino;\n`);
    await expect(copySources(source, 'services/agent/main.ts', target)).rejects.toThrow(
      'services/ipa/say.ts imports "pino"',
    );
    await expect(copySources(source, 'services/agent/none.ts', target)).rejects.toThrow(
      'services/agent/none.ts cannot be read',
    );
  });

  it('follows workers as well as imports', () => {
    expect(
      stripSource(`new Worker(new URL('./work.ts', import.meta.url)); import("../x.ts"); const y = 'plain.ts';`),
    ).toBe(`new Worker(new URL('./work.js', import.meta.url)); import("../x.js"); const y = 'plain.ts';`);
  });

  it('has two profiles; others are refused by name', async () => {
    expect((await loadProfile('lab')).limitMb).toBe(60);
    expect((await loadProfile('hardware')).limitMb).toBe(120);
    await expect(loadProfile('tiny')).rejects.toThrow('There are: hardware, lab.');
  });
});
