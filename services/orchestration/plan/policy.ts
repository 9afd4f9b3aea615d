/** What a plan may not do, whoever asks for it: refused before anything moves. */
import { fault } from '../../core/errors/index.ts';
import type { Plain } from '../model.ts';
import { flat, type PlannedResource } from './resources.ts';

export type Forbidden = 'delete' | 'replace' | 'wipe' | 'rewrite' | 'reboot';

export interface Policy {
  /** Resources that may be deleted or replaced, at most. */
  readonly most_deletions?: number;
  /** Paths (`db`, `group[*].server`, `web*`) of resources that stay as they are or are changed in place. */
  readonly protected?: readonly string[];
  readonly forbid?: readonly Forbidden[];
}

const forbidden: readonly Forbidden[] = ['delete', 'replace', 'wipe', 'rewrite', 'reboot'];
const keys = ['most_deletions', 'protected', 'forbid'];

/** @throws Fault `bad-request` for what is none */
export function policyFrom(given: Plain | undefined): Policy | undefined {
  if (given === undefined || given === null) return undefined;
  const refuse = (reason: string) => fault('bad-request', { reason: `The policy cannot be used: ${reason}` });
  if (typeof given !== 'object' || Array.isArray(given)) throw refuse('it has to be a map.');
  const odd = Object.keys(given).find((key) => !keys.includes(key));
  if (odd) throw refuse(`“${odd}” is none of ${keys.join(', ')}.`);
  const { most_deletions: most, protected: kept, forbid } = given as { [key: string]: Plain | undefined };
  if (most !== undefined && (!Number.isInteger(most) || Number(most) < 0))
    throw refuse('most_deletions has to be a whole number.');
  const texts = (value: Plain | undefined, name: string): string[] | undefined => {
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.some((one) => typeof one !== 'string'))
      throw refuse(`${name} has to be a list of texts.`);
    return value as string[];
  };
  const words = texts(forbid, 'forbid');
  const unknown = words?.find((word) => !forbidden.includes(word as Forbidden));
  if (unknown) throw refuse(`“${unknown}” is none of ${forbidden.join(', ')}.`);
  const paths = texts(kept, 'protected');
  return {
    ...(most !== undefined && { most_deletions: Number(most) }),
    ...(paths && { protected: paths }),
    ...(words && { forbid: words as Forbidden[] }),
  };
}

/** `resources.g.resources[0]` → `g[0]`, as people and policies write it. */
const shortPath = (path: string): string => path.replaceAll('.resources[', '[').replaceAll('resources.', '');

function matches(pattern: string, path: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^.[\\]]*')}$`).test(path);
}

/** Sentences; none: the plan may be carried out. */
export function violations(policy: Policy | undefined, resources: readonly PlannedResource[]): string[] {
  if (!policy) return [];
  const out: string[] = [];
  const gone: string[] = [];
  for (const { path, resource } of flat(resources)) {
    const { change, impact } = resource;
    const short = shortPath(path);
    const goes = change === 'delete' || change === 'replace';
    if (goes) gone.push(short);
    if (goes && policy.protected?.some((pattern) => matches(pattern, short)))
      out.push(`${short} is protected, and would be ${change}d (${resource.because ?? 'asked for'}).`);
    for (const word of policy.forbid ?? [])
      if (word === change || word === impact) out.push(`${word} is forbidden, and ${short} would be ${change}d.`);
  }
  const most = policy.most_deletions;
  if (most !== undefined && gone.length > most)
    out.push(`${gone.length} resources would be deleted or replaced, and at most ${most} may be: ${listed(gone)}.`);
  return out;
}

const listed = (names: readonly string[]): string =>
  names.length <= 5 ? names.join(', ') : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`;
