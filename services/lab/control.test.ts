import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { askOwner, openControl } from './control.ts';

let directory: string;
let path: string;
let server: Server | undefined;
let heard: string[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'uc-lab-control-'));
  path = join(directory, 'control.sock');
  heard = [];
});
afterEach(() => {
  server?.close();
  rmSync(directory, { recursive: true, force: true });
});

const open = async () => {
  server = await openControl(path, async (words) => {
    heard.push(words.join(' '));
    if (words.includes('never')) return new Promise(() => {});
    if (words.includes('refuse')) throw new Error('it cannot\nbe done');
  });
};

test('a question gets ok, or the reason on one line', async () => {
  await open();
  expect(await askOwner(path, 'ping', 5_000)).toBe(true);
  await expect(askOwner(path, 'refuse', 5_000)).rejects.toThrow('it cannot be done');
  await expect(askOwner(path, 'never', 20)).rejects.toThrow(/does not answer 'never'/);
});

test('nobody there is an answer too', async () => {
  expect(await askOwner(path, 'ping', 5_000)).toBe(false);
  writeFileSync(path, '');
  expect(await askOwner(path, 'ping', 5_000)).toBe(false);
});

test('a client that goes without waiting does no harm', async () => {
  await open();
  await new Promise<void>((resolve) => {
    const client = connect(path, () => {
      // Closing with the answer still to come makes the other end's next write fail.
      client.write('ping\nnever\n', () => client.destroy());
    });
    client.on('error', () => {});
    client.on('close', () => resolve());
  });
  expect(await askOwner(path, 'ping', 5_000)).toBe(true);
});

describe("the BMCs' hook", () => {
  const hook = (...words: string[]): Promise<{ code: number; text: string }> =>
    new Promise((resolve) => {
      execFile('sh', [join(directory, 'chassis'), ...words], (failed, text) => resolve({ code: failed ? 1 : 0, text }));
    });
  beforeEach(() => {
    copyFileSync(fileURLToPath(new URL('chassis.sh', import.meta.url)), join(directory, 'chassis'));
    chmodSync(join(directory, 'chassis'), 0o700);
  });

  test('answers polls from the file alone, and a vanished process is off', async () => {
    writeFileSync(join(directory, 'node-1.chassis'), `${process.pid} pxe\n`);
    expect(await hook('node-1', 'get', 'power', 'boot')).toEqual({ code: 0, text: 'power:1\nboot:pxe\n' });
    writeFileSync(join(directory, 'node-1.chassis'), '999999999 default\n');
    expect(await hook('node-1', 'get', 'power', 'boot')).toEqual({ code: 0, text: 'power:0\nboot:default\n' });
    writeFileSync(join(directory, 'node-1.chassis'), '0 default\n');
    expect((await hook('node-1', 'get', 'power')).text).toBe('power:0\n');
    expect((await hook('node-1', 'get', 'moon')).code).toBe(1);
    expect((await hook('node-9', 'get', 'power')).code).toBe(1);
  });

  test('passes settings on and fails when they are refused or nobody is there', async () => {
    expect((await hook('node-1', 'set', 'power', '1')).code).toBe(1);
    await open();
    expect((await hook('node-1', 'set', 'identify', '15 0')).code).toBe(0);
    expect(heard).toEqual(['node-1 set identify 15 0']);
    expect(await hook('node-1', 'set', 'refuse', '1')).toEqual({ code: 1, text: 'error it cannot be done\n' });
  });
});
