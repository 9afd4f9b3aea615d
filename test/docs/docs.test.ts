/** The pages against the code: nothing that they name is missing, and what is drawn from the code is as new as the code. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hardwareTypes } from '../../services/baremetal/drivers.ts';
import { decisionTable } from '../../services/boot/index.ts';
import { PHASES } from '../../services/builder/phases.ts';
import { exitCodes } from '../../services/cli/exit.ts';
import { statePaths } from '../../services/core/config.ts';
import { beside, floors, protocols } from '../../services/core/floors.ts';
import { madeTypes } from '../../services/orchestration/resources/index.ts';
import { bootPort, descriptorNames, metadataPort } from '../../services/serve/descriptors.ts';
import { faultOfLine, fullName, programs, subcommands } from './commands.ts';
import { anchors, brokenLinks, commandLines, missingFiles, pages, readPage } from './pages.ts';
import { drawnPages, eventTables, root } from './reference.ts';

const all = pages();
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
/** First cells of every table's rows, without their backquotes. */
const firstCells = (path: string): string[] =>
  [...read(path).matchAll(/^\| *`?([^`|]+?)`? *\|/gm)].map((match) => match[1] as string);

describe('pages', () => {
  it('lead nowhere that is not there', () => {
    expect(all.length).toBeGreaterThan(20);
    expect(all.flatMap(brokenLinks)).toEqual([]);
  });

  it('name no file that is not there', () => {
    // Plans and histories may name what is to come or what was.
    expect(all.filter(({ path }) => path !== 'CHANGELOG.md').flatMap(missingFiles)).toEqual([]);
  });

  it('show no command and no option that --help does not', () => {
    const faults = all.flatMap((page) =>
      commandLines(page).flatMap((words) => {
        const fault = faultOfLine(words);
        return fault === null ? [] : [`${page.path}: ${words.join(' ')}: ${fault}`];
      }),
    );
    expect(faults).toEqual([]);
  });

  it('are found: each page of docs is linked from docs/README.md', () => {
    const index = readPage('docs/README.md').text;
    const own = all.map(({ path }) => path).filter((path) => path.startsWith('docs/') && path !== 'docs/README.md');
    expect(own.filter((path) => !index.includes(`(${path.slice('docs/'.length)})`))).toEqual([]);
  });

  it('open with one heading, and decisions have their three parts', () => {
    for (const { path, text } of all) expect(text, path).toMatch(/^# \S/);
    for (const name of readdirSync(join(root, 'docs/decisions'))) {
      expect(name).toMatch(/^\d{4}-[a-z0-9-]+\.md$/);
      const headings = anchors(readPage(`docs/decisions/${name}`));
      for (const part of ['context', 'decision', 'consequences']) expect(headings, name).toContain(part);
    }
  });

  it('begin the README with the two commands and nothing else to type', () => {
    const text = read('README.md');
    const before = text.slice(0, text.indexOf('## Tutorial'));
    const shown = [...before.matchAll(/^```sh[^\n]*\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
      block.split('\n').filter((line) => line !== '' && !line.startsWith('#')),
    );
    expect(shown.map((line) => line.split(/\s+#/)[0])).toEqual(['./bootstrap/demo', './bootstrap/test']);
  });
});

describe('drawn pages', () => {
  for (const [name, draw] of Object.entries(drawnPages))
    it(`${name} is as new as what it is drawn from`, async () => {
      const file = join(root, 'docs/reference', name);
      const text = await draw();
      if (process.env.UPDATE_GOLDEN) writeFileSync(file, text);
      expect(readFileSync(file, 'utf8')).toBe(text);
    });

  it('cli.md is drawn from the commands that the launchers have', () => {
    for (const program of programs) {
      const file = join(root, 'services/cli', `${program.name()}.ts`);
      const help = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', file, '--help'], {
        encoding: 'utf8',
      });
      const listed = [...help.matchAll(/^ {2}([a-z][\w-]*)(?: \[options\]| \[?<?\w|\s{2})/gm)].map((match) => match[1]);
      expect(listed).toEqual([...subcommands(program).map((one) => one.name()), 'help']);
    }
  });

  it('events.md has the map’s kinds', () => {
    const kinds = eventTables().flatMap(([, rows]) => rows.map(({ kind }) => kind));
    expect(kinds).toContain('node.provision-state');
    expect(new Set(kinds).size).toBe(kinds.length);
  });
});

describe('pages about tables of the code', () => {
  it('dependencies.md has a line for each dependency and for none that is gone', () => {
    const { dependencies, optionalDependencies, devDependencies } = JSON.parse(read('package.json'));
    const named = Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies }).sort();
    const lines = firstCells('docs/reference/dependencies.md').filter((name) => !['package', '---'].includes(name));
    expect(lines.sort()).toEqual(named);
  });

  it('exit-codes.md has each exit code', () => {
    const shown = firstCells('docs/reference/exit-codes.md').filter((one) => /^\d+$/.test(one));
    expect(shown.map(Number).sort()).toEqual(Object.values(exitCodes).sort());
  });

  it('state-directory.md has each place below the state directory', () => {
    const shown = firstCells('docs/reference/state-directory.md').map((one) => one.replace(/\/$/, ''));
    const places = Object.values(statePaths('/')).map((path) => path.slice(1));
    expect(places.filter((path) => !shown.includes(path))).toEqual([]);
  });

  it('ports.md has each socket that is handed to serve, and its number', () => {
    const text = read('docs/reference/ports.md');
    expect(descriptorNames.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
    for (const port of [bootPort, metadataPort, 67, 69, 623, 6385, 9999]) expect(text).toContain(`| ${port} `);
  });

  it('boot.md gives every row of the decision table its reason', () => {
    const text = read('docs/guides/boot.md');
    const told = new Set(decisionTable.map(({ because }) => because));
    expect([...told].filter((because) => !text.includes(because))).toEqual([]);
  });

  it('adding-a-resource-type.md shows a handler as it is', () => {
    const shown = /```ts\n([\s\S]*?)```/.exec(read('docs/guides/adding-a-resource-type.md'))?.[1];
    expect(shown).toBe(read('services/orchestration/resources/key-pair.ts'));
  });

  it('stacks.md has each resource type that is made', () => {
    const text = read('docs/guides/stacks.md');
    expect(madeTypes().filter((type) => !text.includes(`\`${type}\``))).toEqual([]);
  });

  it('images.md has each phase of a build and each image and element', () => {
    const text = read('docs/guides/images.md');
    expect(Object.keys(PHASES).filter((phase) => !text.includes(`\`${phase}\``))).toEqual([]);
    const images = readdirSync(join(root, 'images')).filter((name) => name.endsWith('.yaml'));
    expect(images.filter((name) => !text.includes(`\`images/${name}\``))).toEqual([]);
    const shipped = read('elements/README.md');
    const elements = readdirSync(join(root, 'elements'), { withFileTypes: true }).filter((one) => one.isDirectory());
    expect(elements.map(({ name }) => name).filter((name) => !shipped.includes(`\`${name}\``))).toEqual([]);
  });

  it('hardware.md has each field of driver_info by which a BMC is reached', () => {
    const text = read('docs/guides/hardware.md');
    const ipmi = hardwareTypes.find(({ name }) => name === 'ipmi');
    const fields = Object.keys(ipmi?.properties ?? {}).filter((name) => name.startsWith('ipmi_'));
    expect(fields.length).toBeGreaterThan(0);
    expect(fields.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  it('status.md speaks of every room', () => {
    const rooms = new Set(['core', ...protocols, ...floors.flat(), ...Object.keys(beside)]);
    const told = firstCells('docs/status.md');
    expect([...rooms].filter((room) => !told.includes(room))).toEqual([]);
  });

  it('cli.md has a section for each command', () => {
    const headings = anchors(readPage('docs/reference/cli.md'));
    const every = (one: (typeof programs)[number]): string[] => [fullName(one), ...subcommands(one).flatMap(every)];
    expect(programs.flatMap(every).filter((name) => !headings.has(name.replaceAll(' ', '-')))).toEqual([]);
  });
});
