import { describe, expect, it } from 'vitest';
import { cycloneDx, type SbomSubject, spdx } from './sbom.ts';

const subject: SbomSubject = {
  name: 'compute',
  release: 'bookworm',
  architecture: 'amd64',
  distribution: 'debian',
  epoch: 1_760_000_000,
  key: 'a'.repeat(40),
  packages: [
    { name: 'libstdc++6', version: '12.2.0-14', architecture: 'amd64', file: 'x.deb', sha256: 'b'.repeat(64) },
    { name: 'tzdata', version: '1:2024a+deb12u1', architecture: 'all', file: null, sha256: null },
  ],
  sources: [{ name: 'tool', location: 'https://example.org/tool.git', commit: 'c'.repeat(40) }],
};

/** What the schemas of CycloneDX 1.5 and SPDX 2.3 require, and the words that they allow: both were validated whole once with a real image's. */
describe('the bills of materials', () => {
  it('are CycloneDX 1.5: every component with type, name, and a reference of its own', () => {
    const document = JSON.parse(cycloneDx(subject)) as {
      serialNumber: string;
      components: { type: string; name: string; 'bom-ref': string; purl?: string }[];
      dependencies: { ref: string; dependsOn: string[] }[];
    };
    expect(document).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.5', version: 1 });
    expect(document.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    for (const { type, name } of document.components) expect([type, name]).toEqual(['library', expect.any(String)]);
    const references = document.components.map((each) => each['bom-ref']);
    expect(new Set(references).size).toBe(3);
    expect(document.dependencies[0]?.dependsOn).toEqual(references);
    expect(document.components[0]?.purl).toBe(
      'pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-bookworm',
    );
  });

  it('are SPDX 2.3: ids of its alphabet, purposes of its list, every package contained', () => {
    const document = JSON.parse(spdx(subject)) as {
      packages: { SPDXID: string; name: string; downloadLocation: string; primaryPackagePurpose?: string }[];
      relationships: { relationshipType: string; relatedSpdxElement: string }[];
      creationInfo: { created: string; creators: string[] };
    };
    expect(document).toMatchObject({ spdxVersion: 'SPDX-2.3', dataLicense: 'CC0-1.0', SPDXID: 'SPDXRef-DOCUMENT' });
    expect(document.creationInfo.created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const ids = document.packages.map(({ SPDXID }) => SPDXID);
    expect(new Set(ids).size).toBe(4);
    for (const { SPDXID, name, downloadLocation } of document.packages) {
      expect(SPDXID).toMatch(/^SPDXRef-[a-zA-Z0-9.-]+$/);
      expect(name).not.toBe('');
      expect(downloadLocation).toMatch(/^NOASSERTION$|^git\+https:/);
    }
    expect(document.packages[0]?.primaryPackagePurpose).toBe('OPERATING_SYSTEM');
    expect(document.relationships.map((each) => [each.relationshipType, each.relatedSpdxElement])).toEqual([
      ['DESCRIBES', ids[0]],
      ...ids.slice(1).map((id) => ['CONTAINS', id]),
    ]);
  });
});
