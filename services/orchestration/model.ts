/** The nouns of orchestration, as other services, the routes and the command line see them. */
import type { Plain } from './language/index.ts';
import type { Policy } from './plan/policy.ts';

export type { Plain };

export type Action =
  | 'CREATE'
  | 'UPDATE'
  | 'DELETE'
  | 'ROLLBACK'
  | 'CHECK'
  | 'SUSPEND'
  | 'RESUME'
  | 'SNAPSHOT'
  | 'RESTORE'
  | 'ADOPT'
  | 'INIT';
export type Status = 'IN_PROGRESS' | 'COMPLETE' | 'FAILED';

/** What a stack is made of, as it was handed in. */
export interface Definition {
  /** The text as its author wrote it, or, from clients that parse it themselves, its data. */
  readonly template: string | { readonly [key: string]: Plain };
  /** The template's name in messages. */
  readonly file: string;
  /** parameters, parameter_defaults, resource_registry … merged from all that was given. */
  readonly environment: { readonly [key: string]: Plain };
}

/** What a caller gives for a new stack or an update. */
export interface StackWish {
  readonly template: string | { readonly [key: string]: Plain };
  readonly file?: string;
  /** Text or data. */
  readonly environment?: string | { readonly [key: string]: Plain };
  /** Names in `files`, merged in order before `environment`. */
  readonly environmentFiles?: readonly string[];
  readonly parameters?: { readonly [key: string]: Plain };
  readonly files?: { readonly [name: string]: string };
  readonly disableRollback?: boolean;
  readonly timeoutMinutes?: number | null;
  readonly tags?: readonly string[];
  /** What it may not do to what is there. */
  readonly policy?: Policy;
  /** From an abandoned stack: its resources are there already. */
  readonly adopt?: { readonly resources: { readonly [name: string]: Plain } };
  /** In place of all else about the definition: it was read already, when a plan was made of it. */
  readonly prepared?: Definition;
}

export interface StackUpdate extends Omit<StackWish, 'template'> {
  /** Absent with `existing`: the present one. */
  readonly template?: StackWish['template'];
  /** Keep what is not given (Heat's PATCH): template, files, environment, parameters. */
  readonly existing?: boolean;
  readonly clearParameters?: readonly string[];
  /** Visit unchanged resources too (Heat's `converge`). */
  readonly converge?: boolean;
  /** Refuses where another action has come in between. */
  readonly onlyGeneration?: number;
}

export interface Stack {
  readonly id: string;
  readonly root_id: string;
  readonly parent_id: string | null;
  readonly parent_resource: string | null;
  readonly project_id: string;
  readonly user_id: string;
  readonly owner_name: string;
  readonly name: string;
  readonly description: string;
  readonly action: Action;
  readonly status: Status;
  readonly reason: string;
  readonly generation: number;
  readonly disable_rollback: boolean;
  readonly timeout_mins: number | null;
  readonly tags: readonly string[];
  readonly user_project_id: string | null;
  readonly created_at: Date;
  readonly updated_at: Date | null;
  readonly deleted_at: Date | null;
}

/** What something waits for; completes the sentence "waits for …". */
export interface Blocked {
  readonly on: string;
  readonly since: string;
  readonly usual_seconds: number | null;
  readonly remedy: string;
}

/** A resource as `overcloud status` shows it, its nested ones below it. */
export interface ActiveResource {
  readonly name: string;
  readonly type: string;
  readonly action: string;
  readonly status: string;
  readonly reason: string;
  readonly physical_id: string | null;
  readonly started_at: string | null;
  readonly seconds: number | null;
  readonly blocked_on: Blocked | null;
  readonly requires: readonly string[];
  readonly resources: readonly ActiveResource[];
}

export interface StackActivity {
  readonly id: string;
  readonly name: string;
  readonly action: string;
  readonly status: string;
  readonly reason: string;
  /** The step of the stack's operation while one runs. */
  readonly step: string | null;
  readonly resources: readonly ActiveResource[];
}

export interface StackOutput {
  readonly output_key: string;
  readonly description: string;
  readonly output_value?: Plain;
  readonly output_error?: string;
}

export const stackSubject = (id: string) => ({ type: 'stack', id });
