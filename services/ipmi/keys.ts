// The key schedule of RAKP (IPMI 2.0 section 13.31 to 13.33). Proven for suite 3 by the captures' independent derivation,
// for suite 17 by ipmitool and FreeIPMI accepting this code's server half.

import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { IpmiError } from './errors.ts';
import type { HashName } from './suites.ts';

/** A password as the BMC keys it: UTF-8 bytes, zero-padded to 20 (proven: ipmi_sim, ipmitool, FreeIPMI). Some BMCs store 16 only. */
export function passwordKey(password: string | Uint8Array): Buffer {
  const bytes = typeof password === 'string' ? Buffer.from(password, 'utf8') : password;
  if (bytes.length > 20) {
    throw new IpmiError(
      'bad-argument',
      `the password has ${bytes.length} bytes; IPMI 2.0 keeps at most 20, and a BMC would cut it silently`,
    );
  }
  const key = Buffer.alloc(20);
  key.set(bytes);
  return key;
}

/** K_g: 20 bytes, given as bytes, as text of at most 20 bytes, or as 0x and 40 hex digits. All zeros means "none" (section 13.31). */
export function bmcKey(kg: string | Uint8Array): Buffer | undefined {
  let bytes: Uint8Array;
  if (typeof kg !== 'string') bytes = kg;
  else if (/^0x[0-9a-fA-F]{2,40}$/.test(kg) && kg.length % 2 === 0) bytes = Buffer.from(kg.slice(2), 'hex');
  else bytes = Buffer.from(kg, 'utf8');
  if (bytes.length > 20)
    throw new IpmiError('bad-argument', `kg has ${bytes.length} bytes; the BMC key has at most 20`);
  const key = Buffer.alloc(20);
  key.set(bytes);
  return key.every((byte) => byte === 0) ? undefined : key;
}

/**
 * Bytes of their own. Node cuts small Buffers from slabs of 8 KiB, and one that lives as long as a session would hold its whole slab:
 * of a thousand sessions, megabytes.
 */
export function own(bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(bytes.length);
  out.set(bytes);
  return out;
}

/** A user name as sent: at most 16 bytes (section 13.20). */
export function userBytes(user: string): Buffer {
  const bytes = own(Buffer.from(user, 'utf8'));
  if (bytes.length > 16)
    throw new IpmiError('bad-argument', `the user name has ${bytes.length} bytes; IPMI keeps at most 16`);
  if (bytes.includes(0)) throw new IpmiError('bad-argument', 'the user name holds a zero byte');
  return bytes;
}

export function hmac(hash: HashName, key: KeyObject, data: Uint8Array): Buffer {
  return createHmac(hash, key).update(data).digest();
}

/** Everything both sides of a RAKP exchange know. Ids are 4 bytes little-endian on the wire; randoms and GUID 16 bytes each. */
export interface RakpFacts {
  consoleId: number;
  bmcId: number;
  consoleRandom: Uint8Array;
  bmcRandom: Uint8Array;
  guid: Uint8Array;
  /** Role byte of RAKP 1, with its name-only bit: the same byte is proven (see net gotchas in docs/reference/ipmi.md). */
  role: number;
  user: Uint8Array;
}

const le32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** HMAC_user(SIDm | SIDc | Rm | Rc | GUID | role | length | user): the BMC's proof. */
export function rakp2Code(hash: HashName, key: KeyObject, f: RakpFacts): Buffer {
  const tail = [f.role, f.user.length];
  return hmac(
    hash,
    key,
    Buffer.concat([
      le32(f.consoleId),
      le32(f.bmcId),
      f.consoleRandom,
      f.bmcRandom,
      f.guid,
      Uint8Array.from(tail),
      f.user,
    ]),
  );
}

/** HMAC_user(Rc | SIDm | role | length | user): the console's proof. */
export function rakp3Code(hash: HashName, key: KeyObject, f: RakpFacts): Buffer {
  return hmac(
    hash,
    key,
    Buffer.concat([f.bmcRandom, le32(f.consoleId), Uint8Array.from([f.role, f.user.length]), f.user]),
  );
}

/** HMAC_SIK(Rm | SIDc | GUID), cut to the suite's length: proves that both hold K_g. */
export function rakp4Code(hash: HashName, sik: KeyObject, f: RakpFacts, bytes: number): Buffer {
  return hmac(hash, sik, Buffer.concat([f.consoleRandom, le32(f.bmcId), f.guid])).subarray(0, bytes);
}

export interface SessionKeys {
  sik: KeyObject;
  /** Integrity key, as long as the hash. */
  k1: KeyObject;
  /** First 16 bytes of K2: the AES-128 key. */
  aes: Buffer;
}

// 20-byte constants for SHA-256 too: the text leaves it open, ipmitool and FreeIPMI agree on 20.
const CONST_1 = Buffer.alloc(20, 1);
const CONST_2 = Buffer.alloc(20, 2);

/** SIK = HMAC_Kg(Rm | Rc | role | length | user), where Kg is the user key when the BMC has no key of its own. */
export function deriveKeys(hash: HashName, kg: KeyObject, f: RakpFacts): SessionKeys {
  const seed = Buffer.concat([f.consoleRandom, f.bmcRandom, Uint8Array.from([f.role, f.user.length]), f.user]);
  const sik = createSecretKey(hmac(hash, kg, seed));
  return {
    sik,
    k1: createSecretKey(hmac(hash, sik, CONST_1)),
    aes: hmac(hash, sik, CONST_2).subarray(0, 16),
  };
}

/** Compares two codes in constant time; different lengths are different. */
export function sameCode(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
