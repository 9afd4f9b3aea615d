import type { PropertySchemas } from './properties.ts';
import type { TranslationRule } from './translation.ts';
import type { Value } from './values.ts';

/** What a resource type says of itself, as data. */
export interface ResourceType {
  readonly name: string;
  readonly description?: string;
  readonly properties: PropertySchemas;
  readonly attributes: Readonly<Record<string, AttributeSchema>>;
  /** The schema of update_policy (and batch creation). */
  readonly update_policy?: PropertySchemas;
  /** Takes any attribute's name, not only those listed: groups ("resource.0.x"), deployments (outputs). */
  readonly any_attribute?: boolean;
  /** Takes any property and ignores it (OS::Heat::None). */
  readonly any_property?: boolean;
  /** What get_resource gives before the resource exists: its name (default), nothing, or the text "None". */
  readonly reference?: 'name' | 'none' | 'none-text';
  /** Whether deletion_policy: Snapshot is possible. */
  readonly snapshot?: boolean;
  /** Whether it stands for a stack of its own. */
  readonly nested?: boolean;
  readonly translation?: readonly TranslationRule[];
  /** Properties that Heat reads as soon as it sees the resource: a wrong one fails before validation proper. */
  readonly early?: readonly string[];
  /**
   * A deprecated property that, where it is given, becomes an item of the list `into` (or just vanishes): the value itself,
   * or a map with it as `field` beside `rest`.
   */
  readonly converts?: {
    readonly from: string;
    readonly into?: string;
    readonly item?: { readonly field: string; readonly rest: Record<string, unknown> };
  };
  /** A property whose value gives the type of another (OS::Heat::Value's `type` that of its `value`). */
  readonly typed_by?: { readonly property: string; readonly by: string };
  readonly support?: { status?: string; version?: string; message?: string };
  /** The OpenStack service that it needs. */
  readonly service?: string | null;
  readonly handlers?: readonly string[];
}

export interface AttributeSchema {
  type?: string;
  description?: string;
  cache?: 'none';
  support?: { status?: string; version?: string; message?: string };
}

/** The port to whoever knows the resource types. `builtInCatalog` knows Heat's 207; an engine adds or replaces its own. */
export interface TypeCatalog {
  type(name: string): ResourceType | undefined;
  /** Names that stand for other types; both may end in "*". */
  aliases(): ReadonlyMap<string, string>;
  /** All names, aliases left out. */
  names(): Iterable<string>;
  /**
   * What is wrong with a value under a custom constraint ("nova.flavor"): undefined where nothing is, null where there is
   * no such constraint. Must not block: constraints that ask a service are answered from a snapshot, or pass. `now` is the
   * moment in milliseconds since 1970 that expiries are held against; without it they pass.
   */
  constraint(name: string, value: Value, now?: number): string | undefined | null;
}

/** A catalog that looks in `own` first, then in `base`. */
export function catalogWith(base: TypeCatalog, own: Iterable<ResourceType>): TypeCatalog {
  const mine = new Map([...own].map((type) => [type.name, type]));
  return {
    type: (name) => mine.get(name) ?? base.type(name),
    aliases: () => base.aliases(),
    names: () => new Set([...mine.keys(), ...base.names()]),
    constraint: (name, value, now) => base.constraint(name, value, now),
  };
}
