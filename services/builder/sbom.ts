import { createHash } from 'node:crypto';
import type { LockedPackage } from './lock.ts';

export interface SbomSubject {
  name: string;
  release: string;
  architecture: string;
  distribution: string;
  epoch: number;
  /** Names the image's content; the documents' own ids derive from it. */
  key: string;
  packages: readonly LockedPackage[];
  /** Sources that elements fetched with git, and the elements themselves. */
  sources: readonly { name: string; location: string; commit: string }[];
}

/** Package URL of a Debian package (purl specification, type deb). */
function purl(subject: SbomSubject, each: LockedPackage): string {
  const part = (text: string): string => encodeURIComponent(text).replaceAll('%3A', ':');
  return `pkg:deb/${subject.distribution}/${part(each.name)}@${part(each.version)}?arch=${each.architecture}&distro=${subject.distribution}-${subject.release}`;
}

function uuid(key: string): string {
  const hex = createHash('sha256').update(key).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** CycloneDX 1.5 in JSON. */
export function cycloneDx(subject: SbomSubject): string {
  const components = [
    ...subject.packages.map((each) => ({
      type: 'library',
      'bom-ref': purl(subject, each),
      name: each.name,
      version: each.version,
      purl: purl(subject, each),
      ...(each.sha256 === null ? {} : { hashes: [{ alg: 'SHA-256', content: each.sha256 }] }),
    })),
    ...subject.sources.map(({ name, location, commit }) => ({
      type: 'library',
      'bom-ref': `source:${name}@${commit}`,
      name,
      version: commit,
      externalReferences: [{ type: 'vcs', url: location }],
    })),
  ];
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${uuid(`cyclonedx/${subject.key}`)}`,
    version: 1,
    metadata: {
      timestamp: new Date(subject.epoch * 1000).toISOString(),
      component: {
        type: 'operating-system',
        'bom-ref': `image:${subject.name}`,
        name: subject.name,
        version: subject.key,
      },
    },
    components,
    dependencies: [{ ref: `image:${subject.name}`, dependsOn: components.map((each) => each['bom-ref']) }],
  };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}

/** SPDX 2.3 in JSON. */
export function spdx(subject: SbomSubject): string {
  const id = (text: string): string => `SPDXRef-${text.replaceAll(/[^A-Za-z0-9.-]/g, '-')}`;
  const image = id(`image-${subject.name}`);
  const packages = [
    {
      SPDXID: image,
      name: subject.name,
      versionInfo: subject.key,
      downloadLocation: 'NOASSERTION',
      filesAnalyzed: false,
      primaryPackagePurpose: 'OPERATING_SYSTEM',
    },
    ...subject.packages.map((each) => ({
      SPDXID: id(`deb-${each.name}-${each.architecture}`),
      name: each.name,
      versionInfo: each.version,
      downloadLocation: 'NOASSERTION',
      filesAnalyzed: false,
      ...(each.sha256 === null ? {} : { checksums: [{ algorithm: 'SHA256', checksumValue: each.sha256 }] }),
      externalRefs: [
        { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl(subject, each) },
      ],
    })),
    ...subject.sources.map(({ name, location, commit }) => ({
      SPDXID: id(`source-${name}`),
      name,
      versionInfo: commit,
      downloadLocation: `git+${location}@${commit}`,
      filesAnalyzed: false,
    })),
  ];
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: subject.name,
    documentNamespace: `urn:uuid:${uuid(`spdx/${subject.key}`)}`,
    creationInfo: {
      created: new Date(subject.epoch * 1000).toISOString().replace('.000', ''),
      creators: ['Tool: undercloud-image-build'],
    },
    packages,
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: image },
      ...packages
        .slice(1)
        .map(({ SPDXID }) => ({ spdxElementId: image, relationshipType: 'CONTAINS', relatedSpdxElement: SPDXID })),
    ],
  };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}
