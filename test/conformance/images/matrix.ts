/** Combinations of diskimage-builder's own elements, built by both builders: trees, packages and enabled units compared, and our image booted. */
import { execFileSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePackages } from '../../../bootstrap/packages.ts';
import { type BootResult, testImage } from '../../../services/builder/index.ts';
import type { Matrix } from '../main.ts';
import { buildBoth, type Combination } from './build-both.ts';

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
  { name: 'efi', elements: ['debian-minimal', 'vm', 'block-device-efi'] },
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
      'stable-interface-names',
      'journal-to-console',
    ],
    environment: { DIB_MODPROBE_BLACKLIST: 'usb-storage' },
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
  { name: 'dracut', elements: ['debian-minimal', 'vm', 'dracut-regenerate'], packages: ['dracut'] },
];

export const matrix: Matrix = async (only, report) => {
  await ensurePackages(['images', 'elements', 'lab', 'tests'], (line) => console.error(line));
  const cache = process.env.UNDERCLOUD_TEST_CACHE ?? '/var/tmp/undercloud-test-cache';
  const chosen = COMBINATIONS.filter(({ name }) => only.length === 0 || only.includes(name));
  for (const combination of chosen) {
    try {
      const both = await buildBoth(combination, cache, ['raw']);
      const boot = (raw: string): Promise<BootResult> =>
        testImage({
          directory: both.ours.directory,
          raw,
          cache: join(cache, 'builder'),
          how: 'nspawn',
          timeoutSeconds: 180,
        });
      const boots = {
        ours: await boot(both.ours.files.find((file) => file.endsWith('.raw'))!),
        'diskimage-builder’s': await boot(both.peerTree),
      };
      const started = Object.entries(boots).map(([whose, { passed, seconds }]) =>
        passed ? `${whose} up in ${seconds.toFixed(1)} s` : `${whose} NOT UP`,
      );
      const passed =
        both.unexplained.length === 0 && both.packages.length === 0 && both.units.length === 0 && boots.ours.passed;
      report({
        name: `${combination.name}: ${combination.elements.join(' ')}`,
        passed,
        details: [
          `${both.ours.manifest.packages.length} packages, ${both.packages.length} differ; ${both.units.length} enabled units differ; ${both.unexplained.length} unexplained differences; ${started.join(', ')}`,
          ...both.unexplained.slice(0, 40),
          ...both.packages.slice(0, 20),
          ...both.units.slice(0, 20),
          ...Object.entries(boots).flatMap(([whose, { checks }]) =>
            checks.filter((check) => !check.passed).map((check) => `${whose}: ${check.name}: ${check.output}`),
          ),
          ...[...both.explained].map(([reason, count]) => `explained, ${count} times: ${reason}`),
        ],
      });
    } catch (error) {
      report({ name: combination.name, passed: false, details: (error as Error).message.split('\n').slice(0, 20) });
    }
  }
};
