/** Markdown as the tests need it: pages, their anchors, their links, their code. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { root } from './reference.ts';

export interface Page {
  /** From the repository's root. */
  readonly path: string;
  readonly text: string;
  /** The text without fenced blocks. */
  readonly prose: string;
  readonly blocks: readonly Block[];
}

export interface Block {
  /** `sh`, `yaml`, or nothing. */
  readonly language: string;
  /** What stands behind the language. */
  readonly marks: readonly string[];
  readonly text: string;
  readonly line: number;
}

/** Every page that is committed or about to be. */
export function pages(): Page[] {
  const names = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
    cwd: root,
    encoding: 'utf8',
  });
  return names
    .split('\n')
    .filter((path) => path !== '' && existsSync(join(root, path)))
    .map(readPage);
}

export function readPage(path: string): Page {
  const text = readFileSync(join(root, path), 'utf8');
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { fence: string; info: string; lines: string[]; line: number } | null = null;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^\s*(```+)(.*)$/.exec(line);
    if (open) {
      if (fence?.[1] === open.fence && fence[2]?.trim() === '') {
        const [language = '', ...marks] = open.info.split(/\s+/).filter(Boolean);
        blocks.push({ language, marks, text: open.lines.join('\n'), line: open.line });
        open = null;
      } else open.lines.push(line);
    } else if (fence) open = { fence: fence[1] as string, info: fence[2] as string, lines: [], line: index + 1 };
    else prose.push(line);
  }
  if (open) throw new Error(`${path}:${open.line}: the block is not closed`);
  return { path, text, prose: prose.join('\n'), blocks };
}

/** As GitHub makes them: lower case, punctuation dropped, blanks to dashes, repetitions numbered. */
export function anchors(page: Page): Set<string> {
  const seen = new Map<string, number>();
  const found = new Set<string>();
  for (const [, heading = ''] of page.prose.matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    found.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return found;
}

/** Links that lead nowhere, as `page: target`. Addresses of other hosts are not looked at. */
export function brokenLinks(page: Page): string[] {
  const without = page.prose.replaceAll(/`[^`]*`/g, '');
  const faults: string[] = [];
  for (const [, target = ''] of without.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [file = '', anchor] = target.split('#');
    const path = file === '' ? page.path : relative(root, resolve(root, dirname(page.path), file));
    if (!existsSync(join(root, path))) faults.push(`${page.path}: ${target} is not there`);
    else if (anchor !== undefined && !(path.endsWith('.md') && anchors(readPage(path)).has(anchor)))
      faults.push(`${page.path}: ${path} has no heading #${anchor}`);
  }
  return faults;
}

/** `images/NAME.yaml`: the reader's own. */
const placeholder = /(^|\/)(?!README)[A-Z]{2,}/;
const rooms = /^(bootstrap|services|images|elements|templates|test|docs)\/[\w./-]+$/;

/** Files of this repository that a page names in backquotes and that are not there. */
export function missingFiles(page: Page): string[] {
  return [...page.prose.matchAll(/`([^`\n]+)`/g)]
    .map(([, code = '']) => code.replace(/\/$/, ''))
    .filter((code) => rooms.test(code) && !placeholder.test(code) && !existsSync(join(root, code)))
    .map((code) => `${page.path}: ${code}`);
}

/** Command lines of `undercloud` and `overcloud` that a page shows, in blocks of shell and in backquotes, as words. */
export function commandLines(page: Page): string[][] {
  const shell = page.blocks
    .filter(({ language }) => language === 'sh' || language === 'console')
    .flatMap(({ language, text }) => {
      const lines = text.replaceAll(/\\\n\s*/g, ' ').split('\n');
      return language === 'sh' ? lines : lines.filter((line) => /^[#$] /.test(line)).map((line) => line.slice(2));
    });
  const inline = [...page.prose.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  return [...shell, ...inline]
    .flatMap((line) => line.split(/\s(?:&&|\|\|?|;)\s|\s#\s/))
    .map((line) =>
      line
        .trim()
        .replace(/^(sudo |\.\/bootstrap\/)+/, '')
        .replace(/^(\w+=\S+ )+/, ''),
    )
    .filter((line) => /^(under|over)cloud /.test(line))
    .map((line) =>
      line
        .replaceAll(/[[\]"']/g, '')
        .split(/\s+/)
        .filter((word) => word !== ''),
    );
}
