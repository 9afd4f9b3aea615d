import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { BuildError } from './progress.ts';
import type { Element } from './resolve.ts';

/** What the elements want installed and removed, by phase directory, in the order of the elements. */
export interface PackagePlan {
  install: Record<string, string[]>;
  uninstall: Record<string, string[]>;
}

/** The `package-installs` file of one element (YAML or JSON text) and its `pkg-map`, if it has one. */
export interface PackageRequest {
  element: string;
  text: string;
  map?: string;
}

type Parameters = Record<string, unknown>;

/** `when: VARIABLE=value` or `!=`, one or a list of which all must hold. A variable that is not set is an error, as in diskimage-builder. */
function holds(
  element: string,
  name: string,
  statements: unknown,
  environment: Readonly<Record<string, string>>,
): boolean {
  if (statements === undefined || statements === null) return true;
  const list = Array.isArray(statements) ? statements : [statements];
  return list.every((statement) => {
    const match = /^(\w+)\s*(!?=)\s*(.*)$/s.exec(String(statement));
    if (match === null) {
      throw new BuildError(
        `package-installs of element "${element}": "when: ${String(statement)}" of ${name} is not VARIABLE=value or VARIABLE!=value.`,
      );
    }
    const [, variable, operator, value] = match as unknown as [string, string, string, string];
    const actual = environment[variable];
    if (actual === undefined) {
      throw new BuildError(
        `package-installs of element "${element}": ${name} is tied to ${variable}, which is not set: set it in the image's environment.`,
      );
    }
    return (actual === value) === (operator === '=');
  });
}

function fitsArchitecture(element: string, name: string, parameters: Parameters, architecture: string): boolean {
  const only = parameters.arch;
  const never = parameters['not-arch'];
  if (only !== undefined && never !== undefined) {
    throw new BuildError(
      `package-installs of element "${element}": ${name} has both arch and not-arch: keep one of them.`,
    );
  }
  const listed = (value: unknown): boolean =>
    String(value)
      .split(',')
      .map((each) => each.trim())
      .includes(architecture);
  if (only !== undefined) return listed(only);
  return never === undefined || !listed(never);
}

interface PackageMap {
  release?: Record<string, Record<string, Record<string, string>>>;
  distro?: Record<string, Record<string, string>>;
  family?: Record<string, Record<string, string>>;
  default?: Record<string, string>;
}

const FAMILIES: Record<string, string> = {
  debian: 'debian',
  ubuntu: 'debian',
  fedora: 'redhat',
  rhel: 'redhat',
  centos: 'redhat',
  opensuse: 'suse',
  gentoo: 'gentoo',
};

/** Real package names for one requested name: release, then distribution, then family, then default; an unmapped name stands for itself. */
function mapPackage(request: PackageRequest, name: string, environment: Readonly<Record<string, string>>): string[] {
  if (request.map === undefined) return [name];
  let map: PackageMap;
  try {
    map = JSON.parse(request.map) as PackageMap;
  } catch (error) {
    throw new BuildError(`pkg-map of element "${request.element}" is not valid JSON: ${(error as Error).message}.`);
  }
  const distribution = environment.DISTRO_NAME ?? 'debian';
  const release = environment.DIB_RELEASE ?? '';
  const mapped =
    map.release?.[distribution]?.[release]?.[name] ??
    map.distro?.[distribution]?.[name] ??
    map.family?.[FAMILIES[distribution.replace(/\d+$/, '')] ?? '']?.[name] ??
    map.default?.[name];
  return mapped === undefined ? [name] : mapped.split(/\s+/).filter((each) => each !== '');
}

/**
 * Evaluates every element's package-installs file for this architecture and environment (that of the hooks, after environment.d).
 * Keys understood: phase, uninstall, build-only, arch, not-arch, installtype, when, dib_python_version.
 */
export function planPackages(
  requests: readonly PackageRequest[],
  environment: Readonly<Record<string, string>>,
): PackagePlan {
  const plan: PackagePlan = { install: {}, uninstall: {} };
  const add = (table: Record<string, string[]>, phase: string, names: string[]): void => {
    const list = table[phase] ?? [];
    table[phase] = list;
    for (const name of names) if (!list.includes(name)) list.push(name);
  };
  for (const request of requests) {
    let document: unknown;
    try {
      document = parse(request.text, { maxAliasCount: 100 });
    } catch (error) {
      throw new BuildError(
        `package-installs of element "${request.element}" is not valid YAML: ${(error as Error).message}.`,
      );
    }
    if (document === null || document === undefined) continue;
    if (typeof document !== 'object' || Array.isArray(document)) {
      throw new BuildError(`package-installs of element "${request.element}" is not a map of package names.`);
    }
    const type =
      environment[`DIB_INSTALLTYPE_${request.element.replaceAll('-', '_')}`] ??
      environment.DIB_DEFAULT_INSTALLTYPE ??
      'source';
    for (const [name, value] of Object.entries(document as Record<string, unknown>)) {
      const entries = value === null || value === undefined ? [{}] : Array.isArray(value) ? value : [value];
      for (const each of entries) {
        const parameters = (each ?? {}) as Parameters;
        if (parameters.installtype !== undefined && parameters.installtype !== type) continue;
        if (!fitsArchitecture(request.element, name, parameters, environment.ARCH ?? 'amd64')) continue;
        const python = parameters.dib_python_version;
        if (python !== undefined && String(python) !== (environment.DIB_PYTHON_VERSION ?? '')) continue;
        if (!holds(request.element, name, parameters.when, environment)) continue;
        const phase = String(parameters.phase ?? 'install.d');
        const names = mapPackage(request, name, environment);
        if (!('uninstall' in parameters)) add(plan.install, phase, names);
        if ('uninstall' in parameters || 'build-only' in parameters) add(plan.uninstall, phase, names);
      }
    }
  }
  return plan;
}

/** What every element wants installed, with its own map of names. */
export async function readPackageRequests(elements: readonly Element[]): Promise<PackageRequest[]> {
  const requests: PackageRequest[] = [];
  for (const { name, path } of elements) {
    const map = await readFile(join(path, 'pkg-map'), 'utf8').catch(() => undefined);
    for (const file of ['package-installs.json', 'package-installs.yaml']) {
      const text = await readFile(join(path, file), 'utf8').catch(() => undefined);
      if (text !== undefined) requests.push({ element: name, text, ...(map === undefined ? {} : { map }) });
    }
  }
  return requests;
}
