import { describe, expect, it } from 'vitest';
import { planPackages } from './package-installs.ts';

const environment = { ARCH: 'amd64', DISTRO_NAME: 'debian', DIB_RELEASE: 'bookworm', COLOUR: 'red' };
const plan = (text: string, map?: string) =>
  planPackages([{ element: 'thing', text, ...(map === undefined ? {} : { map }) }], environment);

describe('package-installs', () => {
  it('sorts packages by phase, installs by default in install.d', () => {
    const text = `
plain:
early:
  phase: pre-install.d
gone:
  uninstall: true
compiler:
  build-only: true
twice:
  - phase: pre-install.d
  - phase: post-install.d
`;
    expect(plan(text)).toEqual({
      install: { 'install.d': ['plain', 'compiler'], 'pre-install.d': ['early', 'twice'], 'post-install.d': ['twice'] },
      uninstall: { 'install.d': ['gone', 'compiler'] },
    });
  });

  it('keeps to architecture, installtype, python version and when', () => {
    const text = `
here: {arch: "amd64, arm64"}
not-here: {arch: s390x}
elsewhere: {not-arch: "amd64,ppc64"}
from-source: {installtype: source}
from-package: {installtype: package}
py2: {dib_python_version: 2}
red: {when: COLOUR=red}
blue: {when: COLOUR = blue}
not-blue: {when: [COLOUR!=blue, COLOUR=red]}
neither: {when: [COLOUR!=blue, COLOUR!=red]}
`;
    expect(plan(text).install['install.d']).toEqual(['here', 'from-source', 'red', 'not-blue']);
  });

  it('maps names by release, distribution, family and default, in this order, and accepts none', () => {
    const map = JSON.stringify({
      release: { debian: { bookworm: { a: 'a-bookworm' } } },
      distro: { debian: { a: 'a-debian', b: 'b-debian' } },
      family: { debian: { b: 'b-family', c: 'c1 c2' } },
      default: { d: 'd-default', e: '' },
    });
    expect(plan('{a: , b: , c: , d: , e: , f: }', map).install['install.d']).toEqual([
      'a-bookworm',
      'b-debian',
      'c1',
      'c2',
      'd-default',
      'f',
    ]);
  });

  it('reads JSON, and an empty file as nothing', () => {
    expect(plan('{"a": null, "b": {"phase": "post-install.d"}}').install).toEqual({
      'install.d': ['a'],
      'post-install.d': ['b'],
    });
    expect(plan('')).toEqual({ install: {}, uninstall: {} });
  });

  it('refuses broken files with the element and the line at fault', () => {
    expect(() => plan('a: {when: NOWHERE=1}')).toThrow('a is tied to NOWHERE, which is not set');
    expect(() => plan('a: {when: nonsense}')).toThrow('"when: nonsense" of a is not VARIABLE=value');
    expect(() => plan('a: {arch: amd64, not-arch: s390x}')).toThrow('a has both arch and not-arch');
    expect(() => plan('a: [')).toThrow('element "thing" is not valid YAML');
    expect(() => plan('- a')).toThrow('not a map of package names');
    expect(() => plan('a:', '{broken')).toThrow('pkg-map of element "thing" is not valid JSON');
  });
});
