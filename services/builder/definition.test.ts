import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadDefinition, readDefinition } from './definition.ts';
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
