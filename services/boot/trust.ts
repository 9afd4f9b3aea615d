/** The undercloud's CA as a second initrd: etc/undercloud/ca.pem in an archive of its own. */
import { createHash } from 'node:crypto';
import type { Served } from './file-answer.ts';
import { newc } from './newc.ts';

export function trustArchive(certificate: string): Extract<Served, { bytes: Uint8Array }> {
  const bytes = newc([{ path: 'etc/undercloud/ca.pem', content: Buffer.from(certificate) }]);
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`;
  return { bytes, type: 'application/octet-stream', etag };
}
