/**
 * Options of a read request, as a table (RFC 2347): what the client asks is accepted, lowered to what we can do, or left out of the answer, which
 * the client has to take as "no". Options that are not here are left out, too.
 */

export interface Capabilities {
  /** Largest block we send; 1468 fits an Ethernet frame, and ROMs cannot put fragments together. */
  readonly blockSize: number;
  /** Most blocks sent before an ACK is waited for. */
  readonly windowSize: number;
}

export const CAPABILITIES: Capabilities = { blockSize: 1468, windowSize: 64 };

export interface Agreement {
  readonly blockSize: number;
  readonly windowSize: number;
  /** The client's retransmission interval, if it named one. */
  readonly timeoutMs: number | undefined;
  /** Whether the client asked for the size: OVMF does so first, and then aborts. */
  readonly asksSize: boolean;
  /** What goes into the OACK; empty: none is sent, and DATA 1 starts the transfer. */
  readonly accepted: readonly (readonly [string, string])[];
}

interface OptionRule {
  /** The value to answer with, or undefined to leave the option out. */
  readonly answer: (value: number, size: number, can: Capabilities) => number | undefined;
}

const RULES: Readonly<Record<string, OptionRule>> = {
  // RFC 2348: 8 to 65464; the server may answer with less.
  blksize: { answer: (value, _, can) => (value >= 8 && value <= 65464 ? Math.min(value, can.blockSize) : undefined) },
  // RFC 2349: 1 to 255 seconds, to be repeated as it is.
  timeout: { answer: (value) => (value >= 1 && value <= 255 ? value : undefined) },
  // RFC 2349: the client sends 0, the server the size.
  tsize: { answer: (_, size) => size },
  // RFC 7440: 1 to 65535; the server may answer with less.
  windowsize: {
    answer: (value, _, can) => (value >= 1 && value <= 65535 ? Math.min(value, can.windowSize) : undefined),
  },
};

export function negotiate(
  options: ReadonlyMap<string, string>,
  size: number,
  can: Capabilities = CAPABILITIES,
): Agreement {
  const accepted: [string, string][] = [];
  const values: Record<string, number> = {};
  for (const [name, text] of options) {
    const rule = Object.hasOwn(RULES, name) ? RULES[name] : undefined;
    if (!rule || !/^\d{1,10}$/.test(text)) continue;
    const answer = rule.answer(Number(text), size, can);
    if (answer === undefined) continue;
    values[name] = answer;
    accepted.push([name, String(answer)]);
  }
  return {
    blockSize: values.blksize ?? 512,
    windowSize: values.windowsize ?? 1,
    timeoutMs: values.timeout === undefined ? undefined : values.timeout * 1000,
    asksSize: values.tsize !== undefined,
    accepted,
  };
}
