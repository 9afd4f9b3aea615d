export interface CoreEvents {
  /** A long operation began on the subject. */
  'operation.started': { operation: string; kind: string };
  /** A step ended well; the duration is the event's. */
  'operation.step': { operation: string; kind: string; step: string; title: string };
  /** A step now waits; written once for each new thing it waits on. */
  'operation.waiting': { operation: string; kind: string; step: string; on: string; usualSeconds: number | null };
  /** A step failed and is tried again. */
  'operation.retry': { operation: string; kind: string; step: string; attempt: number; reason: string };
  'operation.succeeded': { operation: string; kind: string };
  'operation.failed': { operation: string; kind: string; step: string; reason: string; remedy: string };
  /** A step of a failed operation was taken back. */
  'operation.undone': { operation: string; kind: string; step: string };
  /** Another process (or this one, restarted) took the operation up again. */
  'operation.resumed': { operation: string; kind: string; step: string; owner: string };
  'service.started': { version: string; pid: number };
  'service.stopped': { reason: string };
}
