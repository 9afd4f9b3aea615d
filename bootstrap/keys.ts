/**
 * Keys and certificates: the undercloud's own CA, the API's certificate, the key that seals secrets, and the key that
 * signs image manifests. The CA is valid from 2000 on, because a node whose clock battery is dead wakes up in its past
 * and must be able to speak TLS all the same.
 */
import { createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { StatePaths } from '../services/core/config.ts';
import { secretKeyBytes } from '../services/core/secrets.ts';
import { command } from './command.ts';
import type { Ids } from './user.ts';
import { writeWhole } from './whole-file.ts';

const validFrom = '20000101000000Z';
const validTo = '20991231235959Z';

/**
 * Makes what is missing; renews the API's certificate when its names changed. `listening` are addresses and names under which
 * the API is reached, beside localhost and the host's name. Returns what was made.
 */
export async function ensureKeys(paths: StatePaths, listening: readonly string[], ids: Ids): Promise<string[]> {
  const made: string[] = [];
  mkdirSync(paths.keys, { recursive: true, mode: 0o755 });
  rmSync(join(paths.keys, signingRoom), { recursive: true, force: true });
  if (!existsSync(paths.secretKey)) {
    writeSecret(paths.secretKey, `${randomBytes(secretKeyBytes).toString('base64')}\n`, ids);
    made.push('the key that seals secrets');
  }
  if (!existsSync(paths.signingKey)) {
    const { privateKey } = generateKeyPairSync('ed25519');
    writeSecret(paths.signingKey, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), ids);
    made.push('the key that signs images');
  }
  if (!isPair(paths.caCertificate, paths.caKey)) {
    await makeAuthority(paths);
    made.push('the certificate authority');
    rmSync(paths.certificate, { force: true });
  }
  const names = [...new Set(['localhost', hostname(), ...listening.filter((one) => isIP(one) === 0)])];
  const ips = [...new Set(['127.0.0.1', '::1', ...listening.filter((one) => isIP(one) !== 0)])];
  if (!covers(paths, names, ips)) {
    await makeCertificate(paths, names, ips, ids);
    made.push(`the API’s certificate for ${[...names, ...ips].join(', ')}`);
  }
  return made;
}

/** What `serve` reads is its user's; the authority's key is root's alone. */
const writeSecret = (file: string, text: string, owner: Ids) => writeWhole(file, text, { mode: 0o600, owner });
const root: Ids = { uid: 0, gid: 0 };
/** Where `openssl ca` works: here rather than in /tmp, so that the next run finds what a killed one left, keys among it. */
const signingRoom = 'signing.tmp';

const newKey = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString();

async function makeAuthority(paths: StatePaths): Promise<void> {
  const subject = `/O=Undercloud/CN=Undercloud CA ${randomBytes(4).toString('hex')}`;
  const key = newKey();
  const extensions = [
    'basicConstraints=critical,CA:TRUE',
    'keyUsage=critical,keyCertSign,cRLSign',
    'subjectKeyIdentifier=hash',
  ];
  const certificate = await sign(paths, { key, subject, extensions, issuer: null });
  writeSecret(paths.caKey, key, root);
  writeWhole(paths.caCertificate, certificate, { mode: 0o644 });
}

async function makeCertificate(
  paths: StatePaths,
  names: readonly string[],
  ips: readonly string[],
  ids: Ids,
): Promise<void> {
  const key = newKey();
  const alternatives = [...names.map((name) => `DNS:${name}`), ...ips.map((ip) => `IP:${ip}`)].join(',');
  const extensions = [
    'basicConstraints=CA:FALSE',
    'keyUsage=critical,digitalSignature',
    'extendedKeyUsage=serverAuth',
    'authorityKeyIdentifier=keyid',
    `subjectAltName=${alternatives}`,
  ];
  const issuer = { certificate: paths.caCertificate, key: paths.caKey };
  const certificate = await sign(paths, { key, subject: '/O=Undercloud/CN=undercloud-api', extensions, issuer });
  writeSecret(paths.certificateKey, key, ids);
  writeWhole(paths.certificate, certificate, { mode: 0o644 });
}

interface Signing {
  key: string;
  subject: string;
  extensions: readonly string[];
  issuer: { certificate: string; key: string } | null;
}

/** `openssl ca`, because OpenSSL 3.0's `req` and `x509` cannot set the first day of validity. */
async function sign(paths: StatePaths, { key, subject, extensions, issuer }: Signing): Promise<string> {
  const dir = join(paths.keys, signingRoom);
  const file = (name: string) => join(dir, name);
  try {
    mkdirSync(dir, { mode: 0o700 });
    const config = `[ca]\ndefault_ca = us\n[us]\ndatabase = ${file('index')}\nrand_serial = yes\nnew_certs_dir = ${dir}
default_md = sha256\npolicy = any\nunique_subject = no\n[any]\norganizationName = optional\ncommonName = supplied
[req]\ndistinguished_name = dn\n[dn]\n[ext]\n${extensions.join('\n')}\n`;
    writeFileSync(file('config'), config);
    writeFileSync(file('index'), '');
    writeFileSync(file('key'), key, { mode: 0o600 });
    const common = ['-config', file('config')];
    await command('openssl', [
      'req',
      '-new',
      ...common,
      '-key',
      file('key'),
      '-subj',
      subject,
      '-out',
      file('request'),
    ]);
    const by = issuer ? ['-cert', issuer.certificate, '-keyfile', issuer.key] : ['-selfsign', '-keyfile', file('key')];
    await command('openssl', [
      'ca',
      '-batch',
      '-notext',
      ...common,
      ...by,
      '-startdate',
      validFrom,
      '-enddate',
      validTo,
      '-extensions',
      'ext',
      '-in',
      file('request'),
      '-out',
      file('certificate'),
    ]);
    return readFileSync(file('certificate'), 'utf8');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function covers(paths: StatePaths, names: readonly string[], ips: readonly string[]): boolean {
  if (!isPair(paths.certificate, paths.certificateKey)) return false;
  const certificate = new X509Certificate(readFileSync(paths.certificate));
  if (!certificate.verify(new X509Certificate(readFileSync(paths.caCertificate)).publicKey)) return false;
  return names.every((name) => certificate.checkHost(name)) && ips.every((ip) => certificate.checkIP(ip));
}

/** An interrupted renewal may have left the new key beside the old certificate. */
function isPair(certificate: string, key: string): boolean {
  if (!existsSync(certificate) || !existsSync(key)) return false;
  return new X509Certificate(readFileSync(certificate)).publicKey.equals(createPublicKey(readFileSync(key)));
}
