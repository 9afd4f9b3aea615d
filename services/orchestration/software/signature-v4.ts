/**
 * AWS signature version 4 (AWS4-HMAC-SHA256), in the Authorization header or in the query: HMAC-SHA256 with a key that is
 * derived from the secret by date, region and service, over the canonical request. "Signature Version 4 signing process",
 * AWS General Reference.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

const algorithm = 'AWS4-HMAC-SHA256';
/** AWS's own bound of a pre-signed request. */
const longestExpiryS = 7 * 24 * 3600;

export interface V4Request {
  readonly verb: string;
  /** As it was sent: percent-encoded, without the query. */
  readonly path: string;
  /** As it was sent. */
  readonly query: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

export interface V4Signature {
  readonly accessKey: string;
  /** `YYYYMMDD/region/service/aws4_request`. */
  readonly scope: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** `YYYYMMDDTHHMMSSZ`. */
  readonly date: string;
  /** Seconds that it is good for; null: it is no pre-signed one. */
  readonly expires: number | null;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** RFC 3986's unreserved characters stay. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

const pairsOf = (query: string): [string, string][] =>
  query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    });

/** Encoded again from what it means: clients differ in what they encode. @throws URIError */
const canonicalPairs = (query: string): [string, string][] =>
  pairsOf(query).map(([name, value]) => [encode(decodeURIComponent(name)), encode(decodeURIComponent(value))]);

/** What the request says of its signature; null: it has none of version 4. @throws URIError for a query that is not encoded */
export function v4SignatureOf(request: V4Request): V4Signature | null {
  const header = request.headers.authorization;
  if (typeof header === 'string' && header.startsWith(`${algorithm} `)) {
    const fields = Object.fromEntries(
      header
        .slice(algorithm.length)
        .split(',')
        .map((part) => part.trim().split('=', 2) as [string, string]),
    );
    const date = request.headers['x-amz-date'];
    return partsOf(fields, typeof date === 'string' ? date : '', null);
  }
  const query = new Map(canonicalPairs(request.query).map(([name, value]) => [name, decodeURIComponent(value)]));
  if (query.get('X-Amz-Algorithm') !== algorithm) return null;
  const fields = {
    Credential: query.get('X-Amz-Credential'),
    SignedHeaders: query.get('X-Amz-SignedHeaders'),
    Signature: query.get('X-Amz-Signature'),
  };
  const expires = Number(query.get('X-Amz-Expires'));
  const isGood = Number.isInteger(expires) && expires > 0 && expires <= longestExpiryS;
  return partsOf(fields, query.get('X-Amz-Date') ?? '', isGood ? expires : 0);
}

function partsOf(
  { Credential = '', SignedHeaders = '', Signature = '' }: Readonly<Record<string, string | undefined>>,
  date: string,
  expires: number | null,
): V4Signature {
  const at = Credential.indexOf('/');
  return {
    accessKey: Credential.slice(0, Math.max(at, 0)),
    scope: Credential.slice(at + 1),
    signedHeaders: SignedHeaders.split(';'),
    signature: Signature,
    date,
    expires,
  };
}

function canonicalRequest(request: V4Request, signed: V4Signature, host: string): string {
  const query = canonicalPairs(request.query)
    .filter(([name]) => name !== 'X-Amz-Signature')
    .sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  const headers = signed.signedHeaders.map((name) => {
    const given = name === 'host' ? host : request.headers[name];
    const text = (typeof given === 'string' ? [given] : (given ?? [])).map((one) => one.trim().replace(/ +/g, ' '));
    return `${name}:${text.join(',')}\n`;
  });
  // Every service but S3 encodes the path once more.
  const path = request.path.split('/').map(encode).join('/') || '/';
  return [request.verb, path, query, headers.join(''), signed.signedHeaders.join(';'), sha256(request.body)].join('\n');
}

/** Whether the request was signed with the secret; proxies may have changed the host. */
export function isV4Signed(secret: string, request: V4Request, signed: V4Signature, otherHost: string): boolean {
  const [day = '', region = '', service = '', end = '', ...more] = signed.scope.split('/');
  if (service !== 'cloudformation' || end !== 'aws4_request' || more.length > 0) return false;
  // What is not signed could be changed under way: the host always, and the time where it is a header.
  if (!signed.date.startsWith(`${day}T`) || !signed.signedHeaders.includes('host')) return false;
  if (signed.expires === null && !signed.signedHeaders.includes('x-amz-date')) return false;
  const key = [day, region, service, end].reduce<string | Buffer>((from, part) => hmac(from, part), `AWS4${secret}`);
  const given = Buffer.from(signed.signature);
  const sent = request.headers.host;
  for (const host of new Set([typeof sent === 'string' ? sent : '', otherHost])) {
    const canonical = sha256(canonicalRequest(request, signed, host));
    const right = Buffer.from(hmac(key, [algorithm, signed.date, signed.scope, canonical].join('\n')).toString('hex'));
    if (right.length === given.length && timingSafeEqual(right, given)) return true;
  }
  return false;
}

/** When it was signed, ms; NaN for what is no such time. */
export const v4Time = ({ date }: V4Signature): number =>
  Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
