/** What the threads that read templates are asked, and what they answer: plain data, so that it can be handed over. */
import type { Live } from '../engine/state.ts';
import type { Definition, Plain, Stack, StackUpdate, StackWish } from '../model.ts';
import type { Usual } from '../plan/forecast.ts';
import type { Policy } from '../plan/policy.ts';
import type { PlannedResource } from '../plan/resources.ts';
import type { StackRow } from '../store/stacks.ts';

/** A template with all that is given to it; over `present`, for an update. */
export interface Source {
  readonly wish: StackWish | StackUpdate;
  readonly present: Definition | null;
  readonly files: Readonly<Record<string, string>>;
  readonly stack: Pick<Stack, 'id' | 'name' | 'project_id'>;
}

/** A definition as it is stored. */
export interface Stored {
  readonly definition: Definition;
  readonly files: Readonly<Record<string, string>>;
  readonly stack: Pick<Stack, 'id' | 'name' | 'project_id'>;
}

/** A stack as it is, its nested ones below it. */
export interface Tree {
  readonly row: Omit<StackRow, 'definition'>;
  readonly definition: Definition;
  readonly files: Readonly<Record<string, string>>;
  readonly lives: readonly Live[];
  readonly children: readonly Tree[];
}

/** What a type wants to be asked of the other services before anything is made. */
export interface Question {
  readonly type: string;
  readonly resource: string;
  readonly stackName: string;
  /** Values that are known already. */
  readonly properties: { readonly [name: string]: Plain };
  /** Of the stacks around it, outermost first: where its template is. */
  readonly within: readonly string[];
}

export interface CheckedSource {
  readonly definition: Definition;
  readonly description: string;
  readonly questions: readonly Question[];
}

export interface Advice {
  readonly message: string;
  /** `file:line:column: `, or nothing. */
  readonly place: string;
}

export interface Described {
  readonly body: { readonly [key: string]: Plain };
  readonly advice: readonly Advice[];
}

export interface Previewed {
  readonly definition: Definition;
  readonly description: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly outputs: readonly {
    readonly output_key: string;
    readonly description: string;
    readonly output_value: null;
  }[];
  readonly resources: readonly PlannedResource[];
}

export interface Asks {
  /** All that can be checked without asking another service. */
  check: { ask: Source; answer: CheckedSource };
  /** What Heat's /validate says, and what is probably not meant. */
  describe: { ask: { source: Source; lint?: boolean; nested?: boolean }; answer: Described };
  preview: { ask: { source: Source; tree: Tree | null }; answer: Previewed };
  /** `text`: the readable part of a plan file. */
  plan: {
    ask: {
      source: Source;
      tree: Tree | null;
      usual: Usual;
      head: { readonly [key: string]: Plain };
      policy?: Policy;
    };
    answer: { definition: Definition; text: string; digest: string; mark: string; violations: readonly string[] };
  };
  /** The fingerprint of a stack and all that is in it. */
  mark: { ask: Tree; answer: string };
  parameters: { ask: Stored; answer: Readonly<Record<string, string>> };
  /** Where the resource, or one of its properties, stands in the text. */
  place: { ask: { source: Source; within: readonly string[]; resource: string; property?: string }; answer: string };
  /** Which resource needs which. */
  graph: {
    ask: Source;
    answer: { readonly [resource: string]: { readonly type: string; readonly requires: readonly string[] } };
  };
}

export type AskKind = keyof Asks;
