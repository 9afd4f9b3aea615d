/**
 * Swift's temporary URLs (its TempURL middleware): an HMAC over method, expiry and path, good for one resource. No objects
 * lie behind ours: GET gives what the resource's agent is to read, PUT is a signal to the resource. Agents cannot tell.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Desk } from '../desk.ts';
import type { Credential, Holder } from '../software/credentials.ts';

export type TempMethod = 'GET' | 'PUT';

/** Heat's own: URLs in a template's outputs must not die before the stack, so it is the last second that 31 bits can say. */
const forever = 2 ** 31 - 1;

const signatureOf = (secret: string, method: string, expires: number, path: string): string =>
  createHmac('sha256', secret).update(`${method}\n${expires}\n${path}`).digest('hex');

export function tempUrl(desk: Desk, holder: Holder, credential: Credential, method: TempMethod): string {
  const base = new URL(desk.objectUrl);
  const path = `${base.pathname}/AUTH_${holder.stack.projectId}/${holder.id}/${encodeURIComponent(holder.name)}`;
  const signature = signatureOf(credential.secret, method, forever, decodeURIComponent(path));
  return `${base.origin}${path}?temp_url_sig=${signature}&temp_url_expires=${forever}`;
}

/** HEAD is allowed by a signature for GET or PUT, as Swift has it. */
export function isTempSigned(
  secret: string,
  request: { method: string; path: string; signature: string; expires: number; now: number },
): boolean {
  if (!Number.isInteger(request.expires) || request.expires * 1000 < request.now) return false;
  const given = Buffer.from(request.signature);
  const methods = request.method === 'HEAD' ? ['GET', 'PUT'] : [request.method];
  return methods.some((method) => {
    const right = Buffer.from(signatureOf(secret, method, request.expires, request.path));
    return right.length === given.length && timingSafeEqual(right, given);
  });
}
