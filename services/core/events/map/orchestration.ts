export interface OrchestrationEvents {
  /** Subject: the stack. `CREATE` goes `IN_PROGRESS` → `COMPLETE` or `FAILED`; the last one carries the duration. */
  'stack.state': { name: string; action: string; status: string; reason: string };
  /** Subject: the stack that has the resource; `CREATE COMPLETE` and the like, with the duration at its end. */
  'resource.state': {
    name: string;
    type: string;
    action: string;
    status: string;
    reason: string;
    physicalId: string | null;
  };
  /** A resource now waits for something outside the stack; written once for each new thing. */
  'resource.waiting': {
    name: string;
    type: string;
    /** `CREATE_IN_PROGRESS`, or `INIT_COMPLETE` before a hook. */
    state?: string;
    on: string;
    remedy: string;
    usualSeconds: number | null;
  };
  /** Something reported to the resource (an agent, a wait condition's script). */
  'resource.signal': { name: string; type: string; text: string };
}
