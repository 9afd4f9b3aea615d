/**
 * One error table. A row gives the HTTP status, a sentence that names who, where and the value at fault, and the remedy.
 * Rows live in one file for each service beside this one; codes are unique across all of them (tested).
 *
 *   throw fault('node-not-found', { node: 'n1' });
 */
import { baremetalErrors } from './baremetal.ts';
import { bootErrors } from './boot.ts';
import { bootstrapErrors } from './bootstrap.ts';
import { builderErrors } from './builder.ts';
import { cliErrors } from './cli.ts';
import { computeErrors } from './compute.ts';
import { coreErrors } from './core.ts';
import { identityErrors } from './identity.ts';
import { imageErrors } from './image.ts';
import { labErrors } from './lab.ts';
import { networkErrors } from './network.ts';
import { orchestrationErrors } from './orchestration.ts';
import { powerErrors } from './power.ts';

export interface ErrorRow {
  /** HTTP status of an API answer that carries this error. */
  readonly status: number;
  /** One sentence; `{name}` is replaced by the detail of that name. */
  readonly sentence: string;
  /** What the reader can do about it; `{name}` works here too. */
  readonly remedy: string;
}

export const errorTable = {
  ...coreErrors,
  ...identityErrors,
  ...imageErrors,
  ...powerErrors,
  ...networkErrors,
  ...baremetalErrors,
  ...bootErrors,
  ...computeErrors,
  ...orchestrationErrors,
  ...builderErrors,
  ...bootstrapErrors,
  ...labErrors,
  ...cliErrors,
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;
export type Details = Readonly<Record<string, unknown>>;

/** An error that an operator can act on. `message` is the sentence with the remedy behind it. */
export class Fault extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly sentence: string;
  readonly remedy: string;
  readonly details: Details;

  constructor(code: ErrorCode, details: Details = {}, options?: ErrorOptions) {
    const row: ErrorRow = errorTable[code];
    const sentence = fill(row.sentence, details);
    const remedy = fill(row.remedy, details);
    super(remedy ? `${sentence} ${remedy}` : sentence, options);
    this.name = 'Fault';
    this.code = code;
    this.status = row.status;
    this.sentence = sentence;
    this.remedy = remedy;
    this.details = details;
  }

  /** The shape that is stored with an operation or an event. */
  toJSON(): StoredFault {
    return { code: this.code, message: this.message, sentence: this.sentence, remedy: this.remedy };
  }
}

export interface StoredFault {
  code: string;
  message: string;
  sentence: string;
  remedy: string;
}

export const fault = (code: ErrorCode, details?: Details, cause?: unknown): Fault =>
  new Fault(code, details, cause === undefined ? undefined : { cause });

/** Makes a Fault of anything that was thrown; what is not one already becomes `internal`, with its text kept. */
export function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new Fault('internal', { text }, { cause: error });
}

function fill(template: string, details: Details): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = details[name];
    if (value === undefined || value === null) return `(${name} unknown)`;
    return typeof value === 'object' ? JSON.stringify(value) : String(value);
  });
}
