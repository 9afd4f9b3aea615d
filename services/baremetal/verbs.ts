/** What a client may ask of a node: Ironic's verbs, the event each stands for, and since which API version. */
import type { ProvisionEvent } from './states.ts';

export interface Verb {
  readonly verb: string;
  readonly event: ProvisionEvent;
  /** Minor version of the API that knows it. */
  readonly since: number;
  /** False: the state table has its place, and this release refuses it with a sentence. */
  readonly carriedOut: boolean;
}

export const provisionVerbs: readonly Verb[] = [
  { verb: 'active', event: 'deploy', since: 1, carriedOut: true },
  { verb: 'deploy', event: 'deploy', since: 1, carriedOut: true },
  { verb: 'rebuild', event: 'rebuild', since: 1, carriedOut: true },
  { verb: 'deleted', event: 'delete', since: 1, carriedOut: true },
  { verb: 'undeploy', event: 'delete', since: 1, carriedOut: true },
  { verb: 'manage', event: 'manage', since: 4, carriedOut: true },
  { verb: 'provide', event: 'provide', since: 4, carriedOut: true },
  { verb: 'inspect', event: 'inspect', since: 6, carriedOut: true },
  { verb: 'abort', event: 'abort', since: 13, carriedOut: true },
  { verb: 'clean', event: 'clean', since: 15, carriedOut: true },
  { verb: 'adopt', event: 'adopt', since: 17, carriedOut: true },
  { verb: 'rescue', event: 'rescue', since: 38, carriedOut: false },
  { verb: 'unrescue', event: 'unrescue', since: 38, carriedOut: false },
  { verb: 'unhold', event: 'unhold', since: 85, carriedOut: false },
  { verb: 'service', event: 'service', since: 87, carriedOut: false },
];

export const findVerb = (name: string): Verb | null => provisionVerbs.find(({ verb }) => verb === name) ?? null;

export type PowerAction = 'power on' | 'power off' | 'rebooting' | 'soft power off' | 'soft rebooting';

/** Ironic's power targets, since which API version, and the state that a node shows meanwhile as its target. */
export const powerActions: Readonly<
  Record<string, { action: PowerAction; since: number; target: 'power on' | 'power off' }>
> = {
  'power on': { action: 'power on', since: 1, target: 'power on' },
  'power off': { action: 'power off', since: 1, target: 'power off' },
  rebooting: { action: 'rebooting', since: 1, target: 'power on' },
  reboot: { action: 'rebooting', since: 1, target: 'power on' },
  'soft power off': { action: 'soft power off', since: 27, target: 'power off' },
  'soft rebooting': { action: 'soft rebooting', since: 27, target: 'power on' },
};
