/** Who signed a request, by version 4 of AWS's signature or by version 2, and whether the signature is theirs and fresh. */
import type { FastifyRequest } from 'fastify';
import { isSigned } from '../software/signature.ts';
import { isV4Signed, type V4Request, v4SignatureOf, v4Time } from '../software/signature-v4.ts';
import { cfnFault } from './fault.ts';

export interface Proof {
  /** '' where the request names none. */
  readonly accessKey: string;
  isOf(secret: string): boolean;
  /** @throws Fault `cfn-invalid` for a request without a time, or of another one */
  checkFresh(now: number): void;
}

/** Keystone's and AWS's: a signed request is good for a quarter of an hour. */
const freshMs = 15 * 60_000;

const stale = (what: string, now: number) =>
  cfnFault('RequestExpired', `The request is of ${what}; here it is ${new Date(now).toISOString()}. Set the clock.`);

/** @param ownHost what we call ourselves; a proxy may have changed the Host header */
export function proofOf(request: FastifyRequest, params: Readonly<Record<string, string>>, ownHost: string): Proof {
  const [path = '', query = ''] = request.url.split('?', 2);
  return v4(request, path, query, ownHost) ?? v2(request, path, params, ownHost);
}

function v4(request: FastifyRequest, path: string, query: string, ownHost: string): Proof | null {
  const body = typeof request.body === 'string' ? request.body : '';
  const whole: V4Request = { verb: request.method, path, query, headers: request.headers, body };
  const signed = v4SignatureOf(whole);
  if (!signed) return null;
  return {
    accessKey: signed.accessKey,
    isOf: (secret) => isV4Signed(secret, whole, signed, ownHost),
    checkFresh(now) {
      const at = v4Time(signed);
      if (Number.isNaN(at)) throw cfnFault('IncompleteSignature', 'X-Amz-Date is missing or no time.');
      const until = at + (signed.expires === null ? freshMs : signed.expires * 1000);
      if (now > until || at - now > freshMs) throw stale(signed.date, now);
    },
  };
}

function v2(
  request: FastifyRequest,
  rawPath: string,
  params: Readonly<Record<string, string>>,
  ownHost: string,
): Proof {
  return {
    accessKey: params.AWSAccessKeyId ?? '',
    isOf(secret) {
      let path: string;
      try {
        path = decodeURIComponent(rawPath);
      } catch {
        return false;
      }
      const signed = { verb: request.method, host: request.headers.host ?? '', path, params };
      return isSigned(secret, signed) || isSigned(secret, { ...signed, host: ownHost });
    },
    checkFresh(now) {
      const text = params.Expires ?? params.Timestamp;
      const at = text === undefined ? Number.NaN : Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`);
      if (Number.isNaN(at))
        throw cfnFault('IncompleteSignature', 'The request has no Timestamp or Expires that can be read as a time.');
      if (params.Expires !== undefined ? at < now : Math.abs(at - now) > freshMs) throw stale(text ?? '', now);
    },
  };
}
