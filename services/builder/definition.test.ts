import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadDefinition, loadDefinitions, readDefinition } from './definition.ts';
import { parseStanzas, sourcesOf } from './host-apt.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'definition-'));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('image definitions', () => {
  it('ships lab and debian', async () => {
    expect((await loadDefinition('lab')).elements).toContain('configuration-agent');
    expect((await loadDefinition('debian')).elements).toContain('slim-cloud-init');
  });

  it('fills in what is not said', () => {
    const definition = readDefinition(
      { imagename: 'x', elements: 'a b', environment: { DIB_N: 5, DIB_EMPTY: null } },
      'x.yaml',
    );
    expect(definition).toEqual({
      base: false,
      name: 'x',
      elements: ['a', 'b'],
      packages: [],
      environment: { DIB_N: '5', DIB_EMPTY: '' },
      types: ['chunks'],
      spareMib: 128,
      espMib: 64,
    });
  });

  it("reads diskimage-builder's own files: entries of one name are one image, whose result lies where it would lie", async () => {
    const path = join(root, 'dib.yaml');
    await writeFile(
      path,
      `- imagename: out/one
  arch: x86_64
  debug-trace: 2
  elements: [debian-minimal]
  types: [qcow2, tar]
  environment: {DIB_RELEASE: bookworm, DIB_N: 1}
  qemu-img-options: {cluster_size: 2M, compat: '1.1'}
  image-size: 3
- elements: [vm]
  environment: {DIB_N: 2}
  image-size: 4
- imagename: two
  elements: [debian-minimal]
  skip-base: true
`,
    );
    expect(await loadDefinitions(path)).toEqual([
      {
        name: 'one',
        output: 'out/one',
        architecture: 'amd64',
        elements: ['debian-minimal', 'vm'],
        packages: [],
        environment: { DIB_RELEASE: 'bookworm', DIB_N: '2', DIB_DEBUG_TRACE: '2' },
        types: ['qcow2', 'tar'],
        qemuOptions: 'cluster_size=2M,compat=1.1',
        imageGb: 4,
        espMib: 64,
        base: true,
      },
      {
        name: 'two',
        output: 'two',
        elements: ['debian-minimal'],
        packages: [],
        environment: {},
        types: ['qcow2'],
        espMib: 64,
        base: false,
      },
    ]);
  });

  it("reads TripleO's disk_images, whose later entries add to an image", async () => {
    const path = join(root, 'tripleo.yaml');
    await writeFile(
      path,
      `disk_images:
  - imagename: overcloud-full
    type: qcow2
    elements: [debian-minimal, vm]
    packages: [openssh-server]
    options: ["--min-tmpfs=5"]
  - imagename: overcloud-full
    elements: [dynamic-login]
    packages: [lvm2]
    options: ["--image-size 3"]
`,
    );
    expect(await loadDefinition(path)).toMatchObject({
      name: 'overcloud-full',
      output: 'overcloud-full',
      elements: ['debian-minimal', 'vm', 'dynamic-login'],
      packages: ['openssh-server', 'lvm2'],
      types: ['qcow2'],
      imageGb: 3,
      base: true,
    });
  });

  it('refuses bad input with the place and the value', async () => {
    const read = (entry: unknown) => () => readDefinition(entry, 'x.yaml');
    expect(read('lab')).toThrow('x.yaml: an image is a map');
    expect(read({ imagename: '../etc', elements: ['a'] })).toThrow('"imagename" is "../etc"');
    expect(read({ imagename: 'x' })).toThrow('lists no elements');
    expect(read({ imagename: 'x', elements: ['a'], types: ['floppy'] })).toThrow('asks for type "floppy"');
    expect(read({ imagename: 'x', elements: ['a'], speling: 1 })).toThrow('unknown field "speling"');
    expect(read({ imagename: 'x', elements: ['a'], 'spare-mib': -4 })).toThrow('"spare-mib" is -4');
    expect(read({ imagename: 'x', elements: ['a'], environment: { 'A B': 1 } })).toThrow('"A B" in the environment');
    await expect(loadDefinition('nosuch')).rejects.toThrow(/no image "nosuch".*debian\b.*\blab/);
    await expect(loadDefinition('./none.yaml')).rejects.toThrow('cannot be read');
    await writeFile(join(root, 'bad.yaml'), 'a: [');
    await expect(loadDefinition(join(root, 'bad.yaml'))).rejects.toThrow('not valid YAML');
  });
});

describe("the host's apt configuration", () => {
  const text = `MetaKey: main/binary-amd64/Packages
Origin: Debian
Component: main
Release: bookworm
Repo-URI: http://mirror.example.org/debian/
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Origin: Debian
Component: contrib
Release: bookworm
Repo-URI: http://mirror.example.org/debian/

Origin: Debian
Component: main
Release: bookworm-security
Repo-URI: http://mirror.example.org/debian-security/

Origin: Stranger
Component: main
Release: bookworm
Repo-URI: https://packages.example.com/apt/

Origin: Debian
Component: main
Release: trixie
Repo-URI: http://mirror.example.org/debian/
`;

  it("gives the release's own sources, without strangers who use its name", () => {
    expect(sourcesOf(parseStanzas(text), 'bookworm')).toEqual([
      {
        uri: 'http://mirror.example.org/debian/',
        suite: 'bookworm',
        components: ['main', 'contrib'],
        signedBy: '/usr/share/keyrings/debian-archive-keyring.gpg',
      },
      { uri: 'http://mirror.example.org/debian-security/', suite: 'bookworm-security', components: ['main'] },
    ]);
    expect(sourcesOf(parseStanzas(text), 'sid')).toEqual([]);
  });
});
