/** Pages of docs/reference that are drawn from the code: docs.test.ts fails while one is older than what it is drawn from. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { exitCodeOf, exitCodes } from '../../services/cli/exit.ts';
import type { ErrorRow } from '../../services/core/errors/index.ts';
import { fullName, programs, subcommands } from './commands.ts';

export const root = resolve(import.meta.dirname, '../..');
const again = 'To draw it anew: `UPDATE_GOLDEN=1 npx vitest run --project unit test/docs`.';

/** A table's cell: Markdown takes `|` for its end, and `<if>` for HTML. */
const cell = (text: string): string =>
  text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll(/\s+/g, ' ').trim();
/** A file's name at its beginning stays as it is. */
const sentence = (text: string): string =>
  `${/^\S+\.\w/.test(text) ? text.charAt(0) : text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

function optionRows(command: Command): string[] {
  return command.options.map(({ flags, description, defaultValue, negate }) => {
    const shown = defaultValue === undefined || negate ? '' : `; default: \`${defaultValue}\``;
    return `| \`${flags.replaceAll('|', '\\|')}\` | ${cell(description)}${shown} |`;
  });
}

function commandSection(command: Command): string[] {
  const below = subcommands(command);
  const usage = command
    .createHelp()
    .commandUsage(command)
    .replace(/ \[command\]$/, ' COMMAND');
  return [
    `## ${fullName(command)}`,
    '',
    sentence(command.description()),
    '',
    ...(below.length > 0
      ? below.map((one) => `- [\`${fullName(one)}\`](#${fullName(one).replaceAll(' ', '-')}): ${one.description()}`)
      : ['```', usage, '```']),
    '',
    ...(command.registeredArguments.length > 0 && below.length === 0
      ? [
          '| argument | |',
          '|---|---|',
          ...command.registeredArguments.map((one) => {
            const shown = one.defaultValue === undefined ? '' : `; default: \`${one.defaultValue}\``;
            return `| \`${one.name()}\` | ${cell(one.description)}${shown} |`;
          }),
          '',
        ]
      : []),
    ...(command.options.length > 0 ? ['| option | |', '|---|---|', ...optionRows(command), ''] : []),
    ...below.flatMap(commandSection),
  ];
}

export function cliPage(): string {
  return [
    '# Commands',
    '',
    'Drawn from the commands’ own `--help`. The options of `undercloud` and `overcloud` hold for every command below them.',
    'Exit codes: [exit-codes.md](exit-codes.md).',
    again,
    '',
    ...programs.flatMap(commandSection),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

/** Rows by the file that they stand in, which is the service's name. */
async function errorTables(): Promise<[service: string, rows: Readonly<Record<string, ErrorRow>>][]> {
  const dir = join(root, 'services/core/errors');
  const files = readdirSync(dir).filter(
    (name) => name.endsWith('.ts') && name !== 'index.ts' && !name.includes('.test.'),
  );
  const tables = await Promise.all(
    files.sort().map(async (file) => {
      const module: Record<string, Readonly<Record<string, ErrorRow>>> = await import(join(dir, file));
      return [file.replace(/\.ts$/, ''), Object.assign({}, ...Object.values(module))] as [
        string,
        Record<string, ErrorRow>,
      ];
    }),
  );
  return tables.filter(([, rows]) => Object.keys(rows).length > 0);
}

const codeOf: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(exitCodes).map(([name, code]) => [code, name]),
);

export async function errorsPage(): Promise<string> {
  const tables = await errorTables();
  return [
    '# Errors',
    '',
    'Drawn from `services/core/errors`. A word in braces stands for the value at fault. *Status* is that of an API answer,',
    '*exit* the exit code of `undercloud` and `overcloud` ([exit-codes.md](exit-codes.md)).',
    'An API answers in its dialect’s own shape; the sentence is the same. A file of yours that the undercloud refuses ends in',
    '`input-refused`, 2, whatever its row says.',
    again,
    '',
    ...tables.flatMap(([service, rows]) => [
      `## ${service}`,
      '',
      '| code | status | exit | sentence | remedy |',
      '|---|---|---|---|---|',
      ...Object.entries(rows).map(([code, row]) => {
        const exit = exitCodeOf(row.status, code);
        return `| \`${code}\` | ${row.status} | ${exit} (${codeOf[exit]}) | ${cell(row.sentence)} | ${cell(row.remedy)} |`;
      }),
      '',
    ]),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

interface EventRow {
  readonly kind: string;
  readonly about: string;
  readonly fields: readonly string[];
}

/** Where the brace that opens at `start` closes. */
function closing(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    if (text[at] === '{') depth += 1;
    if (text[at] === '}') depth -= 1;
    if (depth === 0) return at;
  }
  throw new Error(`a brace is not closed after: ${text.slice(start, start + 60)}`);
}

const plainComment = (text: string): string =>
  text
    .replace(/^\s*\/\*\*|\*\/\s*$/g, '')
    .replaceAll(/^\s*\* ?/gm, '')
    .trim();

/** The map is types, which are gone when it runs: it is read as text. Its form is biome's, one member a line. */
export function eventRows(source: string): EventRow[] {
  const rows: EventRow[] = [];
  for (const match of source.matchAll(/^( {2}\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)? {2}'([a-z][\w.-]*)': \{/gm)) {
    const open = match.index + match[0].length - 1;
    const body = source.slice(open + 1, closing(source, open)).replaceAll(/\/\*\*[\s\S]*?\*\//g, '');
    const fields = body
      .split(';')
      .map((field) => field.replaceAll(/\s+/g, ' ').trim())
      .filter((field) => field !== '');
    rows.push({ kind: match[2] as string, about: plainComment(match[1] ?? ''), fields });
  }
  return rows;
}

export function eventTables(): [service: string, rows: EventRow[]][] {
  const dir = join(root, 'services/core/events/map');
  return readdirSync(dir)
    .filter((name) => name.endsWith('.ts') && name !== 'index.ts')
    .sort()
    .map((file) => {
      const source = readFileSync(join(dir, file), 'utf8');
      const rows = eventRows(source);
      const kinds = source.match(/^ {2}'[a-z][\w.-]*':/gm)?.length ?? 0;
      if (rows.length !== kinds) throw new Error(`${file} has ${kinds} events, of which ${rows.length} could be read`);
      return [file.replace(/\.ts$/, ''), rows];
    });
}

export function eventsPage(): string {
  return [
    '# Events',
    '',
    'Drawn from the typed event map, `services/core/events/map`. Every event has a subject (a node, a stack, a server …), a time,',
    'and where it fits a duration and a cause. State transitions are written in the transaction that makes them and are never lost;',
    'traffic is gathered, and shed when the database cannot keep up. The newest 10,000 of a subject are kept, for 90 days.',
    '`undercloud node timeline` and `overcloud events` read them; so do the waits of operations and stacks.',
    again,
    '',
    ...eventTables().flatMap(([service, rows]) => [
      `## ${service}`,
      '',
      '| kind | when | data |',
      '|---|---|---|',
      ...rows.map(
        ({ kind, about, fields }) =>
          `| \`${kind}\` | ${cell(about)} | ${fields.map((field) => `\`${field.replaceAll('|', '\\|')}\``).join('<br>')} |`,
      ),
      '',
    ]),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

export const drawnPages: Readonly<Record<string, () => string | Promise<string>>> = {
  'cli.md': cliPage,
  'errors.md': errorsPage,
  'events.md': eventsPage,
};
