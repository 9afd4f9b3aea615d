/** Blobs in S3 or whatever speaks it; nodes fetch from the store itself by presigned URLs. */
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { fault } from '../../core/errors/index.ts';
import { type BlobStore, keyPattern } from './index.ts';

export interface S3Options {
  endpoint: string;
  region: string;
  bucket: string;
  accessKey: string;
  secretKey: string;
}

/** S3 wants parts of at least 5 MiB; this size also bounds the memory of an upload. */
const partBytes = 16 * 1024 * 1024;

export function s3Blobs(options: S3Options): BlobStore & { close(): void } {
  const client = new S3Client({
    endpoint: options.endpoint,
    region: options.region,
    credentials: { accessKeyId: options.accessKey, secretAccessKey: options.secretKey },
    forcePathStyle: true,
    // Swift's s3api answers 501 to the trailing checksums that the SDK sends by default.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const Bucket = options.bucket;
  const named = (key: string): string => {
    if (!keyPattern.test(key)) throw fault('blob-store', { action: 'name', key, reason: 'it is no proper key' });
    return key;
  };
  const failed = (action: string, key: string, error: unknown) => {
    const { name, message } = error as Error;
    return name === 'Fault'
      ? error
      : fault('blob-store', { action, key, reason: name === 'NoSuchKey' ? 'there is none.' : message }, error);
  };

  async function multipart(Key: string, first: Buffer, rest: AsyncIterable<Buffer>): Promise<number> {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    try {
      const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
      let size = 0;
      const send = async (Body: Buffer) => {
        const PartNumber = Parts.length + 1;
        const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
        Parts.push({ ETag, PartNumber });
        size += Body.length;
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
    async put(key, bytes) {
      const Key = named(key);
      try {
        const parts = inParts(bytes);
        const first = (await parts.next()).value ?? Buffer.alloc(0);
        if (first.length === partBytes) return { size: await multipart(Key, first, parts) };
        await client.send(new PutObjectCommand({ Bucket, Key, Body: first }));
        return { size: first.length };
      } catch (error) {
        throw failed('write', key, error);
      }
    },
    async stat(key) {
      try {
        const found = await client.send(new HeadObjectCommand({ Bucket, Key: named(key) }));
        return { size: found.ContentLength ?? 0 };
      } catch (error) {
        if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 404) return null;
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
        throw failed('delete', key, error);
      });
    },
    url: (key, seconds) =>
      getSignedUrl(client, new GetObjectCommand({ Bucket, Key: named(key) }), { expiresIn: seconds }),
    close: () => client.destroy(),
  };
}

/** Cuts a stream into buffers of exactly `partBytes`, the last one shorter. */
async function* inParts(bytes: Readable): AsyncGenerator<Buffer, undefined> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    let rest = chunk as Buffer;
    while (size + rest.length >= partBytes) {
      const cut = partBytes - size;
      yield Buffer.concat([...held, rest.subarray(0, cut)]);
      rest = rest.subarray(cut);
      held = [];
      size = 0;
    }
    if (rest.length > 0) {
      held.push(rest);
      size += rest.length;
    }
  }
  if (size > 0) yield Buffer.concat(held);
  return undefined;
}
