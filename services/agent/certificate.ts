/**
 * The agent's self-signed certificate. node:crypto signs but cannot make X.509, and openssl would cost the ramdisk a megabyte,
 * so the few DER types that RFC 5280 needs are written here. Its fields are those of IPA's own certificate (CA:TRUE, IP in
 * the subjectAltName), so that a stock conductor, which gives it to OpenSSL as its only trusted authority, accepts it.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

export interface AgentCertificate {
  /** PEM, PKCS#8. */
  key: string;
  /** PEM. */
  cert: string;
}

const TAG = {
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  boolean: 0x01,
  sequence: 0x30,
  set: 0x31,
} as const;

function der(tag: number, ...contents: Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const size: number[] = [];
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) size.unshift(rest % 256);
  return Buffer.concat([Buffer.from([tag, 0x80 | size.length, ...size]), body]);
}

const sequence = (...contents: Buffer[]) => der(TAG.sequence, ...contents);

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const septets = [arc & 0x7f];
    for (let high = arc >> 7; high > 0; high >>= 7) septets.unshift((high & 0x7f) | 0x80);
    bytes.push(...septets);
  }
  return der(TAG.oid, Buffer.from(bytes));
}

/** An address as its 4 or 16 octets; undefined for what is no address. */
function addressBytes(address: string): Buffer | undefined {
  const bare = address.split('%')[0]!;
  if (isIP(bare) === 4) return Buffer.from(bare.split('.').map(Number));
  if (isIP(bare) !== 6) return undefined;
  // An embedded IPv4 tail is written as two groups first, so that only one notation is left.
  const plain = bare.replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_all, a, b, c, d) => `${((+a << 8) | +b).toString(16)}:${((+c << 8) | +d).toString(16)}`,
  );
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = tail === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  const bytes = Buffer.alloc(16);
  groups.forEach((group, i) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), i * 2);
  });
  return bytes;
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [der(TAG.boolean, Buffer.from([0xff]))] : []), der(TAG.octets, value));
}

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
/**
 * The ramdisk's clock may be years off, and so may be the conductor's; what protects the certificate is that it is pinned and
 * lives as long as one ramdisk session. UTCTime reads years 00 to 49 as 20xx (RFC 5280, 4.1.2.5.1).
 */
const VALIDITY = sequence(
  der(TAG.utcTime, Buffer.from('000101000000Z')),
  der(TAG.utcTime, Buffer.from('491231235959Z')),
);

/** Makes a P-256 key and its certificate for `addresses` (IP addresses or names). About 1 ms. */
export function selfSignedCertificate(addresses: string[], commonName = 'ironic-python-agent'): AgentCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const name = sequence(der(TAG.set, sequence(oid('2.5.4.3'), der(TAG.utf8, Buffer.from(commonName)))));
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40; // positive, and no superfluous leading zero
  // The point alone, without the 26 bytes of algorithm before it (RFC 5280, 4.2.1.2, method 1).
  const keyId = createHash('sha1').update(spki.subarray(26)).digest();
  const names = addresses.map((address) => {
    const bytes = addressBytes(address);
    return bytes ? der(0x87, bytes) : der(0x82, Buffer.from(address, 'latin1'));
  });
  const extensions = sequence(
    extension('2.5.29.19', true, sequence(der(TAG.boolean, Buffer.from([0xff])))),
    extension('2.5.29.15', true, der(TAG.bits, Buffer.from([0x02, 0x84]))), // digitalSignature, keyCertSign
    extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'))),
    extension('2.5.29.14', false, der(TAG.octets, keyId)),
    extension('2.5.29.35', false, sequence(der(0x80, keyId))),
    ...(names.length > 0 ? [extension('2.5.29.17', false, sequence(...names))] : []),
  );
  const tbs = sequence(
    der(0xa0, der(TAG.integer, Buffer.from([2]))),
    der(TAG.integer, serial),
    ECDSA_SHA256,
    name,
    VALIDITY,
    name,
    spki,
    der(0xa3, extensions),
  );
  const signature = sign('sha256', tbs, privateKey);
  const certificate = sequence(tbs, ECDSA_SHA256, der(TAG.bits, Buffer.from([0]), signature));
  const lines = certificate.toString('base64').match(/.{1,64}/g)!;
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
  };
}
