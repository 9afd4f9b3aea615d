/**
 * What a resource type is to the engine. One file a type in resources/. Each action is a look, not a sleep: it does what
 * can be done now and says whether the resource is done or what it waits for; it is called again until it is done, by
 * another process too, so it must find its own traces (physical id, `data`) and go on from them.
 */
import type { Context } from '../../core/context.ts';
import type { Tx } from '../../core/database/index.ts';
import type { Desk } from '../desk.ts';
import type { Dict, Value } from '../language/index.ts';
import type { Plain } from '../model.ts';
import type { Properties } from './state.ts';

export interface Wait {
  /** Completes "waits for …". */
  readonly on: string;
  readonly remedy: string;
  /** Look again after this long even if nothing is heard. */
  readonly recheckMs?: number;
}

export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'wait'; readonly wait: Wait }
  | { readonly kind: 'replace'; readonly property: string };

export const done: Outcome = { kind: 'done' };
export const waitFor = (wait: Wait): Outcome => ({ kind: 'wait', wait });
/** From `update`: it cannot be done in place after all. */
export const replaceFor = (property: string): Outcome => ({ kind: 'replace', property });

export interface Signal {
  readonly id: number;
  readonly body: Plain;
  readonly at: Date;
}

/** What a handler sees of its resource and of the world. */
export interface Work {
  readonly desk: Desk;
  readonly context: Context;
  readonly stack: { readonly id: string; readonly rootId: string; readonly name: string; readonly projectId: string };
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly action: string;
  readonly properties: Properties;
  readonly metadata: Plain;
  readonly physicalId: string | null;
  /** Kept with the resource; change it through `commit` (durable at once) or before the outcome (durable with it). */
  readonly data: { [key: string]: Plain };
  readonly attributes: Readonly<Record<string, Plain>>;
  /** Everything that was signalled to it, oldest first. */
  readonly signals: readonly Signal[];
  /** When this action began, ms; survives restarts. */
  readonly startedAt: number;
  readonly now: number;
  /** `stack-resource-x1y2`, as Heat names what it makes. */
  readonly physicalName: string;
  /** Another resource of the tree by its physical id: a wait condition's handle, a deployment's server. */
  peer(
    physicalId: string,
  ): { readonly id: string; readonly name: string; readonly signals: readonly Signal[] } | undefined;
  /** A fenced transaction that does an effect and notes it in the resource in one commit: exactly once. */
  commit(
    effect: (tx: Tx) => Promise<{ physicalId?: string | null; data?: { [key: string]: Plain } } | undefined>,
  ): Promise<void>;
}

/** `boot`: a free node is written and started; `rewrite`: its disk is written anew; `wipe`: what is on it is gone. */
export type Impact = 'boot' | 'reboot' | 'rewrite' | 'wipe';

/** What a handler is asked before anything is made; a property whose value is not known yet is undefined. */
export interface Wish {
  readonly desk: Desk;
  readonly context: Context;
  readonly name: string;
  property(name: string): Plain | undefined;
}

/** A stack within a stack: its template as data, and what is given to it. */
export interface Child {
  readonly template: string | { readonly [key: string]: Plain };
  readonly file: string;
  readonly parameters: { readonly [name: string]: Plain };
}

export interface Handler {
  readonly type: string;
  /** Its calls come under this backend's limit; without one it touches nothing outside the process. */
  readonly backend?: 'compute' | 'network' | 'database';
  /** It gets a physical id of Heat's form before it is begun. */
  readonly named?: boolean;
  /** An action of it that takes longer has failed; default: the stack's own time-out alone. */
  readonly minutes?: number;
  /** Checks against the world what the template alone cannot tell: @throws Fault with `details.property` where one is at fault */
  readonly validate?: (wish: Wish) => Promise<void>;
  readonly create: (work: Work) => Promise<Outcome> | Outcome;
  /** Without it, a change of any property replaces the resource. `changed`: the differing ones. */
  readonly update?: (work: Work, changed: readonly string[]) => Promise<Outcome> | Outcome;
  readonly delete?: (work: Work) => Promise<Outcome> | Outcome;
  /** Whether it is still what it was made to be: @throws Fault that says what is wrong */
  readonly check?: (work: Work) => Promise<void>;
  /** Looks, like `create`. Without one the resource has nothing to suspend, and is told so. */
  readonly suspend?: (work: Work) => Promise<Outcome> | Outcome;
  readonly resume?: (work: Work) => Promise<Outcome> | Outcome;
  /** What a snapshot keeps of it beside its properties; a copy that is made elsewhere is named in what it returns. */
  readonly snapshot?: (work: Work) => Promise<{ [key: string]: Plain }>;
  /** Properties as the world has them now, for those that can be told; null: it is not there any more. */
  readonly observe?: (work: Work) => Promise<{ readonly [property: string]: Plain } | null>;
  /** The changed property that `update` will answer with a replacement, if it will: so that a plan can tell. */
  readonly replacedBy?: (changed: readonly string[], wanted: Properties) => string | undefined;
  /** What a change means for the machine behind it, for the plan. */
  readonly impact?: (change: 'create' | 'update' | 'replace' | 'delete', changed: readonly string[]) => Impact | null;
  readonly attributes?: (work: Work) => Promise<Record<string, Plain>> | Record<string, Plain>;
  /** Its attributes say why it failed, so they are worked out then as well. */
  readonly toldOnFailure?: true;
  /** What get_resource gives once it is made; default: the physical id. */
  readonly reference?: (of: {
    physicalId: string | null;
    name: string;
    data: Readonly<Record<string, Plain>>;
  }) => Plain;
  /** Checks a signal's body before it is kept, and says what it means: @throws Fault `signal-invalid` */
  readonly signal?: (body: Plain, of: { name: string }) => string;
  /** What it shows as its metadata, where signals make it. */
  readonly metadata?: (signals: readonly Signal[], own: Plain) => Plain;
}

/** One member of a group, as the group's attributes see it. */
export interface Member {
  readonly name: string;
  reference(): Value;
  /** @throws language Fault where the member has none of that name */
  attribute(name: Value, path: readonly Value[]): Value;
}

export interface Group {
  /** In the order of their numbers, or of their names. */
  readonly members: readonly Member[];
  readonly data: Readonly<Record<string, Plain>>;
  outputs(): Dict;
  readonly stackName: string;
}

/** A type that stands for a stack of its own: the engine drives that stack in its place. */
export interface NestedHandler {
  readonly type: string;
  readonly nested: true;
  child(of: {
    readonly properties: Properties;
    readonly name: string;
    /** Names of the members that are there. */
    readonly existing: readonly string[];
    /** Members that were marked as unhealthy or asked to go. */
    readonly removed: readonly string[];
    readonly data: Readonly<Record<string, Plain>>;
    /** Properties of another resource of the same stack, by what refers to it; undefined while it is not made. */
    peer(reference: Plain): Properties | undefined;
    /** One of the files that came with the stack. */
    file(name: string): string | undefined;
  }): Child;
  /** Attributes of a group; `resource.NAME…` is read before. Without it the type has those of a template. */
  readonly attribute?: (group: Group, name: string, path: readonly Value[]) => Value;
}
