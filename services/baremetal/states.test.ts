import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  defaultTargets,
  isProvisionState,
  lookupStates,
  nextState,
  type ProvisionEvent,
  type ProvisionState,
  provisionEvents,
  provisionStates,
  provisionTable,
  stableStates,
} from './states.ts';
import { statesPage } from './states-page.ts';
import { provisionVerbs } from './verbs.ts';

interface Machine {
  states: Record<string, { stable: boolean; default_target?: string }>;
  transitions: { from: string; event: string; to: string }[];
  verbs: Record<string, string>;
  lookup_allowed_states: string[];
}
const root = join(import.meta.dirname, '..', '..');
const captured = JSON.parse(readFileSync(join(root, 'test/captures/ironic/state-machine.json'), 'utf8')) as Record<
  string,
  Machine
>;
const ironic = captured['master 2026-08 (API 1.115)'] as Machine;

describe('node states', () => {
  it('has Ironic’s states with their targets', () => {
    expect([...provisionStates].sort()).toEqual(Object.keys(ironic.states).sort());
    for (const [state, { stable, default_target }] of Object.entries(ironic.states)) {
      expect(stableStates.includes(state as ProvisionState), state).toBe(stable);
      expect(defaultTargets[state as ProvisionState], state).toBe(default_target);
    }
  });

  it('agrees with Ironic in every cell', () => {
    const cells = new Map(ironic.transitions.map(({ from, event, to }) => [`${from}/${event}`, to]));
    for (const state of provisionStates)
      for (const event of provisionEvents)
        expect(nextState(state, event), `${state} × ${event}`).toBe(cells.get(`${state}/${event}`) ?? null);
    expect(cells.size).toBe(93);
    for (const { from, event } of ironic.transitions) {
      expect(isProvisionState(from)).toBe(true);
      expect(provisionEvents).toContain(event as ProvisionEvent);
    }
  });

  it('has a way out of every state, and reaches every state', () => {
    const reached = new Set<ProvisionState>(['enroll']);
    for (let size = 0; size !== reached.size; ) {
      size = reached.size;
      for (const state of [...reached]) for (const to of Object.values(provisionTable[state])) reached.add(to);
    }
    // `available` is `cleaning`'s done, so nothing is left out by the walk.
    expect([...reached].sort()).toEqual([...provisionStates].sort());
    for (const state of provisionStates) expect(Object.keys(provisionTable[state]).length, state).toBeGreaterThan(0);
  });

  it('knows Ironic’s verbs', () => {
    for (const [verb, event] of Object.entries(ironic.verbs))
      expect(provisionVerbs.find((v) => v.verb === verb)?.event, verb).toBe(event);
  });

  it('lets agents in where Ironic does', () => {
    for (const state of ironic.lookup_allowed_states) expect(lookupStates).toContain(state);
  });

  it('is drawn in docs/reference/node-states.md as it is', () => {
    const file = join(root, 'docs/reference/node-states.md');
    if (process.env.UPDATE_GOLDEN) writeFileSync(file, statesPage());
    expect(readFileSync(file, 'utf8')).toBe(statesPage());
  });
});
