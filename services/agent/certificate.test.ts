import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { selfSignedCertificate } from './certificate.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'certificate-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the self-signed certificate', () => {
  it('is read and verified by openssl, strictly', () => {
    const { cert, key } = selfSignedCertificate(['192.0.2.17', 'fd00::1:2', '::ffff:192.0.2.9', 'node.example']);
    const file = path.join(folder, 'cert.pem');
    writeFileSync(file, cert);
    writeFileSync(path.join(folder, 'key.pem'), key);
    const text = execFileSync('openssl', ['x509', '-in', file, '-noout', '-text'], { encoding: 'utf8' });
    expect(text).toContain('CN = ironic-python-agent');
    expect(text).toContain(
      'IP Address:192.0.2.17, IP Address:FD00:0:0:0:0:0:1:2, IP Address:0:0:0:0:0:FFFF:C000:209, DNS:node.example',
    );
    expect(text).toMatch(/Not Before: Jan {2}1 00:00:00 2000 GMT\s+Not After : Dec 31 23:59:59 2049 GMT/);
    expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE/);
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature, Certificate Sign/);
    const verified = execFileSync(
      'openssl',
      [
        'verify',
        '-x509_strict',
        '-check_ss_sig',
        '-purpose',
        'sslserver',
        '-verify_ip',
        '192.0.2.17',
        '-CAfile',
        file,
        file,
      ],
      { encoding: 'utf8' },
    );
    expect(verified).toContain(': OK');
    const matching = execFileSync('openssl', ['pkey', '-in', path.join(folder, 'key.pem'), '-pubout'], {
      encoding: 'utf8',
    });
    expect(new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'pem' })).toBe(matching);
  });

  it('is another one each time', () => {
    expect(selfSignedCertificate(['192.0.2.17']).cert).not.toBe(selfSignedCertificate(['192.0.2.17']).cert);
  });
});
