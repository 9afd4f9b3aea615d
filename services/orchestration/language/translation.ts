import { Fault } from './faults.ts';
import { truthy, type Value } from './values.ts';

/**
 * Deprecated properties that stand for newer ones, as data: a port's `network_id` is read as its `network`. (Heat also
 * looks up names as ids here; that needs a cloud and is the engine's business when the resource is created.)
 */
export interface TranslationRule {
  rule: 'Replace' | 'Delete' | 'Add';
  /** The property that gets the value. */
  path: string[];
  value?: unknown;
  /** A sibling of the last step of `path` whose value it takes. */
  value_name?: string;
  /** A property elsewhere whose value it takes. */
  value_path?: string[];
  custom_value_path?: string[];
}

/** Where a rule finds values: a set of properties, or the data of one. */
export interface TranslationSource {
  /** The value at a path of property names, null where there is none. */
  valueAt(path: readonly string[]): Value;
}

/** The rules of one resource while its properties are read. */
export class Translation {
  private readonly rules = new Map<string, TranslationRule[]>();
  private readonly below = new Map<string, string[]>();
  private readonly replaced = new Set<string>();
  private readonly deleted = new Set<string>();
  private active = true;

  constructor(rules: readonly TranslationRule[]) {
    for (const rule of rules) {
      const key = rule.path.join('.');
      this.rules.set(key, [...(this.rules.get(key) ?? []), rule]);
      const parent = rule.path.slice(0, -1).join('.');
      this.below.set(parent, [...(this.below.get(parent) ?? []), rule.path.at(-1)!]);
      if (rule.rule === 'Delete') this.deleted.add(key);
      if (rule.rule === 'Replace') this.replaced.add(sourcePath(rule).join('.'));
    }
  }

  /** The properties below a path that may get their value from elsewhere. */
  targets(path: string): readonly string[] {
    return this.rules.size === 0 ? [] : (this.below.get(ruleKey(path)) ?? []);
  }

  /** Whether the property is never read itself. */
  hides(path: string): boolean {
    if (this.rules.size === 0) return false;
    const key = ruleKey(path);
    return this.active && (this.deleted.has(key) || this.replaced.has(key));
  }

  has(path: string): boolean {
    return this.rules.size > 0 && this.active && this.rules.has(ruleKey(path));
  }

  /** The property's value under the rules. Throws StackValidationFailed where old and new property are both given. */
  apply(path: string, given: Value, siblings: TranslationSource, root: TranslationSource): Value {
    let value = given;
    for (const rule of this.rules.get(ruleKey(path)) ?? []) {
      if (rule.rule === 'Delete') value = null;
      else if (rule.rule === 'Add') value = added(path, rule, value);
      else if (rule.rule === 'Replace') value = this.replace(path, rule, value, siblings, root);
    }
    return value;
  }

  private replace(
    path: string,
    rule: TranslationRule,
    given: Value,
    siblings: TranslationSource,
    root: TranslationSource,
  ): Value {
    const from =
      rule.value_name === undefined ? (rule.value_path ?? []) : [rule.value_name, ...(rule.custom_value_path ?? [])];
    if (from.length === 0) return rule.value === undefined ? given : (rule.value as Value);
    this.active = false;
    let value: Value;
    try {
      value = (rule.value_name === undefined ? root : siblings).valueAt(from);
    } finally {
      this.active = true;
    }
    if (truthy(value) && truthy(given)) {
      throw new Fault(
        'StackValidationFailed',
        `Cannot define the following properties at the same time: ${ruleKey(path)}, ${sourcePath(rule).join('.')}`,
      );
    }
    return value ?? given;
  }
}

function added(path: string, rule: TranslationRule, given: Value): Value {
  if (given !== null && !Array.isArray(given)) {
    throw new Fault(
      'ValueError',
      `Incorrect translation rule using - cannot resolve Add rule for non-list translation value "${path}".`,
    );
  }
  return [...(given ?? []), ...(rule.value as Value[])];
}

function sourcePath(rule: TranslationRule): string[] {
  const custom = rule.custom_value_path ?? [];
  if (rule.value_name !== undefined) return [...rule.path.slice(0, -1), rule.value_name, ...custom];
  return [...(rule.value_path ?? []), ...custom];
}

const ruleKeys = new Map<string, string>();
const MOST_KEYS = 10_000;

/** A property's path without the indexes of lists: what rules are known by. */
function ruleKey(path: string): string {
  let key = ruleKeys.get(path);
  if (key === undefined) {
    key = path
      .split('.')
      .filter((step) => !/^\d+$/.test(step))
      .join('.');
    if (ruleKeys.size >= MOST_KEYS) ruleKeys.clear();
    ruleKeys.set(path, key);
  }
  return key;
}

export const NO_TRANSLATION = new Translation([]);

const known = new WeakMap<readonly TranslationRule[], Translation>();

/** The rules of a type, prepared once. */
export function translationOf(rules: readonly TranslationRule[] | undefined): Translation {
  if (!rules || rules.length === 0) return NO_TRANSLATION;
  let translation = known.get(rules);
  if (!translation) {
    translation = new Translation(rules);
    known.set(rules, translation);
  }
  return translation;
}
