/** Whom a node trusts, as a second initrd: the undercloud's CA and the key by which it signs images, in an archive of their own. */
import { createHash } from 'node:crypto';
import type { Served } from './file-answer.ts';
import { newc } from './newc.ts';

export function trustArchive(certificate: string, imageKey: string): Extract<Served, { bytes: Uint8Array }> {
  const bytes = newc([
    { path: 'etc/undercloud/ca.pem', content: Buffer.from(certificate) },
    { path: 'etc/undercloud/signing.pem', content: Buffer.from(imageKey) },
  ]);
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`;
  return { bytes, type: 'application/octet-stream', etag };
}
