import { readAddress } from './address.ts';

/** The relay agent information option, 82 (RFC 3046): sub-options that the relay added and wants back unchanged. */
export interface RelayAgent {
  readonly circuitId?: Uint8Array;
  readonly remoteId?: Uint8Array;
  /** RFC 3527: the link the client is on, where giaddr names another one. */
  readonly linkSelection?: number;
  /** RFC 3993. */
  readonly subscriberId?: Uint8Array;
  /** RFC 5107: the server identifier the client is to see, so that renewals come through the relay too. */
  readonly serverOverride?: number;
  /** RFC 8357: the relay listens on the port it sent from, not on 67. */
  readonly answersSourcePort: boolean;
}

/** Undefined where the sub-options do not add up; the bytes are then still echoed. */
export function readRelayAgent(bytes: Uint8Array): RelayAgent | undefined {
  const parts = readSubOptions(bytes);
  if (!parts) return undefined;
  const link = parts.get(5);
  const override = parts.get(11);
  if ((link && link.length !== 4) || (override && override.length !== 4)) return undefined;
  const circuitId = parts.get(1);
  const remoteId = parts.get(2);
  const subscriberId = parts.get(6);
  return {
    ...(circuitId && { circuitId }),
    ...(remoteId && { remoteId }),
    ...(subscriberId && { subscriberId }),
    ...(link && { linkSelection: readAddress(link) }),
    ...(override && { serverOverride: readAddress(override) }),
    answersSourcePort: parts.has(19),
  };
}

/** Code, length, value without PAD or END: the layout of option 82. The first of a repeated code counts. */
export function readSubOptions(bytes: Uint8Array): Map<number, Uint8Array> | undefined {
  const parts = new Map<number, Uint8Array>();
  let at = 0;
  while (at < bytes.length) {
    const length = bytes[at + 1];
    if (length === undefined || at + 2 + length > bytes.length) return undefined;
    if (!parts.has(bytes[at]!)) parts.set(bytes[at]!, bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return parts;
}
