/** Blobs in S3 or whatever speaks it; nodes fetch from the store itself by presigned URLs. */
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  type BucketLocationConstraint,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { type Clock, systemClock } from '../../core/clock.ts';
import { Fault, fault } from '../../core/errors/index.ts';
import { type BlobStore, keyPattern, keys } from './index.ts';
import { inParts, type Part, partBytes } from './parts.ts';
import { s3Failure, statusOf } from './s3-failure.ts';

export interface S3Options {
  /** Nodes fetch from it too: a name or address that they reach. */
  endpoint: string;
  region: string;
  /** Made at the first write if there is none. */
  bucket: string;
  accessKey: string;
  secretKey: string;
}

export interface S3Blobs extends BlobStore {
  /** Makes the bucket if there is none. @throws Fault `object-store-refused`, `object-store-away` */
  ensureBucket(): Promise<void>;
  close(): void;
}

/** A store that says nothing for so long is away. A node that reads slowly keeps a stream open, hence not less. */
const silenceMs = 120_000;
const connectMs = 5_000;
/** S3's longest presigned URL. */
const longestLink = 7 * 24 * 3600;

export function s3Blobs(options: S3Options, clock: Clock = systemClock): S3Blobs {
  const client = new S3Client({
    endpoint: options.endpoint,
    region: options.region,
    credentials: { accessKeyId: options.accessKey, secretAccessKey: options.secretKey },
    forcePathStyle: true,
    requestHandler: { connectionTimeout: connectMs, socketTimeout: silenceMs },
    // Swift's s3api answers 501 to the trailing checksums that the SDK sends by default.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const Bucket = options.bucket;
  let ready: Promise<void> | undefined;
  const named = (key: string): string => {
    if (!keyPattern.test(key)) throw fault('blob-store', { action: 'name', key, reason: 'it is no proper key' });
    return key;
  };
  const failed = (action: string, key: string, error: unknown) => s3Failure(options, action, key, error);

  async function ensureBucket(): Promise<void> {
    try {
      await client.send(new HeadBucketCommand({ Bucket }));
    } catch (error) {
      if (statusOf(error) !== 404) throw failed('look at', 'the bucket', error);
      // S3 wants the region named, except its first one, which must not be.
      const region = options.region as BucketLocationConstraint;
      const named = options.region !== 'us-east-1' && { CreateBucketConfiguration: { LocationConstraint: region } };
      await client.send(new CreateBucketCommand({ Bucket, ...named })).catch((refusal: Error) => {
        if (refusal.name !== 'BucketAlreadyOwnedByYou') throw failed('make', 'the bucket', refusal);
      });
    }
  }

  /** What a process that was killed left: parts of uploads that nobody will complete, invisible and paid for. */
  async function dropAbandoned(olderThanMs: number): Promise<void> {
    for (const Prefix of keys.prefixes) {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix }));
      for (const { Key, UploadId, Initiated } of Uploads)
        if (Initiated && Initiated.getTime() < clock.now() - olderThanMs)
          await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
  }

  /** At the first write and not at the start: an undercloud starts also while its store is away. */
  const prepared = (): Promise<void> => {
    ready ??= ensureBucket().catch((error) => {
      ready = undefined;
      throw error;
    });
    return ready;
  };

  async function multipart(Key: string, first: Part, rest: AsyncIterable<Part>): Promise<number> {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    try {
      const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
      let size = 0;
      const send = async (part: Part) => {
        const PartNumber = Parts.length + 1;
        const command = new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: part.bytes });
        const { ETag } = await client.send(hashed(command, part.sha256));
        Parts.push({ ETag, PartNumber });
        size += part.bytes.length;
      };
      await send(first);
      for await (const part of rest) await send(part);
      await client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
      return size;
    } catch (error) {
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch(() => {});
      throw error;
    }
  }

  return {
    ensureBucket,
    async put(key, bytes) {
      const Key = named(key);
      // A client that goes away before the first byte is read would be an error that nobody hears.
      bytes.on('error', () => {});
      const parts = inParts(bytes);
      try {
        await prepared();
        const { value: first } = await parts.next();
        if (!first) return { size: 0 };
        if (first.bytes.length === partBytes(1)) return { size: await multipart(Key, first, parts) };
        await client.send(hashed(new PutObjectCommand({ Bucket, Key, Body: first.bytes }), first.sha256));
        return { size: first.bytes.length };
      } catch (error) {
        throw bytes.errored && error === bytes.errored ? broken(key, bytes.errored) : failed('write', key, error);
      } finally {
        bytes.destroy();
        await parts.return(undefined);
      }
    },
    async stat(key) {
      try {
        const found = await client.send(new HeadObjectCommand({ Bucket, Key: named(key) }));
        return { size: found.ContentLength ?? 0 };
      } catch (error) {
        if (statusOf(error) === 404) return null;
        throw failed('look at', key, error);
      }
    },
    async get(key, range) {
      try {
        const Range = range && `bytes=${range.start}-${range.end}`;
        const found = await client.send(new GetObjectCommand({ Bucket, Key: named(key), ...(Range && { Range }) }));
        return found.Body as Readable;
      } catch (error) {
        throw failed('read', key, error);
      }
    },
    async delete(key) {
      await client.send(new DeleteObjectCommand({ Bucket, Key: named(key) })).catch((error) => {
        if (statusOf(error) !== 404) throw failed('delete', key, error);
      });
    },
    async *list(prefix) {
      let ContinuationToken: string | undefined;
      try {
        do {
          const page = await client.send(
            new ListObjectsV2Command({ Bucket, Prefix: prefix, ...(ContinuationToken && { ContinuationToken }) }),
          );
          for (const { Key, Size, LastModified } of page.Contents ?? [])
            if (Key) yield { key: Key, size: Size ?? 0, modified: LastModified?.getTime() ?? clock.now() };
          ContinuationToken = page.NextContinuationToken;
        } while (ContinuationToken);
      } catch (error) {
        if (statusOf(error) !== 404) throw failed('list', prefix, error);
      }
    },
    dropAbandoned: (olderThanMs) =>
      dropAbandoned(olderThanMs).catch((error) => {
        if (statusOf(error) !== 404) throw failed('list', 'uploads', error);
      }),
    url: (key, seconds) =>
      getSignedUrl(client, new GetObjectCommand({ Bucket, Key: named(key) }), {
        expiresIn: Math.min(seconds, longestLink),
      }),
    close: () => client.destroy(),
  };
}

/** The source's failure is not the store's, though both may say ECONNRESET. */
const broken = (key: string, error: Error): Fault =>
  error instanceof Fault ? error : fault('blob-store', { action: 'write', key, reason: error.message }, error);

/** Gives the signature the payload's hash, which the SDK would otherwise make of the whole body in one go. */
function hashed<C extends PutObjectCommand | UploadPartCommand>(command: C, sha256: string): C {
  (command as PutObjectCommand).middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-content-sha256'] = sha256;
      return next(args);
    },
    { step: 'build', name: 'payloadHash' },
  );
  return command;
}
