import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { everInstalled, listPackages } from './listed.ts';

it('knows what was removed or upgraded on the way, within a step too', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'uc-listed-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const layer = (name: string, files: Record<string, string>) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(directory, name, path, '..'), { recursive: true });
      writeFileSync(join(directory, name, path), text);
    }
    return join(directory, name);
  };
  const stanza = (name: string, version: string, status = 'install ok installed') =>
    `Package: ${name}\nStatus: ${status}\nArchitecture: amd64\nVersion: ${version}\n`;
  const layers = [
    layer('base', {
      // As dpkg writes it: a trigger makes a package “installed” once more.
      'var/log/dpkg.log': [
        '2026-11-21 12:00:00 startup archives install',
        '2026-11-21 12:00:00 install liblzma5:amd64 <none> 5.4.1-1',
        '2026-11-21 12:00:00 status half-configured liblzma5:amd64 5.4.1-1',
        '2026-11-21 12:00:01 status installed liblzma5:amd64 5.4.1-1',
        '2026-11-21 12:00:02 upgrade liblzma5:amd64 5.4.1-1 5.4.1-1+deb12u2',
        '2026-11-21 12:00:03 status installed liblzma5:amd64 5.4.1-1+deb12u2',
        '2026-11-21 12:00:03 status installed libc-bin:amd64 2.36-9',
        '2026-11-21 12:00:04 status installed libc-bin:amd64 2.36-9',
        '',
      ].join('\n'),
      'var/lib/dpkg/status': `${stanza('liblzma5', '5.4.1-1+deb12u2')}\n${stanza('libc-bin', '2.36-9')}`,
    }),
    layer('tools', {
      'var/lib/dpkg/status': `${stanza('gcc', '12')}\n${stanza('old', '1', 'deinstall ok config-files')}`,
    }),
    layer('files', { 'etc/motd': 'hello\n' }),
  ];
  expect((await everInstalled(layers)).map(({ name, version }) => `${name} ${version}`)).toEqual([
    'gcc 12',
    'libc-bin 2.36-9',
    'liblzma5 5.4.1-1+deb12u2',
    'liblzma5 5.4.1-1',
  ]);
});

it('finds a package that two suites have in the release’s own', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'uc-listed-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'lists'));
  const stanza = (name: string, place: string) =>
    `Package: ${name}\nVersion: 1\nArchitecture: amd64\nFilename: pool/${place}/${name}_1_amd64.deb`;
  const list = (suite: string, ...stanzas: string[]) =>
    writeFileSync(
      join(directory, 'lists', `deb.example.com_debian_dists_${suite}_main_binary-amd64_Packages`),
      `${stanzas.join('\n\n')}\n\n`,
    );
  list('bookworm', stanza('both', 'main'), stanza('base', 'main'));
  list('bookworm-security', stanza('both', 'updates'), stanza('mended', 'updates'));
  list('a-before-all', stanza('both', 'first'));
  const packages = ['base', 'both', 'mended'].map((name) => ({ name, version: '1', architecture: 'amd64' }));
  const found = await listPackages(directory, packages);
  expect(Object.entries(found).map(([file, { suite }]) => [file, suite])).toEqual([
    ['base_1_amd64.deb', 'bookworm'],
    ['both_1_amd64.deb', 'bookworm'],
    ['mended_1_amd64.deb', 'bookworm-security'],
  ]);
  expect(found['both_1_amd64.deb']?.stanza).toContain('pool/main/both');
});
