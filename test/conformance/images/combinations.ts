/** The element combinations that both builders build. */
import { execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Combination } from './build-both.ts';

/** An element with a source repository, and the repository, on this machine. */
async function sourceRepository(
  directory: string,
): Promise<{ environment: Record<string, string>; elementsPath: string[] }> {
  await rm(directory, { recursive: true, force: true });
  const repository = join(directory, 'repository');
  const element = join(directory, 'elements/from-source');
  await mkdir(repository, { recursive: true });
  await mkdir(join(element, 'install.d/from-source-source-install'), { recursive: true });
  const environment = { ...process.env, GIT_AUTHOR_DATE: '1760000000 +0000', GIT_COMMITTER_DATE: '1760000000 +0000' };
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@example.com', '-C', repository, ...args], {
      env: environment,
      stdio: 'ignore',
    });
  git('init', '-q', '-b', 'master');
  await writeFile(join(repository, 'hello'), '#!/bin/sh\necho hello from source\n', { mode: 0o755 });
  git('add', '.');
  git('commit', '-qm', 'One file');
  await writeFile(join(element, 'element-deps'), 'source-repositories\ninstall-types\n');
  await writeFile(join(element, 'source-repository-hello'), `hello git /opt/hello file://${repository}\n`);
  await writeFile(
    join(element, 'install.d/from-source-source-install/60-hello'),
    '#!/bin/bash\nset -eu\ninstall -m 755 /opt/hello/hello /usr/local/bin/hello\n',
    { mode: 0o755 },
  );
  return { environment: {}, elementsPath: [join(directory, 'elements')] };
}

/** Packages by every key of package-installs, under names that pkg-map turns into Debian's. */
async function mappedPackages(directory: string): Promise<{ elementsPath: string[] }> {
  await rm(directory, { recursive: true, force: true });
  const element = join(directory, 'elements/mapped');
  await mkdir(join(element, 'environment.d'), { recursive: true });
  await writeFile(join(element, 'element-deps'), 'package-installs\npkg-map\n');
  await writeFile(join(element, 'environment.d/10-mapped.bash'), 'export MAPPED_EXTRA=1\n');
  await writeFile(
    join(element, 'package-installs.yaml'),
    [
      'pager:',
      'early:\n  phase: pre-install.d',
      'figlet:\n  phase: post-install.d',
      'lister:\n  when: MAPPED_EXTRA = 1',
      'bc:\n  when: MAPPED_EXTRA != 1',
      'dc:\n  build-only: True',
      'nano:\n  arch: ppc64',
      'ed:\n  not-arch: ppc64, ppc64le',
      'hello:\n  installtype: package',
      'time:\n  - arch: arm64\n  - arch: amd64\n    when: MAPPED_EXTRA = 1',
      '',
    ].join('\n'),
  );
  const map = {
    release: { debian: { bookworm: { early: 'cpio' } } },
    distro: { debian: { lister: 'tree lsof' } },
    family: { debian: { pager: 'less' }, redhat: { pager: 'more' } },
    default: { early: 'nothing', lister: 'nothing' },
  };
  await writeFile(join(element, 'pkg-map'), JSON.stringify(map));
  return { elementsPath: [join(directory, 'elements')] };
}

export const COMBINATIONS: readonly Combination[] = [
  { name: 'debian-minimal-vm', elements: ['debian-minimal', 'vm'] },
  { name: 'efi', elements: ['debian-minimal', 'vm', 'block-device-efi'], firmware: 'uefi' },
  {
    name: 'cloud',
    elements: ['debian-minimal', 'vm', 'cloud-init', 'cloud-init-datasources', 'growroot', 'openssh-server'],
    environment: { DIB_CLOUD_INIT_DATASOURCES: 'ConfigDrive, OpenStack' },
  },
  {
    name: 'users-and-network',
    elements: ['debian-minimal', 'vm', 'dhcp-all-interfaces', 'devuser'],
    environment: { DIB_DEV_USER_USERNAME: 'dev', DIB_DEV_USER_PWDLESS_SUDO: 'yes', DIB_DEV_USER_PASSWORD: 'secret' },
    packages: ['less', 'tree'],
  },
  { name: 'from-source', elements: ['debian-minimal', 'vm', 'from-source'], prepare: sourceRepository },
  {
    name: 'settings',
    elements: [
      'debian-minimal',
      'vm',
      'sysctl',
      'modprobe',
      'runtime-ssh-host-keys',
      'journal-to-console',
      'disable-nouveau',
      'dynamic-login',
      'enable-serial-console',
    ],
    environment: { DIB_MODPROBE_BLACKLIST: 'usb-storage' },
    firmware: 'bios',
  },
  {
    name: 'together',
    elements: [
      'debian-minimal',
      'vm',
      'cloud-init',
      'cloud-init-datasources',
      'growroot',
      'openssh-server',
      'dhcp-all-interfaces',
      'devuser',
      'sysctl',
      'modprobe',
      'journal-to-console',
      'mapped',
      'from-source',
    ],
    environment: {
      DIB_CLOUD_INIT_DATASOURCES: 'ConfigDrive, OpenStack',
      DIB_DEV_USER_USERNAME: 'dev',
      DIB_DEV_USER_PWDLESS_SUDO: 'yes',
      DIB_MODPROBE_BLACKLIST: 'usb-storage',
    },
    prepare: async (directory) => {
      const [source, mapped] = [
        await sourceRepository(join(directory, 'source')),
        await mappedPackages(join(directory, 'mapped')),
      ];
      return { elementsPath: [...source.elementsPath, ...mapped.elementsPath] };
    },
  },
  { name: 'mapped-packages', elements: ['debian-minimal', 'vm', 'mapped'], prepare: mappedPackages },
  {
    name: 'dracut',
    elements: ['debian-minimal', 'vm', 'dracut-regenerate'],
    // Its script needs python3-yaml, which its own list names only for this install type in an image with dib-python.
    environment: { DIB_INSTALLTYPE_dracut_regenerate: 'package' },
    packages: ['dracut-core', 'python3-yaml'],
  },
  {
    // ubuntu-minimal's own scripts, with what Debian's mirror has for them: another distribution's elements on this host, whose mirrors the caller names.
    name: 'ubuntu-minimal-on-debian',
    elements: ['ubuntu-minimal', 'vm'],
    environment: {
      DIB_RELEASE: 'bookworm',
      DIB_DISTRIBUTION_MIRROR: 'http://deb.debian.org/debian',
      DIB_DEBIAN_COMPONENTS: 'main',
      DIB_UBUNTU_MIRROR_DISTS: 'updates',
      DIB_UBUNTU_KERNEL: 'none',
    },
    packages: ['linux-image-amd64'],
  },
  {
    name: 'ubuntu-minimal',
    elements: ['ubuntu-minimal', 'vm'],
    environment: { DIB_RELEASE: 'jammy', DIB_DISTRIBUTION_MIRROR: 'http://archive.ubuntu.com/ubuntu' },
    keyring: '/usr/share/keyrings/ubuntu-archive-keyring.gpg',
  },
];
