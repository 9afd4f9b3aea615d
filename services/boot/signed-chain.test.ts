import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { isRefusal } from '../tftp/index.ts';
import type { Ladder } from './ladder.ts';
import type { Wish } from './model.ts';
import { createSignedChain } from './signed-chain.ts';

const wish = (more: Partial<Wish>): Wish => ({
  mac: '52:54:00:aa:00:01',
  node: { uuid: 'u', name: 'node-1' },
  name: "node-1'; reboot",
  intent: 'agent',
  reason: 'deploying',
  token: 'tok',
  agentArguments: {},
  model: 'm',
  secureBoot: true,
  ...more,
});

function chain(mine: Wish | null) {
  const dir = mkdtempSync(join(tmpdir(), 'uc-chain-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, 'ramdisk'));
  for (const [name, text] of [
    ['shimx64.efi', 'shim'],
    ['ramdisk/kernel', 'a kernel'],
    ['ramdisk/ramdisk', 'a ramdisk'],
  ])
    writeFileSync(join(dir, name ?? ''), text ?? '');
  const arrived: string[] = [];
  const open = createSignedChain({
    bootDir: dir,
    ramdiskDir: async () => join(dir, 'ramdisk'),
    tftpServer: '192.0.2.1',
    ladder: { arrived: (mac) => void arrived.push(mac) } as Ladder,
    wishAt: async () => mine,
    trust: Buffer.from('the CA'),
    argumentsOf: () => [
      ['quiet', null],
      ['ipa-note', "it's two words"],
    ],
  });
  const read = async (path: string): Promise<string> => {
    const content = await open(path, { address: '192.0.2.5', port: 1 });
    if (isRefusal(content)) return `refused: ${content.message}`;
    const bytes = Buffer.alloc(content.size);
    await content.read(bytes, 0);
    content.close();
    return bytes.toString();
  };
  return { read, arrived };
}

it('gives each machine its own GRUB configuration, and what it names', async () => {
  const { read, arrived } = chain(wish({}));
  const config = await read('/grub/grub.cfg');
  expect(config).toContain("\nlinux (tftp,192.0.2.1)/boot/tok/kernel 'quiet' 'ipa-note=it s two words'\n");
  expect(config).toContain('\ninitrd (tftp,192.0.2.1)/boot/tok/trust.cpio (tftp,192.0.2.1)/boot/tok/ramdisk\n');
  // A name is words on the console and no command.
  expect(config).toContain("\necho 'Undercloud: node-1 ; reboot starts the deploy ramdisk (deploying)'\n");
  expect(arrived).toEqual(['52:54:00:aa:00:01']);
  expect(await read('boot/tok/kernel')).toBe('a kernel');
  expect(await read('//boot/tok/trust.cpio')).toBe('the CA');
  expect(await read('boot/tok/ramdisk')).toBe('a ramdisk');
  expect(await read('//shimx64.efi')).toBe('shim');
});

it('gives a token’s files to its machine alone, and no other file', async () => {
  const { read } = chain(wish({}));
  for (const path of [
    'boot/other/kernel',
    'boot/tok/secret',
    'boot/tok',
    '../etc/passwd',
    'boot/tok/../../x',
    'grub/x.cfg',
  ])
    expect(await read(path)).toMatch(/^refused: /);
  expect(await chain(null).read('boot/tok/kernel')).toMatch(/^refused: no machine with this address/);
});

it('leads to the disk, or says why there is nothing to boot', async () => {
  expect(await chain(wish({ intent: 'disk' })).read('grub/grub.cfg')).toContain(
    'chainloader /EFI/BOOT/BOOTX64.EFI\nboot\n',
  );
  expect(await chain(wish({ intent: 'none', reason: "it's at rest" })).read('grub/grub.cfg')).toContain(
    "echo 'Undercloud: nothing to boot: it s at rest'\nexit\n",
  );
});
