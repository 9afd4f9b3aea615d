import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ramdiskFiles } from './index.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ramdisk-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("the ramdisk's files", () => {
  it('start by themselves, without this repository and its packages', async () => {
    const files = await ramdiskFiles();
    for (const { path: name, content } of files) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
      writeFileSync(path.join(folder, name), content);
      expect([name, content.match(/\bfrom '(?!node:|\.{1,2}\/[a-z0-9/-]+\.js')[^']*'/g)]).toEqual([name, null]);
    }
    const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(folder, 'agent/main.js')], {
      encoding: 'utf8',
      cwd: folder,
    });
    // This machine was not booted as a ramdisk, and the agent says so.
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: expect.stringContaining('hold no ipa-api-url'),
      stderr: '',
    });
  });
});
