import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hookEnvironment } from './environment.ts';
import { elementMirrors, type Host, hostMirrors, parseSourcesConf } from './host-apt.ts';
import { checkMirror, chooseMirrors, keyringsOf, probeMirror } from './mirrors.ts';
import type { Element } from './resolve.ts';

const stanza = (release: string, uri: string) => ({
  origin: 'Debian',
  component: 'main',
  release,
  'repo-uri': uri,
  'signed-by': '/usr/share/keyrings/debian-archive-keyring.gpg',
});
const host: Host = {
  distribution: 'debian',
  codename: 'bookworm',
  architecture: 'amd64',
  stanzas: [
    stanza('bookworm', 'http://mirror.example.org/debian/'),
    stanza('bookworm-updates', 'http://mirror.example.org/debian/'),
    stanza('bookworm-security', 'http://mirror.example.org/debian-security/'),
  ],
  options: [],
};
const lines = ({ sources }: { sources: readonly { uri: string; suite: string; components: string[] }[] }) =>
  sources.map(({ uri, suite, components }) => [uri, suite, ...components].join(' '));

let root: string;
const element = async (name: string, environment?: string): Promise<Element> => {
  const path = join(root, name);
  await mkdir(join(path, 'environment.d'), { recursive: true });
  if (environment !== undefined) await writeFile(join(path, 'environment.d/10-name.bash'), environment);
  return { name, path, dependencies: [], provides: [] };
};
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'mirrors-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('mirrors of the host’s own distribution', () => {
  it('are the host’s', () => {
    const apt = hostMirrors(host, {});
    expect(apt).toMatchObject({ distribution: 'debian', release: 'bookworm', architecture: 'amd64', origin: 'host' });
    expect(lines(apt)).toEqual([
      'http://mirror.example.org/debian/ bookworm main',
      'http://mirror.example.org/debian/ bookworm-updates main',
      'http://mirror.example.org/debian-security/ bookworm-security main',
    ]);
  });

  it('are the caller’s where one is named; the security suite has a mirror of its own', () => {
    const apt = hostMirrors(host, {
      DIB_DISTRIBUTION_MIRROR: 'http://10.0.0.1/debian',
      DIB_DEBIAN_COMPONENTS: 'main,contrib',
    });
    expect(apt.origin).toBe('caller');
    expect(lines(apt)).toEqual([
      'http://10.0.0.1/debian bookworm main contrib',
      'http://10.0.0.1/debian bookworm-updates main contrib',
      'http://mirror.example.org/debian-security/ bookworm-security main contrib',
    ]);
  });

  it('hold another release than the host’s', () => {
    const apt = hostMirrors(host, { DIB_RELEASE: 'trixie' });
    expect(apt).toMatchObject({ release: 'trixie', origin: 'caller' });
    expect(lines(apt)).toEqual([
      'http://mirror.example.org/debian/ trixie main',
      'http://mirror.example.org/debian/ trixie-updates main',
      'http://mirror.example.org/debian-security/ trixie-security main',
    ]);
  });

  it('are those of DIB_APT_SOURCES_CONF, the release’s own first', () => {
    const conf = [
      'security:deb [arch=amd64 signed-by=/etc/keys.gpg] http://10.0.0.1/security bookworm-security main',
      'default:deb http://10.0.0.1/debian bookworm main contrib',
      'broken line',
      '',
    ].join('\n');
    expect(parseSourcesConf(conf, 'bookworm')).toEqual([
      { uri: 'http://10.0.0.1/debian', suite: 'bookworm', components: ['main', 'contrib'] },
      {
        uri: 'http://10.0.0.1/security',
        suite: 'bookworm-security',
        components: ['main'],
        signedBy: '/etc/keys.gpg',
      },
    ]);
    expect(hostMirrors(host, { DIB_APT_SOURCES_CONF: conf }).sources[0]?.uri).toBe('http://10.0.0.1/debian');
  });

  it('are refused when nobody names any', () => {
    expect(() => hostMirrors({ ...host, stanzas: [] }, {})).toThrow(
      /knows no mirror of Debian "bookworm".*DIB_DISTRIBUTION_MIRROR/,
    );
    expect(() => hostMirrors({ ...host, codename: '' }, {})).toThrow(/set DIB_RELEASE/);
    expect(lines(hostMirrors({ ...host, stanzas: [] }, { DIB_DISTRIBUTION_MIRROR: 'http://10.0.0.1/debian' }))).toEqual(
      ['http://10.0.0.1/debian bookworm main'],
    );
  });
});

describe('mirrors of another distribution', () => {
  it('are what the elements say, and nothing of the host’s is set before them', () => {
    const apt = elementMirrors(
      host,
      {
        DISTRO_NAME: 'ubuntu',
        DIB_RELEASE: 'jammy',
        DIB_DISTRIBUTION_MIRROR: 'http://archive.example.com/ubuntu',
        DIB_DEBIAN_COMPONENTS: 'main,universe',
        DIB_UBUNTU_MIRROR_DISTS: 'updates,security',
      },
      true,
    );
    expect(apt).toMatchObject({ distribution: 'ubuntu', release: 'jammy', origin: 'elements' });
    expect(lines(apt)).toEqual([
      'http://archive.example.com/ubuntu jammy main universe',
      'http://archive.example.com/ubuntu jammy-updates main universe',
      'http://archive.example.com/ubuntu jammy-security main universe',
    ]);
    const places = { build: '/b', hooks: '/h', mount: '/m', cache: '/c', library: '/l' };
    const definition = { name: 'x', elements: [], packages: [], environment: {}, types: [], espMib: 64 };
    const environment = hookEnvironment(definition, [], [], apt, places, 0);
    expect(environment).not.toHaveProperty('DIB_RELEASE');
    expect(environment).not.toHaveProperty('DIB_DISTRIBUTION_MIRROR');
    expect(environment).not.toHaveProperty('DIB_APT_SOURCES_CONF');
    expect(hookEnvironment(definition, [], [], hostMirrors(host, {}), places, 0)).toMatchObject({
      DIB_RELEASE: 'bookworm',
      DIB_DISTRIBUTION_MIRROR: 'http://mirror.example.org/debian/',
    });
  });

  it('name no suites where debootstrap is not what fetches', () => {
    expect(elementMirrors(host, { DISTRO_NAME: 'centos', DIB_RELEASE: '7' }, false)).toMatchObject({
      distribution: 'centos',
      release: '7',
      sources: [],
    });
  });

  it('are asked for only when an element names another distribution', async () => {
    const asking = { host, environment: {}, architecture: 'amd64', cache: root };
    const start = (): never => {
      throw new Error('environment.d was to be run');
    };
    const own = [
      await element('one', 'export DISTRO_NAME=debian\n'),
      await element('two', `X=\${DISTRO_NAME:-none}\n`),
    ];
    expect((await chooseMirrors({ ...asking, elements: own, start })).origin).toBe('host');
    const strange = [await element('three', `export DISTRO_NAME=\${DISTRO_NAME:-ubuntu}\n`)];
    await expect(chooseMirrors({ ...asking, elements: strange, start })).rejects.toThrow('was to be run');
  });
});

describe('a mirror that is asked before a build', () => {
  const apt = hostMirrors(host, { DIB_DISTRIBUTION_MIRROR: 'http://127.0.0.1:1/debian' });

  it('is refused by its name when it does not answer', async () => {
    await expect(checkMirror(apt, [], {}, root)).rejects.toThrow(
      /The mirror http:\/\/127\.0\.0\.1:1\/debian does not give debian "bookworm".*Could not connect.*set DIB_DISTRIBUTION_MIRROR/,
    );
    await checkMirror(apt, [], { DIB_OFFLINE: '1' }, root);
  });

  it('is one that has the release’s list', async () => {
    await mkdir(join(root, 'mirror/dists/jammy'), { recursive: true });
    await writeFile(join(root, 'mirror/dists/jammy/Release'), 'Suite: jammy\n');
    expect(await probeMirror(`file://${root}/mirror`, 'jammy', root)).toBeUndefined();
    expect(await probeMirror(`file://${root}/mirror/`, 'noble', root)).toMatch(/File not found|noble/);
  });

  it('is not used without the keys that its release is signed with, unless told to', async () => {
    const debootstrap = [await element('debootstrap')];
    const script = join(root, 'script');
    await writeFile(script, 'case $X in\n  y)\n\tkeyring /nowhere/old.gpg\n  ;;\nesac\n  keyring /nowhere/keys.gpg\n');
    expect(keyringsOf('keyring /a.gpg\n keyring /b.gpg\n# keyring /c.gpg\nkeyring /a.gpg\n')).toEqual([
      '/a.gpg',
      '/b.gpg',
    ]);
    const own = hostMirrors(host, {});
    const settled = { DIB_DEBIAN_DEBOOTSTRAP_SCRIPT: script };
    await expect(checkMirror(own, debootstrap, settled, root)).rejects.toThrow(
      /keys that debian "bookworm" is signed with.*\/nowhere\/keys\.gpg.*DIB_APT_KEYRING.*--no-check-gpg/,
    );
    await checkMirror(own, debootstrap, { ...settled, DIB_APT_KEYRING: script }, root);
    await checkMirror(own, debootstrap, { ...settled, DIB_DEBOOTSTRAP_EXTRA_ARGS: '--no-check-gpg' }, root);
    await expect(
      checkMirror(own, debootstrap, { DIB_DEBIAN_DEBOOTSTRAP_SCRIPT: '/nowhere/script' }, root),
    ).rejects.toThrow(/debootstrap has no script for debian "bookworm"/);
  });
});
