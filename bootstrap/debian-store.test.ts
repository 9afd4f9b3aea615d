import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { hasDebianStore, readParagraphs, readUris, withDebianStore } from './debian-store.ts';

const dir = mkdtempSync(join(tmpdir(), 'uc store '));
afterAll(() => rmSync(dir, { recursive: true }));

describe('a store of Debian packages', () => {
  it('reads what apt would fetch, epochs and plus signs as they are', () => {
    const text = `'http://mirror/pool/g/grub2/grub-common_2.06-13%2bdeb12u1_amd64.deb' grub-common_2.06-13+deb12u1_amd64.deb 2711068 MD5Sum:ab
'http://mirror/pool/q/qemu/qemu-utils_7.2_amd64.deb' qemu-utils_1%3a7.2+dfsg-7_amd64.deb 1 SHA256:cd
Reading package lists...
`;
    expect(readUris(text).map(({ name, version }) => [name, version])).toEqual([
      ['grub-common', '2.06-13+deb12u1'],
      ['qemu-utils', '1:7.2+dfsg-7'],
    ]);
  });

  it('takes of two mirrors’ paragraphs the first, and knows versions apart', () => {
    const paragraphs = readParagraphs(
      'Package: a\nVersion: 1\nSHA256: one\n\nPackage: a\nVersion: 1\nSHA256: two\n\nPackage: a\nVersion: 2\nSHA256: three\n',
    );
    expect([...paragraphs.keys()]).toEqual(['a 1', 'a 2']);
    expect(paragraphs.get('a 1')).toMatch(/one/);
  });

  it('is none unless root wrote its list: packages are installed as root', () => {
    const store = join(dir, 'owned');
    const list = join(store, 'Packages');
    expect(hasDebianStore(store)).toBe(false);
    mkdirSync(store, { mode: 0o755 });
    expect(hasDebianStore(store)).toBe(false);
    writeFileSync(list, '', { mode: 0o644 });
    expect(hasDebianStore(store)).toBe(true);
    chmodSync(list, 0o664);
    expect(hasDebianStore(store)).toBe(false);
    chmodSync(list, 0o644);
    chownSync(list, 65534, 65534);
    expect(hasDebianStore(store)).toBe(false);
    chownSync(list, 0, 0);
    chmodSync(store, 0o777);
    expect(hasDebianStore(store)).toBe(false);
  });

  it('is all that apt sees while it installs from it, and a package that was changed is refused', async () => {
    // A package as small as can be, of our own making.
    const tree = join(dir, 'tree');
    const store = join(dir, 'store with a space');
    mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
    mkdirSync(store);
    const control =
      'Package: undercloud-nothing\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: x\n';
    writeFileSync(join(tree, 'DEBIAN/control'), control);
    const file = join(store, 'undercloud-nothing_1_all.deb');
    execFileSync('dpkg-deb', ['--build', '--root-owner-group', tree, file], { stdio: 'ignore' });
    const [sha256] = execFileSync('sha256sum', [file], { encoding: 'utf8' }).split(' ');
    const { length } = execFileSync('cat', [file]);
    const list = `${control}Filename: ./undercloud-nothing_1_all.deb\nSize: ${length}\nSHA256: ${sha256}\n`;
    writeFileSync(join(store, 'Packages'), list);
    const download = () =>
      withDebianStore(store, async (options) => {
        const seen = execFileSync('apt-cache', ['pkgnames', ...options], { encoding: 'utf8' });
        const cache = join(dir, 'archives');
        mkdirSync(join(cache, 'partial'), { recursive: true });
        const words = [
          'install',
          '--download-only',
          '-y',
          '-o',
          `Dir::Cache::archives=${cache}/`,
          '-o',
          'Debug::NoLocking=1',
        ];
        execFileSync('apt-get', [...words, ...options, 'undercloud-nothing'], { stdio: 'pipe' });
        return seen;
      });
    expect(await download()).toContain('undercloud-nothing');
    writeFileSync(join(store, 'Packages'), list.replace(sha256!, '0'.repeat(64)));
    await expect(download()).rejects.toThrow(/Hash Sum mismatch/i);
  });
});
