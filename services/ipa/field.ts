/**
 * Readers for fields of messages that a stranger wrote. Each takes the value, its name for the sentence, and its bounds;
 * each returns the value typed or throws ProtocolError. Plain TypeScript, because this also runs in the deploy ramdisk.
 */

/** A message broke the protocol; `status` is the HTTP status that says so. The message is a sentence. */
export class ProtocolError extends Error {
  override name = 'ProtocolError';
  readonly status: number;
  constructor(message: string, status = 400) {
    super(message);
    this.status = status;
  }
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** Long values and secrets do not belong into an error's sentence. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

export function object(value: unknown, what: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ProtocolError(`${what} must be an object, not ${shown(value)}.`);
  return value as JsonObject;
}

export function list(value: unknown, what: string, most = 10_000): Json[] {
  if (!Array.isArray(value)) throw new ProtocolError(`${what} must be a list, not ${shown(value)}.`);
  if (value.length > most) throw new ProtocolError(`${what} has ${value.length} entries, more than ${most}.`);
  return value as Json[];
}

export function text(value: unknown, what: string, most = 4096): string {
  if (typeof value !== 'string') throw new ProtocolError(`${what} must be a string, not ${shown(value)}.`);
  if (value.length === 0) throw new ProtocolError(`${what} must not be empty.`);
  if (value.length > most) throw new ProtocolError(`${what} has ${value.length} characters, more than ${most}.`);
  return value;
}

export function whole(value: unknown, what: string, low = 0, high: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < low || value > high)
    throw new ProtocolError(`${what} must be a whole number from ${low} to ${high}, not ${shown(value)}.`);
  return value;
}

export function truth(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw new ProtocolError(`${what} must be true or false, not ${shown(value)}.`);
  return value;
}

export function httpUrl(value: unknown, what: string): string {
  const given = text(value, what, 8192);
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new ProtocolError(`${what} must be an http or https URL, not ${shown(value)}.`);
  return given;
}

export function sha256(value: unknown, what: string): string {
  const given = text(value, what, 64).toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(given))
    throw new ProtocolError(`${what} must be 64 hexadecimal digits, not ${shown(value)}.`);
  return given;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function uuid(value: unknown, what: string): string {
  const given = text(value, what, 36);
  if (!UUID.test(given)) throw new ProtocolError(`${what} must be a UUID, not ${shown(value)}.`);
  return given.toLowerCase();
}

/** Ethernet (6 octets) or InfiniBand (20) address, lower case, colons. */
export function mac(value: unknown, what: string): string {
  const given = text(value, what, 59).toLowerCase().replaceAll('-', ':');
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(given) && !/^([0-9a-f]{2}:){19}[0-9a-f]{2}$/.test(given))
    throw new ProtocolError(`${what} must be a MAC address, not ${shown(value)}.`);
  return given;
}

/** Absent and null mean the same on this wire: the peer's serialiser writes None as null. */
export function optional<T>(value: unknown, what: string, read: (value: unknown, what: string) => T): T | undefined {
  return value === undefined || value === null ? undefined : read(value, what);
}
