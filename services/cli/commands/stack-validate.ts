/** `overcloud validate`: what is wrong with a template, and what in it is valid and hardly meant. */
import type { Command } from 'commander';
import { exitCodes } from '../exit.ts';
import { table } from '../output.ts';
import { action } from '../program.ts';
import { bodyOf } from '../stack-api.ts';
import { withPaths } from '../stack-files.ts';
import { plain } from '../stack-outputs.ts';
import { gather, parametersOf, readable, type TemplateFlags, templateOptions } from './deploy.ts';

interface Validated {
  Description?: string;
  Parameters?: Record<string, { Type: string; Default?: unknown; Description?: string }>;
  /** Missing where the cloud is a plain Heat, which has no opinion. */
  Advice?: { message: string; place: string }[];
}

interface Warning {
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
  readonly message: string;
}

/** `place` is `file:line:column: `, or nothing where the template came as data. */
export function warningOf({ message, place }: { message: string; place: string }, file: string): Warning {
  const found = /^(.*):(\d+):(\d+): $/.exec(place);
  if (!found) return { file, line: null, column: null, message };
  return { file: withPaths(found[1] as string), line: Number(found[2]), column: Number(found[3]), message };
}

const told = ({ file, line, column, message }: Warning): string =>
  `${line === null ? file : `${file}:${line}:${column}`}: warning: ${message}`;

export function validateCommand(program: Command): void {
  templateOptions(program.command('validate'))
    .option('--strict', 'end with 1 where there are warnings')
    .description('check a template with its files, and say what in it is hardly meant; nothing is done')
    .action(
      action(async (session, file: string, flags: TemplateFlags & { strict?: boolean }) => {
        const parameters = parametersOf(flags.parameter);
        const files = await gather(file, flags);
        const cloud = await session.cloud();
        const { body } = await readable(
          cloud.request<Validated>('POST', 'orchestration', '/validate?lint=true', { body: bodyOf(files, parameters) }),
        );
        const { Advice: advice = [], ...described } = body;
        const warnings = advice.map((one) => warningOf(one, files.templateFile));
        const rows = Object.entries(body.Parameters ?? {});
        const many = warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`;
        session.output.result({ valid: true, file: files.templateFile, warnings, ...described }, () => [
          ...warnings.map(told),
          `${files.templateFile} is valid, with ${Object.keys(files.files).length} files beside it${warnings.length > 0 ? `; ${many}` : ''}.`,
          ...(rows.length > 0
            ? [
                '',
                ...table(
                  ['parameter', 'type', 'default', 'description'],
                  rows.map(([key, one]) => [
                    key,
                    one.Type,
                    one.Default === undefined ? '(required)' : plain(one.Default),
                    one.Description,
                  ]),
                ),
              ]
            : []),
        ]);
        return flags.strict && warnings.length > 0 ? exitCodes.failed : exitCodes.ok;
      }),
    );
}
