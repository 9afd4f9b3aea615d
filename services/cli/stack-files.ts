/**
 * A template with everything that it refers to, as the orchestration API wants it: one text each under its URL, references
 * made absolute. The rules are python-heatclient's (template_utils.py); unlike it the texts stay what their authors wrote,
 * line for line, so that a fault on the other side is told with the line of this side's file.
 */
import { statSync } from 'node:fs';
import { basename, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isAlias, isMap, isPair, isScalar, type Node, type Pair, parseDocument, visit } from 'yaml';
import { fault } from '../core/errors/index.ts';
import { inputLimit, parseInput, plainReason, positionOf, readInput } from './input-file.ts';

export interface StackFiles {
  /** The template's text, references absolute. */
  readonly template: string;
  /** As the user named it, for messages. */
  readonly templateFile: string;
  /** URL → text; binary files in base64. */
  readonly files: Readonly<Record<string, string>>;
  /** URLs in `files`, in the order that they were given. */
  readonly environmentFiles: readonly string[];
}

const versionKeys = ['heat_template_version', 'AWSTemplateFormatVersion', 'HeatTemplateFormatVersion'];
const isTemplateName = (name: string): boolean => name.endsWith('.yaml') || name.endsWith('.template');
const remote = (url: string): boolean => /^https?:/.test(url);
const fetchMs = 30_000;
/** A stack of more files than this is a loop that makes new names. */
const mostFiles = 5_000;

/** A path of this machine, or an http(s) URL as it is. */
export const urlOf = (pathOrUrl: string): string => (remote(pathOrUrl) ? pathOrUrl : pathToFileURL(pathOrUrl).href);

/** `file:///srv/t/hello.hot.yaml` → `t/hello.hot.yaml`, seen from here. */
export function shownName(url: string): string {
  if (!url.startsWith('file:')) return url;
  const path = fileURLToPath(url);
  const near = relative(process.cwd(), path);
  return near === '' || near.startsWith('../..') ? path : near;
}

/** Sentences of the undercloud name files by their URLs; people by their paths. */
export const withPaths = (sentence: string): string =>
  sentence.replace(/file:\/\/\/[^\s'"():,;]+/g, (url) => {
    try {
      return shownName(url);
    } catch {
      return url;
    }
  });

/** @throws Fault `file-unreadable`, `file-malformed`, `file-referred` */
export async function collectStackFiles(template: string, environments: readonly string[]): Promise<StackFiles> {
  const collector = createCollector();
  const root = await collector.template(urlOf(template), null);
  const environmentFiles: string[] = [];
  for (const given of environments) environmentFiles.push(await collector.environment(urlOf(given)));
  return {
    template: root,
    templateFile: remote(template) ? basename(new URL(template).pathname) : shownName(urlOf(template)),
    files: collector.files,
    environmentFiles,
  };
}

interface Reference {
  /** What stands in the text. */
  readonly value: string;
  /** Where it stands in the text, to be replaced. */
  readonly range: readonly [start: number, end: number];
  /** A nested template must be one; a file may be anything. */
  readonly kind: 'template' | 'file';
  readonly base: string;
}

function createCollector() {
  const files: Record<string, string> = {};
  const begun = new Set<string>();

  async function read(url: string, referrer: string | null): Promise<Buffer> {
    try {
      if (remote(url)) return await download(url);
      const path = fileURLToPath(url);
      // A message without the path that was resolved would send people to the wrong directory.
      statSync(path);
      return readInput(path);
    } catch (error) {
      if (referrer === null)
        throw fault('file-unreadable', { file: shownName(url), reason: plainReason(error) }, error);
      throw fault('file-referred', { place: referrer, file: shownName(url), reason: plainReason(error) }, error);
    }
  }

  /** Follows what stands in the text, and gives the text with absolute references. */
  async function resolve(text: string, url: string, references: readonly Reference[]): Promise<string> {
    let out = '';
    let at = 0;
    for (const { value, range, kind, base } of references) {
      const { line } = positionOf(text, range[0]);
      const place = `${shownName(url)}:${line}`;
      const target = new URL(value, base).href;
      // A template from elsewhere must not make this machine hand over its own files.
      if (remote(url) && !remote(target))
        throw fault('file-malformed', {
          place,
          reason: `a template of another machine refers to the local file ${value}.`,
        });
      await include(target, kind, place);
      const old = text.slice(range[0], range[1]);
      out += text.slice(at, range[0]) + JSON.stringify(target) + '\n'.repeat(old.split('\n').length - 1);
      at = range[1];
    }
    return out + text.slice(at);
  }

  async function include(url: string, kind: Reference['kind'], referrer: string): Promise<void> {
    if (begun.has(url)) return;
    begun.add(url);
    if (begun.size > mostFiles)
      throw fault('file-malformed', { place: referrer, reason: `more than ${mostFiles} files belong to this stack.` });
    const bytes = await read(url, referrer);
    const text = utf8(bytes);
    if (text === null) {
      // As python's base64.encodebytes: lines of 76.
      files[url] = bytes.toString('base64').replace(/.{1,76}/g, '$&\n');
      return;
    }
    const nested = kind === 'template' || isTemplate(text);
    files[url] = nested ? await resolve(text, url, templateReferences(text, url)) : text;
  }

  return {
    files,
    async template(url: string, referrer: string | null): Promise<string> {
      const text = utf8(await read(url, referrer));
      if (text === null) throw fault('file-malformed', { place: shownName(url), reason: 'it is no text in UTF-8.' });
      return resolve(text, url, templateReferences(text, url));
    },
    async environment(url: string): Promise<string> {
      const text = utf8(await read(url, null));
      if (text === null) throw fault('file-malformed', { place: shownName(url), reason: 'it is no text in UTF-8.' });
      files[url] = await resolve(text, url, environmentReferences(text, url));
      return url;
    },
  };
}

async function download(url: string): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(fetchMs) });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > inputLimit) throw new Error(`it has more than ${inputLimit} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function utf8(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** tripleo-heat-templates' own registry has keys twice. */
const asHeat = { logLevel: 'silent', uniqueKeys: false } as const;

function isTemplate(text: string): boolean {
  if (!versionKeys.some((key) => text.includes(key))) return false;
  const document = parseDocument(text, asHeat);
  const { contents } = document;
  return document.errors.length === 0 && isMap(contents) && versionKeys.some((key) => contents.has(key));
}

function documentOf(text: string, url: string) {
  // For its faults, with line and column.
  parseInput(text, shownName(url), { repeats: true });
  return parseDocument(text, asHeat);
}

/** The value as text and where it stands; null when it is computed (a map) or no text. */
function textAt(
  document: ReturnType<typeof parseDocument>,
  value: unknown,
): { value: string; range: Reference['range'] } | null {
  const node = value as Node | null;
  const scalar = isAlias(node) ? node.resolve(document) : node;
  if (!isScalar(scalar) || typeof scalar.value !== 'string' || !node?.range) return null;
  return { value: scalar.value, range: [node.range[0], node.range[1]] };
}

function templateReferences(text: string, url: string): Reference[] {
  const document = documentOf(text, url);
  const found: Reference[] = [];
  visit(document, {
    Pair(_, { key, value }) {
      if (!isScalar(key) || (key.value !== 'get_file' && key.value !== 'type')) return;
      const named = textAt(document, value);
      if (!named || (key.value === 'type' && !isTemplateName(named.value))) return;
      found.push({ ...named, kind: key.value === 'type' ? 'template' : 'file', base: url });
    },
  });
  return found.sort((a, b) => a.range[0] - b.range[0]);
}

/** Keys of a resource_registry that name no template. */
const registryWords = new Set(['base_url', 'hooks', 'restricted_actions']);

function environmentReferences(text: string, url: string): Reference[] {
  const document = documentOf(text, url);
  const found: Reference[] = [];
  const walk = (registry: unknown, outer: string): void => {
    if (!isMap(registry)) return;
    const own = registry.get('base_url');
    const base = typeof own === 'string' ? new URL(own.endsWith('/') ? own : `${own}/`, outer).href : outer;
    for (const pair of registry.items as Pair[]) {
      if (!isPair(pair) || !isScalar(pair.key) || registryWords.has(String(pair.key.value))) continue;
      if (isMap(pair.value)) {
        walk(pair.value, base);
        continue;
      }
      const named = textAt(document, pair.value);
      // `OS::Heat::None` and other types are no files.
      if (named && named.value !== '' && !named.value.includes('::'))
        found.push({ ...named, kind: isTemplateName(named.value) ? 'template' : 'file', base });
    }
  };
  if (isMap(document.contents)) walk(document.contents.get('resource_registry'), url);
  return found.sort((a, b) => a.range[0] - b.range[0]);
}

/** `hello.hot.yaml:12`: where the resource of a path stands in the outermost template; null when it is not there. */
export function placeOf(files: Pick<StackFiles, 'template' | 'templateFile'>, resource: string): string | null {
  const document = parseDocument(files.template, asHeat);
  const { contents } = document;
  if (!isMap(contents)) return null;
  const resources = contents.get('resources') ?? contents.get('Resources');
  if (!isMap(resources)) return null;
  const pair = (resources.items as Pair[]).find(({ key }) => isScalar(key) && key.value === resource);
  const start = isScalar(pair?.key) ? pair.key.range?.[0] : undefined;
  return start === undefined ? null : `${files.templateFile}:${positionOf(files.template, start).line}`;
}
