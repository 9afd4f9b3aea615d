// Cipher suites (IPMI 2.0 table 22-20; suite 17 from errata E5) as data: which hash proves, which guards, whether AES hides.

export type HashName = 'sha1' | 'sha256';

export interface CipherSuite {
  id: number;
  /** Authentication algorithm number (table 13-17): 1 RAKP-HMAC-SHA1, 3 RAKP-HMAC-SHA256. */
  auth: number;
  /** Integrity algorithm number (table 13-18): 0 none, 1 HMAC-SHA1-96, 4 HMAC-SHA256-128. */
  integrity: number;
  /** Confidentiality algorithm number (table 13-19): 0 none, 1 AES-CBC-128. */
  confidentiality: number;
  hash: HashName;
  /** Bytes of a full RAKP HMAC, and of the shortened one in RAKP 4. */
  hashBytes: number;
  icvBytes: number;
  /** Bytes of the integrity code that ends a packet; 0 without integrity. */
  macBytes: number;
}

/** The suites this program speaks. 0 (no proof of anything) is missing on purpose; the MD5 suites 6 to 14 fell out of use. */
export const CIPHER_SUITES: Readonly<Record<number, CipherSuite>> = {
  1: { id: 1, auth: 1, integrity: 0, confidentiality: 0, hash: 'sha1', hashBytes: 20, icvBytes: 12, macBytes: 0 },
  2: { id: 2, auth: 1, integrity: 1, confidentiality: 0, hash: 'sha1', hashBytes: 20, icvBytes: 12, macBytes: 12 },
  3: { id: 3, auth: 1, integrity: 1, confidentiality: 1, hash: 'sha1', hashBytes: 20, icvBytes: 12, macBytes: 12 },
  17: { id: 17, auth: 3, integrity: 4, confidentiality: 1, hash: 'sha256', hashBytes: 32, icvBytes: 16, macBytes: 16 },
};

/** Best first. 1 and 2 hide nothing, so they are used only where the caller names them. */
export const DEFAULT_SUITES: readonly number[] = [17, 3];

/** The suite with exactly these algorithms, if we speak it. */
export function suiteOf(auth: number, integrity: number, confidentiality: number): CipherSuite | undefined {
  for (const suite of Object.values(CIPHER_SUITES)) {
    if (suite.auth === auth && suite.integrity === integrity && suite.confidentiality === confidentiality) return suite;
  }
  return undefined;
}

/** Suite ids in the records of Get Channel Cipher Suites (section 22.15.1), joined over all its answers. OEM records count too. */
export function parseCipherSuites(records: Uint8Array): number[] {
  const ids: number[] = [];
  let i = 0;
  while (i < records.length) {
    const start = records[i]!;
    if (start === 0xc0) {
      if (i + 1 < records.length) ids.push(records[i + 1]!);
      i += 2;
    } else if (start === 0xc1) {
      if (i + 1 < records.length) ids.push(records[i + 1]!);
      i += 5;
    } else {
      i += 1;
    }
  }
  return ids;
}

/** The records a BMC advertises for these suites: tag, id, then the three algorithms tagged 00, 01, 10 in their top bits. */
export function encodeCipherSuites(ids: readonly number[]): Buffer {
  const out: number[] = [];
  for (const id of ids) {
    const suite = CIPHER_SUITES[id];
    if (suite) out.push(0xc0, id, suite.auth, 0x40 | suite.integrity, 0x80 | suite.confidentiality);
  }
  return Buffer.from(out);
}
