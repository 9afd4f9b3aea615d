/** How much one client, and all together, may have at once. */
export interface TftpLimits {
  /** Transfers under way to one address. */
  readonly sessionsPerClient: number;
  readonly sessions: number;
  /** Requests of one address: so many at once, refilled at so many a second. */
  readonly requestBurst: number;
  readonly requestsPerSecond: number;
}

export const TFTP_LIMITS: TftpLimits = {
  sessionsPerClient: 64,
  sessions: 4_096,
  requestBurst: 200,
  requestsPerSecond: 50,
};

/** So many addresses are remembered; a new one beyond that pushes the oldest idle one out. */
const REMEMBERED = 10_000;

interface Account {
  sessions: number;
  tokens: number;
  at: number;
}

export class Admission {
  readonly #limits: TftpLimits;
  readonly #accounts = new Map<string, Account>();
  #sessions = 0;

  constructor(limits: TftpLimits) {
    this.#limits = limits;
  }

  get sessions(): number {
    return this.#sessions;
  }

  /** Undefined: let in, and counted until `leave`. Otherwise the sentence that says why not; `answer` tells whether to say it to the client. */
  enter(address: string, now: number): { readonly reason: string; readonly answer: boolean } | undefined {
    const account = this.#account(address, now);
    account.tokens = Math.min(
      this.#limits.requestBurst,
      account.tokens + ((now - account.at) * this.#limits.requestsPerSecond) / 1000,
    );
    account.at = now;
    // To a flood every answer would be an echo of it.
    if (account.tokens < 1) return { reason: 'this client asks too often', answer: false };
    account.tokens--;
    if (account.sessions >= this.#limits.sessionsPerClient)
      return { reason: `${account.sessions} transfers to this client are under way already`, answer: true };
    if (this.#sessions >= this.#limits.sessions)
      return { reason: `${this.#sessions} transfers are under way already`, answer: true };
    account.sessions++;
    this.#sessions++;
    return undefined;
  }

  leave(address: string): void {
    const account = this.#accounts.get(address);
    if (account) account.sessions--;
    this.#sessions--;
  }

  #account(address: string, now: number): Account {
    const known = this.#accounts.get(address);
    if (known) return known;
    if (this.#accounts.size >= REMEMBERED) {
      for (const [other, account] of this.#accounts) {
        if (account.sessions > 0) continue;
        this.#accounts.delete(other);
        break;
      }
    }
    const account = { sessions: 0, tokens: this.#limits.requestBurst, at: now };
    this.#accounts.set(address, account);
    return account;
  }
}
