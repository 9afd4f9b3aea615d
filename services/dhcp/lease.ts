/**
 * Bindings and where they are kept. The engine answers from memory; the store is what makes a binding outlive the process, and an ACK for a new
 * binding leaves only when `commit` has resolved (RFC 2131 section 3.1 step 4: committed to persistent storage before the ACK).
 */

/** `declined`: a client found the address in use, so nobody gets it until `expiresAt`. */
export type BindingState = 'leased' | 'released' | 'declined';

export interface Binding {
  /** Id of the subnet; with the address, the key of a binding. */
  readonly subnet: string;
  /** Dotted quad. */
  readonly address: string;
  readonly state: BindingState;
  /** By what the client is recognised: `mac 52:54:00:aa:00:01` or `id 01525400aa0001`. */
  readonly client: string;
  readonly mac: string | null;
  /** Option 61 as hex. */
  readonly clientId: string | null;
  readonly hostName: string | null;
  /** Milliseconds since 1970, of the clock given to the engine. */
  readonly grantedAt: number;
  readonly expiresAt: number;
}

export interface LeaseStore {
  /** Every binding there is, in any order; read once when the engine opens. */
  all(): AsyncIterable<Binding>;
  /** One binding, as last committed. */
  find(subnet: string, address: string): Promise<Binding | undefined>;
  /**
   * Writes or replaces the binding of its subnet and address, and resolves when that is durable. Calls are not waited for one by one: an adapter may
   * gather many into one transaction, but of two calls for one address the later must win. A rejection means that nothing was written.
   */
  commit(binding: Binding): Promise<void>;
}

export function bindingKey(binding: { readonly subnet: string; readonly address: string }): string {
  return `${binding.subnet} ${binding.address}`;
}
