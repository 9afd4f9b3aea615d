/** Where images are kept, as the operator says it: a bucket of an S3 store, with credentials in a file, or the local disk. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { type Config, readConfig, statePaths } from '../services/core/config.ts';
import { fault } from '../services/core/errors/index.ts';

type S3 = NonNullable<Config['s3']>;

export interface ImageStoreWish {
  /** `disk`, `s3://HOST[:PORT]/BUCKET` over TLS, `s3+http://…` without; `?region=NAME` where the store has regions. */
  readonly imageStore?: string;
  /** A file with the access key and the secret key. */
  readonly imageStoreCredentials?: string;
}

const refuse = (reason: string) => fault('usage', { reason });

/** S3's own rule for names of buckets, which Swift and MinIO share. */
const bucketName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/** @throws Fault `usage` */
function placeOf(url: string): Pick<S3, 'endpoint' | 'region' | 'bucket'> {
  const [, scheme, rest] = /^(s3|s3\+https|s3\+http):\/\/(.+)$/.exec(url) ?? [];
  const parsed = rest === undefined ? null : URL.parse(`${scheme === 's3+http' ? 'http' : 'https'}://${rest}`);
  if (!parsed || parsed.username || parsed.password || parsed.hash)
    throw refuse(
      `--image-store is disk, s3://HOST[:PORT]/BUCKET or s3+http://HOST[:PORT]/BUCKET, and credentials come from --image-store-credentials; it is not ${url.replace(/\/\/.*@/, '//…@')}.`,
    );
  const bucket = parsed.pathname.slice(1);
  if (!bucketName.test(bucket))
    throw refuse(`--image-store names the bucket “${bucket}”: 3 to 63 small letters, digits, dots and dashes.`);
  for (const name of parsed.searchParams.keys())
    if (name !== 'region') throw refuse(`--image-store knows ?region=NAME, not “${name}”.`);
  return { endpoint: parsed.origin, region: parsed.searchParams.get('region') ?? 'us-east-1', bucket };
}

/** The file that the AWS tools keep (`aws_access_key_id = …`), or the two keys, a line each. @throws Fault `usage`, `file-unreadable` */
function credentialsOf(file: string): Pick<S3, 'accessKey' | 'secretKey'> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw fault('file-unreadable', { file, reason: (error as Error).message }, error);
  }
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^[#;[]/.test(line));
  const named = (name: string) =>
    lines.flatMap((line) => new RegExp(`^${name}\\s*=\\s*(\\S+)$`).exec(line)?.[1] ?? [])[0];
  const [first, second] = lines;
  const accessKey = named('aws_access_key_id') ?? (first?.includes(' ') ? undefined : first);
  const secretKey = named('aws_secret_access_key') ?? (second?.includes(' ') ? undefined : second);
  if (!accessKey || !secretKey)
    throw refuse(
      `${file} has no credentials: two lines, the access key and the secret key, or aws_access_key_id and aws_secret_access_key as the AWS tools write them.`,
    );
  return { accessKey, secretKey };
}

/**
 * The store after these options; undefined is the disk. What is not said stays as it was. A store that holds images is not changed for
 * another: they would be gone from sight.
 * @throws Fault `usage`, `file-unreadable`
 */
export function imageStoreOf(stateDir: string, wish: ImageStoreWish): S3 | undefined {
  const paths = statePaths(stateDir);
  const known = existsSync(paths.config) ? readConfig(stateDir) : null;
  const before = known?.s3;
  const { imageStore: url, imageStoreCredentials: file } = wish;
  if (url === undefined) {
    if (file === undefined) return before;
    if (!before) throw refuse('--image-store-credentials belongs to an --image-store, which is missing.');
    return { ...before, ...credentialsOf(file) };
  }
  if (url === 'disk') {
    if (file !== undefined) throw refuse('--image-store disk takes no --image-store-credentials.');
    if (before) throw refuse(elsewhere(`${before.endpoint}/${before.bucket}`));
    return undefined;
  }
  const place = placeOf(url);
  if (before && (before.endpoint !== place.endpoint || before.bucket !== place.bucket))
    throw refuse(elsewhere(`${before.endpoint}/${before.bucket}`));
  // What is being converted lies in `work`, and is nobody's yet.
  if (!before && existsSync(paths.images) && readdirSync(paths.images).some((name) => name !== 'work'))
    throw refuse(elsewhere(`the directory ${paths.images}`));
  if (file !== undefined) return { ...place, ...credentialsOf(file) };
  if (!before) throw refuse('--image-store of S3 needs --image-store-credentials FILE.');
  return { ...before, ...place };
}

const elsewhere = (place: string): string =>
  `Images of this undercloud are kept in ${place}, and bootstrap does not move them. Delete them, stop the undercloud, take that place out of it (“s3” in undercloud.json, or the directory), and say --image-store again.`;
