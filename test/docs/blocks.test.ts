/**
 * Blocks of shell that a page marks as tested (```sh tested) are run, page by page, against an undercloud without nodes: the
 * real bootstrap in a state directory of its own. A page's `/var/lib/undercloud` and `127.0.0.1:6385` stand for its places.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runDir } from '../../bootstrap/run-dir.ts';
import { pages } from './pages.ts';
import { root } from './reference.ts';

const tested = pages()
  .map(({ path, blocks }) => ({
    path,
    blocks: blocks.filter(({ language, marks }) => language === 'sh' && marks.includes('tested')),
  }))
  .filter(({ blocks }) => blocks.length > 0);

// Below /var/tmp: the service user has to reach it, and a unix socket's path does not depend on it.
const scratch = mkdtempSync('/var/tmp/uc-docs-');
const state = join(scratch, 'state');
const bin = join(scratch, 'bin');
let listen = '';

/** Bootstrap puts links of this checkout there; what was there before comes back. */
const links = ['undercloud', 'overcloud'].map((name) => `/usr/local/bin/${name}`);
const linkAt = (path: string): string | null => {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
};
const before = links.map(linkAt);
const run = promisify(execFile);
const launcher = (name: string): string => join(root, 'bootstrap', name);

beforeAll(async () => {
  chmodSync(scratch, 0o755);
  mkdirSync(bin);
  for (const name of ['undercloud', 'overcloud']) {
    // Where a page needs no --state, the test does.
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${launcher(name)} --state ${state} "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const probe = createServer();
  await new Promise<void>((ready) => probe.listen(0, '127.0.0.1', ready));
  const { port } = probe.address() as { port: number };
  await new Promise((closed) => probe.close(closed));
  listen = `127.0.0.1:${port}`;
  await run(launcher('undercloud'), ['bootstrap', '--state', state, '--listen', listen], { timeout: 300_000 });
}, 300_000);

afterAll(async () => {
  try {
    await run(launcher('undercloud'), ['stop', '--state', state]);
  } finally {
    for (const [index, path] of links.entries()) {
      const was = before[index] ?? null;
      if (linkAt(path) === was) continue;
      if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(path);
      if (was !== null) symlinkSync(was, path);
    }
  }
  for (const dir of [scratch, runDir(state)]) rmSync(dir, { recursive: true, force: true });
});

/** Resolves with the exit code and all that was said. */
function shell(text: string, home: string): Promise<{ code: number; said: string }> {
  const script = text.replaceAll('/var/lib/undercloud', state).replaceAll('127.0.0.1:6385', listen);
  return new Promise((resolve) => {
    const child: ChildProcess = spawn('sh', ['-eu', '-c', script], {
      cwd: home,
      env: { PATH: `${bin}:${process.env.PATH}`, HOME: home, LANG: 'C.UTF-8' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (part) => {
        said += part;
      });
    child.once('close', (code) => resolve({ code: code ?? -1, said }));
  });
}

describe('tested blocks', () => {
  it('are there', () => {
    expect(tested.length).toBeGreaterThan(0);
  });

  for (const { path, blocks } of tested)
    it(`of ${path} do what they say`, async () => {
      // One directory a page: a later block finds what an earlier one wrote.
      const home = mkdtempSync(join(scratch, 'home-'));
      for (const block of blocks) {
        const { code, said } = await shell(block.text, home);
        expect(code, `${path}:${block.line}: ${said}`).toBe(0);
      }
    }, 300_000);
});
