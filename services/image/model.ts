/** The nouns of the image store. */
import type { ChunkIndex } from '../ipa/index.ts';

/** `uploading`: bytes were staged for an import; `importing`: the import runs; `deactivated`: an administrator withheld its bytes. */
export type ImageStatus = 'queued' | 'uploading' | 'importing' | 'saving' | 'active' | 'killed' | 'deactivated';
export type Visibility = 'public' | 'private' | 'shared' | 'community';

export interface Image {
  readonly id: string;
  readonly name: string | null;
  readonly owner: string;
  readonly status: ImageStatus;
  readonly visibility: Visibility;
  readonly disk_format: string | null;
  readonly container_format: string | null;
  /** Bytes of the stream that `GET …/file` gives. */
  readonly size: number | null;
  readonly virtual_size: number | null;
  readonly checksum: string | null;
  readonly os_hash_algo: string | null;
  readonly os_hash_value: string | null;
  readonly min_disk: number;
  readonly min_ram: number;
  readonly protected: boolean;
  readonly os_hidden: boolean;
  readonly tags: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
  /** Set when the image's bytes are the chunks of this index. */
  readonly chunk_index_sha256: string | null;
  /** The raw disk within a stream of another format, as chunks: what a deploy writes. */
  readonly disk_index_sha256: string | null;
  readonly manifest: ImageManifest | null;
  /** What the undercloud vouches for, as it was signed. */
  readonly delivery_manifest: string | null;
  readonly delivery_signature: string | null;
  readonly delivery_key_id: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

export type MemberStatus = 'pending' | 'accepted' | 'rejected';

export interface Member {
  readonly image_id: string;
  readonly member: string;
  readonly status: MemberStatus;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** What the builder says of an image, as far as the store and a deploy need it; the rest is kept as it came. */
export interface ImageManifest {
  readonly format: 'undercloud.image/1';
  readonly name: string;
  readonly size: number;
  readonly sha512: string;
  readonly key: string;
  readonly boot?: { readonly kernelPath: string; readonly initrdPath: string; readonly commandLine: string };
  readonly [more: string]: unknown;
}

export interface Registration {
  readonly manifest: ImageManifest;
  readonly index: ChunkIndex;
}
