// Power: what state a system is in, and which ResetType makes the one wanted. Pure; DSP0268 ComputerSystem, Resource.ResetType.

export type Power = 'on' | 'off';

/** `PoweringOff` still has power; `PoweringOn` has it already. A paused machine is one that runs. */
const powerStates: Readonly<Record<string, Power>> = {
  On: 'on',
  PoweringOn: 'on',
  PoweringOff: 'on',
  Paused: 'on',
  Off: 'off',
};

export const powerOf = (state: unknown): Power | null =>
  typeof state === 'string' ? (powerStates[state] ?? null) : null;

export const resetGoals = ['on', 'off', 'soft off', 'reset', 'cycle', 'soft reset', 'interrupt'] as const;
export type ResetGoal = (typeof resetGoals)[number];

interface ResetWay {
  readonly type: string;
  /** Does what is wanted only from this state: a pushed button toggles. */
  readonly from?: Power;
}

/** Goal → ResetTypes that reach it, the best first. */
export const resetWays: Readonly<Record<ResetGoal, readonly ResetWay[]>> = {
  on: [{ type: 'On' }, { type: 'ForceOn' }, { type: 'PushPowerButton', from: 'off' }],
  off: [{ type: 'ForceOff' }],
  // A short push is what ACPI calls a request to shut down.
  'soft off': [{ type: 'GracefulShutdown' }, { type: 'PushPowerButton', from: 'on' }],
  reset: [{ type: 'ForceRestart' }, { type: 'PowerCycle' }],
  cycle: [{ type: 'PowerCycle' }, { type: 'FullPowerCycle' }, { type: 'ForceRestart' }],
  'soft reset': [{ type: 'GracefulRestart' }],
  interrupt: [{ type: 'Nmi' }],
};

/**
 * The ResetType to send from a state, null where the BMC allows none of those that would do. Where it does not say what it allows,
 * the first is sent, and the BMC decides.
 */
export function resetType(goal: ResetGoal, from: Power, allowable: readonly string[] | null): string | null {
  const ways = resetWays[goal].filter((way) => way.from === undefined || way.from === from);
  if (allowable === null) return ways[0]?.type ?? null;
  return ways.find(({ type }) => allowable.includes(type))?.type ?? null;
}

/** The state that a goal ends in. */
export const endOf = (goal: ResetGoal): Power => (goal === 'off' || goal === 'soft off' ? 'off' : 'on');
