/**
 * AWS signature version 2 as boto, os-collect-config and Heat's pre-signed URLs have it: HMAC-SHA256 over verb, host,
 * path and the sorted query. The verb is part of it, so a URL signed for PUT is refused for POST.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface Signed {
  readonly verb: string;
  /** As in the Host header. */
  readonly host: string;
  /** Decoded. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
}

/** RFC 3986's unreserved characters stay. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

export function signature(secret: string, { verb, host, path, params }: Signed): string {
  const query = Object.keys(params)
    .filter((name) => name !== 'Signature')
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => `${encode(name)}=${encode(params[name] as string)}`)
    .join('&');
  const text = [verb, host.toLowerCase(), path, query].join('\n');
  return createHmac('sha256', secret).update(text).digest('base64');
}

/** Whether the request was signed with the secret; proxies may have taken the port from the host, or a slash from the path. */
export function isSigned(secret: string, request: Signed): boolean {
  const given = Buffer.from(request.params.Signature ?? '');
  const hosts = new Set([request.host, request.host.replace(/:\d+$/, '')]);
  const bare = request.path.replace(/\/+$/, '');
  for (const host of hosts) {
    for (const path of new Set([request.path, bare, `${bare}/`])) {
      const right = Buffer.from(signature(secret, { ...request, host, path }));
      if (right.length === given.length && timingSafeEqual(right, given)) return true;
    }
  }
  return false;
}

export interface PresignWish {
  /** The URL as the caller will use it; its path may be percent-encoded. */
  readonly url: string;
  readonly verb: 'POST' | 'PUT' | 'GET';
  readonly accessKey: string;
  readonly secret: string;
  readonly at: Date;
}

export function presigned({ url, verb, accessKey, secret, at }: PresignWish): string {
  const { host, pathname } = new URL(url);
  const params: Record<string, string> = {
    SignatureMethod: 'HmacSHA256',
    SignatureVersion: '2',
    AWSAccessKeyId: accessKey,
    Timestamp: `${at.toISOString().slice(0, 19)}Z`,
  };
  params.Signature = signature(secret, { verb, host, path: decodeURIComponent(pathname), params });
  const query = Object.entries(params).map(([name, value]) => `${name}=${encode(value)}`);
  return `${url}?${query.join('&')}`;
}
