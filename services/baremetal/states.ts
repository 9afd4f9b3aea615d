/**
 * The life of a node, as a table. The story:
 *
 * A node is enrolled: we know its BMC's address, nothing is proven. `manage` verifies the BMC's credentials and reads
 * the power state; a node that passes is manageable: ours to inspect, clean and change, and nobody may have it.
 * `provide` cleans it as the policy says and makes it available: whoever wants a server may get it. `deploy` writes an
 * image to it: the machine is started into the agent and the node waits for its call back; with the agent there it goes
 * on deploying until the system on its disk has been started, and is active. `delete` takes it back: deleting, cleaning,
 * available again. Every working state has a failed state that says what went wrong in last_error and keeps the node
 * where it is until somebody chooses: the same verb again, or the way back (`manage`, `delete`).
 *
 * Holds stop between steps, rescue boots a ramdisk beside an installed system, service works on an active node, adopt
 * takes a machine that already runs. The table has them all, because clients show these states; verbs.ts says which of
 * them this release carries out.
 *
 * States and events are Ironic's (master of 2026-08, API 1.115), complete: test/captures/ironic/state-machine.json, and
 * states.test.ts walks every cell. docs/reference/node-states.md is drawn from here.
 */

export const provisionStates = [
  'enroll',
  'verifying',
  'manageable',
  'inspecting',
  'inspect wait',
  'inspect failed',
  'cleaning',
  'clean wait',
  'clean hold',
  'clean failed',
  'available',
  'deploying',
  'wait call-back',
  'deploy hold',
  'deploy failed',
  'active',
  'deleting',
  'error',
  'adopting',
  'adopt failed',
  'rescuing',
  'rescue wait',
  'rescue failed',
  'rescue',
  'unrescuing',
  'unrescue failed',
  'servicing',
  'service wait',
  'service hold',
  'service failed',
] as const;
export type ProvisionState = (typeof provisionStates)[number];

export const provisionEvents = [
  'manage',
  'inspect',
  'provide',
  'clean',
  'deploy',
  'rebuild',
  'delete',
  'adopt',
  'rescue',
  'unrescue',
  'service',
  'wait',
  'resume',
  'hold',
  'unhold',
  'abort',
  'done',
  'fail',
] as const;
export type ProvisionEvent = (typeof provisionEvents)[number];

/** state × event → next state; a missing cell is a refusal. */
export const provisionTable: Readonly<
  Record<ProvisionState, Readonly<Partial<Record<ProvisionEvent, ProvisionState>>>>
> = {
  enroll: { manage: 'verifying' },
  verifying: { done: 'manageable', fail: 'enroll' },
  manageable: { provide: 'cleaning', clean: 'cleaning', inspect: 'inspecting', adopt: 'adopting' },
  inspecting: { done: 'manageable', fail: 'inspect failed', wait: 'inspect wait' },
  'inspect wait': { done: 'manageable', fail: 'inspect failed', abort: 'inspect failed', resume: 'inspecting' },
  'inspect failed': { manage: 'manageable', inspect: 'inspecting' },
  cleaning: { done: 'available', manage: 'manageable', fail: 'clean failed', wait: 'clean wait', hold: 'clean hold' },
  'clean wait': { resume: 'cleaning', fail: 'clean failed', abort: 'clean failed', hold: 'clean hold' },
  'clean hold': { unhold: 'clean wait', abort: 'clean failed' },
  'clean failed': { manage: 'manageable' },
  available: { deploy: 'deploying', manage: 'manageable' },
  deploying: { done: 'active', fail: 'deploy failed', wait: 'wait call-back', hold: 'deploy hold' },
  'wait call-back': {
    resume: 'deploying',
    fail: 'deploy failed',
    abort: 'deploy failed',
    delete: 'deleting',
    hold: 'deploy hold',
  },
  'deploy hold': { unhold: 'wait call-back', abort: 'deploy failed' },
  'deploy failed': { deploy: 'deploying', rebuild: 'deploying', delete: 'deleting' },
  active: { rebuild: 'deploying', delete: 'deleting', rescue: 'rescuing', service: 'servicing' },
  deleting: { clean: 'cleaning', fail: 'error' },
  error: { rebuild: 'deploying', delete: 'deleting' },
  adopting: { done: 'active', fail: 'adopt failed' },
  'adopt failed': { adopt: 'adopting', manage: 'manageable' },
  rescuing: { done: 'rescue', wait: 'rescue wait', fail: 'rescue failed' },
  'rescue wait': { resume: 'rescuing', fail: 'rescue failed', abort: 'rescue failed', delete: 'deleting' },
  'rescue failed': { rescue: 'rescuing', unrescue: 'unrescuing', delete: 'deleting' },
  rescue: { rescue: 'rescuing', unrescue: 'unrescuing', delete: 'deleting' },
  unrescuing: { done: 'active', fail: 'unrescue failed' },
  'unrescue failed': { rescue: 'rescuing', unrescue: 'unrescuing', delete: 'deleting' },
  servicing: { done: 'active', fail: 'service failed', wait: 'service wait', hold: 'service hold' },
  'service wait': {
    resume: 'servicing',
    fail: 'service failed',
    abort: 'service failed',
    delete: 'deleting',
    hold: 'service hold',
  },
  'service hold': { service: 'servicing', unhold: 'service wait', fail: 'service failed', abort: 'service failed' },
  'service failed': {
    service: 'servicing',
    rescue: 'rescuing',
    delete: 'deleting',
    wait: 'service wait',
    hold: 'service hold',
    abort: 'active',
  },
};

/** Where a node stays until somebody asks for something. */
export const stableStates: readonly ProvisionState[] = [
  'enroll',
  'manageable',
  'available',
  'active',
  'error',
  'rescue',
];

/** What a state is on its way to: shown as target_provision_state. Stable states have none. */
export const defaultTargets: Readonly<Partial<Record<ProvisionState, ProvisionState>>> = {
  verifying: 'manageable',
  deploying: 'active',
  'wait call-back': 'active',
  'deploy failed': 'active',
  'deploy hold': 'active',
  cleaning: 'available',
  'clean wait': 'available',
  'clean failed': 'available',
  'clean hold': 'available',
  deleting: 'available',
  inspecting: 'manageable',
  'inspect failed': 'manageable',
  'inspect wait': 'manageable',
  adopting: 'active',
  'adopt failed': 'active',
  rescuing: 'rescue',
  'rescue wait': 'rescue',
  'rescue failed': 'rescue',
  unrescuing: 'active',
  'unrescue failed': 'active',
  servicing: 'active',
  'service wait': 'active',
  'service failed': 'active',
  'service hold': 'active',
};

/** The next state, or null when the event has no place in this one. */
export const nextState = (from: ProvisionState, event: ProvisionEvent): ProvisionState | null =>
  provisionTable[from][event] ?? null;

export const isProvisionState = (text: string): text is ProvisionState =>
  (provisionStates as readonly string[]).includes(text);

/** States in which an agent may find its node (Ironic's LOOKUP_ALLOWED_STATES). */
export const lookupStates: readonly ProvisionState[] = [
  'deploying',
  'wait call-back',
  'cleaning',
  'clean wait',
  'inspecting',
  'inspect wait',
  'rescuing',
  'rescue wait',
  'servicing',
  'service wait',
];

/** States in which a node's record may be deleted (Ironic's DELETE_ALLOWED_STATES, and `available` as its API allows). */
export const deletableStates: readonly ProvisionState[] = [
  'enroll',
  'manageable',
  'available',
  'adopt failed',
  'inspect failed',
  'clean failed',
];
