// What can go wrong with our mock-up, each by its own knob; all may be changed at any time. Counts go down as they happen.

export interface MockupFaults {
  /** Requests that are answered 503 with Retry-After. */
  busy: number;
  /** Seconds of that Retry-After. */
  retryAfter: number;
  /** Requests answered 500. */
  broken: number;
  /** PATCHes that find the resource changed since it was read: 412. */
  staleEtag: number;
  /** GETs whose JSON ends in the middle. */
  truncated: number;
  /** Milliseconds before each answer; whoever serves the mock-up waits. */
  slowMs: number;
  /** Hears and never answers. */
  deaf: boolean;
  /** `honest`; `forgets`: takes an override and reads back none; `ignores`: reads it back and boots by its own order. */
  boot: 'honest' | 'forgets' | 'ignores';
  /** Writes are answered 202, and done after so many looks at the task monitor; 0: at once. */
  tasks: number;
  /** Tasks end in an exception. */
  tasksFail: boolean;
  /** Names of properties that are missing from every resource: `Chassis`, `ManagedBy`, `Managers`. */
  missing: Set<string>;
  /** No session service. */
  noSessions: boolean;
  /** No session is free. */
  sessionsFull: boolean;
  /** Media are taken and never inserted. */
  mediaStaysEmpty: boolean;
  /** All that users may do is change the password. */
  passwordExpired: boolean;
  /** Answers are HTML: something else sits at this address. */
  notRedfish: boolean;
  /** GETs whose answer is endless. */
  endless: number;
}

export const noFaults = (): MockupFaults => ({
  busy: 0,
  retryAfter: 1,
  broken: 0,
  staleEtag: 0,
  truncated: 0,
  slowMs: 0,
  deaf: false,
  boot: 'honest',
  tasks: 0,
  tasksFail: false,
  missing: new Set(),
  noSessions: false,
  sessionsFull: false,
  mediaStaysEmpty: false,
  passwordExpired: false,
  notRedfish: false,
  endless: 0,
});
