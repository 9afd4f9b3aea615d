/** The rules of the house that a machine can check: floors and front doors, names, file lengths. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { beside, floors, protocols } from '../../services/core/floors.ts';

const root = resolve(import.meta.dirname, '../..');
const services = join(root, 'services');

const sources = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name));

/** Tests, their fixtures and stages: they may reach where the house may not. */
const isTest = (file: string) => /\.(test|conformance|fixture)\.ts$|\/testing\/|\/conformance\.ts$/.test(file);

/** Paths of relative imports, as files. */
const imports = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map((match) =>
    resolve(dirname(file), match[1] as string),
  );

const roomOf = (file: string): string | null => {
  const path = relative(services, file);
  return path.startsWith('..') ? null : (path.split('/')[0] ?? null);
};

const heightOf = (room: string): number => floors.findIndex((floor) => floor.includes(room));

/** What `from` may import, as a sentence against it or null. */
function against(from: string, target: string): string | null {
  const here = roomOf(from) as string;
  const there = roomOf(target);
  if (there === null && relative(root, target).startsWith('bootstrap/') && beside[here]?.includes('bootstrap'))
    return null;
  if (there === null) return `reaches out of services/ to ${relative(root, target)}`;
  if (here === there) return null;
  const pure = (protocols as readonly string[]).includes(here);
  if (pure) return `is a protocol and imports services/${there}`;
  if (here === 'serve') return null;
  const allowed = beside[here];
  const isFront = there === 'core' || relative(services, target) === `${there}/index.ts`;
  if (allowed) {
    if (there === 'serve') return null;
    return allowed.includes(there)
      ? isFront
        ? null
        : `goes past the front door of ${there}: ${relative(services, target)}`
      : `may not import ${there}`;
  }
  if (heightOf(here) < 0) return `stands on no floor: name ${here} in services/core/floors.ts`;
  if (heightOf(there) < 0 || heightOf(there) >= heightOf(here)) return `imports ${there}, which is not below it`;
  return isFront ? null : `goes past the front door of ${there}: ${relative(services, target)}`;
}

describe('the house', () => {
  it('has every room of the design in its place', () => {
    const rooms = ['core', ...protocols, ...floors.flat(), ...Object.keys(beside)];
    const missing = [...new Set(rooms)].filter((room) => !existsSync(join(services, room)));
    const top = ['bootstrap', 'images', 'elements', 'templates', 'test', 'docs'].filter(
      (dir) => !existsSync(join(root, dir)),
    );
    expect([...missing, ...top]).toEqual([]);
  });

  it('keeps to its floors: imports go down, and through front doors', () => {
    const faults = sources(services)
      .filter((file) => !isTest(file))
      .flatMap((file) => imports(file).map((target) => [file, against(file, target)] as const))
      .filter(([, fault]) => fault !== null)
      .map(([file, fault]) => `${relative(root, file)} ${fault}`);
    expect(faults).toEqual([]);
  });

  it('has no file above 420 lines and no name that says nothing', () => {
    const files = execFileSync('git', ['ls-files', '*.ts'], { cwd: root, encoding: 'utf8' })
      .trim()
      .split('\n')
      .filter((f) => existsSync(join(root, f)));
    const long = files.filter((file) => readFileSync(join(root, file), 'utf8').split('\n').length > 421);
    const empty = files.filter((file) => /(^|\/)(utils?|helpers?|common|misc|manager)s?(\.ts|\/)/.test(file));
    expect([...long, ...empty]).toEqual([]);
  });

  it('gives every migration a number of four digits, without a gap', () => {
    for (const room of readdirSync(services)) {
      const dir = join(services, room, room === 'core' ? 'database/migrations' : 'migrations');
      if (!existsSync(dir) || !statSync(dir).isDirectory()) continue;
      const names = readdirSync(dir).sort();
      expect(names, room).toEqual(names.map((_, index) => `${String(index + 1).padStart(4, '0')}.sql`));
    }
  });
});
