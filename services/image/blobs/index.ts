/** Where images' bytes lie: one port, an adapter for the local disk and one for S3, one conformance suite for both. */
import type { Readable } from 'node:stream';

export interface BlobRange {
  /** First and last byte, inclusive, as in HTTP. */
  readonly start: number;
  readonly end: number;
}

export interface ListedBlob {
  readonly key: string;
  readonly size: number;
  /** ms since the epoch. */
  readonly modified: number;
}

export interface BlobStore {
  /** Whole or not at all: a reader never sees a half-written blob, and a failed put leaves nothing. Overwrites. */
  put(key: string, bytes: Readable): Promise<{ size: number }>;
  /** Null when there is none. */
  stat(key: string): Promise<{ size: number } | null>;
  /** @throws Fault `blob-store` when there is none */
  get(key: string, range?: BlobRange): Promise<Readable>;
  /** No error when there is none. */
  delete(key: string): Promise<void>;
  /** Every blob below the prefix, in no order: what the collector looks through. */
  list(prefix: string): AsyncIterable<ListedBlob>;
  /** Removes what processes that died left half-written, if it is older than this. */
  dropAbandoned(olderThanMs: number): Promise<void>;
  /** A URL that a node may fetch without credentials for `seconds`, with ranges; null where the undercloud serves it itself. */
  url(key: string, seconds: number): Promise<string | null>;
}

/** Keys are paths of plain names, so that no adapter has to escape any. */
export const keyPattern = /^[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)*$/;

export const keys = {
  object: (sha256: string) => `objects/${sha256.slice(0, 2)}/${sha256}`,
  index: (sha256: string) => `indexes/${sha256}.json`,
  stream: (imageId: string) => `streams/${imageId}`,
  /** Bytes that wait for their import. */
  staged: (imageId: string) => `staged/${imageId}`,
  prefixes: ['objects/', 'indexes/', 'streams/', 'staged/'],
};
