/** What an S3 client throws, as a sentence about the store that did it. */
import { Fault, fault } from '../../core/errors/index.ts';

export interface S3Place {
  readonly endpoint: string;
  readonly bucket: string;
}

interface SdkError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

export const statusOf = (error: unknown): number | undefined => (error as SdkError).$metadata?.httpStatusCode;

/** Answers to HEAD have no body, so that their errors have a status and no name. */
const refused: Record<string, string> = {
  SignatureDoesNotMatch: 'the secret key is wrong.',
  InvalidAccessKeyId: 'it does not know the access key.',
  AccessDenied: 'the access key may not do that.',
  NoSuchBucket: 'there is no such bucket.',
  RequestTimeTooSkewed: 'the clocks are too far apart; set this machine’s.',
  BucketAlreadyExists: 'the bucket belongs to somebody else.',
  403: 'the access key or the secret key is wrong, or the key may not do that.',
};
const away: Record<string, string> = {
  ECONNREFUSED: 'the connection was refused.',
  ECONNRESET: 'it closed the connection.',
  EPIPE: 'it closed the connection.',
  EHOSTUNREACH: 'there is no way to that host.',
  ENETUNREACH: 'there is no way to that network.',
  ENOTFOUND: 'its name is not known.',
  EAI_AGAIN: 'its name could not be looked up.',
  ETIMEDOUT: 'it did not answer in time.',
  TimeoutError: 'it did not answer in time.',
};

/** @param error whatever was thrown; a Fault stays as it is */
export function s3Failure(place: S3Place, action: string, key: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const { name, message, code } = error as SdkError;
  const status = statusOf(error);
  if (name === 'NoSuchKey') return fault('blob-store', { action, key, reason: 'there is none.' }, error);
  const refusal = refused[name] ?? refused[status ?? 0];
  if (refusal) return fault('object-store-refused', { ...place, action, key, reason: refusal }, error);
  const absence = away[code ?? ''] ?? away[name];
  if (absence) return fault('object-store-away', { ...place, action, key, reason: absence }, error);
  const said = message && message !== 'UnknownError' ? message : `it answered ${status ?? 'nothing'}.`;
  return fault('blob-store', { action, key, reason: said }, error);
}
