/** What write_image is told about the image, and how run_image hands over to it. */
import { readSignedManifest, type SignedManifest } from './delivery-manifest.ts';
import {
  httpUrl,
  type JsonObject,
  list,
  object,
  optional,
  ProtocolError,
  sha256,
  shown,
  text,
  truth,
  whole,
} from './field.ts';

export const HASH_ALGORITHMS = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'] as const;
export type HashAlgorithm = (typeof HASH_ALGORITHMS)[number];

/** Ours: the image as verified chunks. `objects` maps each object's name in the index to a URL that allows byte ranges. */
export interface ImageChunks {
  index_url: string;
  index_sha256: string;
  objects: Record<string, string>;
  /** Whether blocks that are already on the disk are looked for: auto samples the disk first. */
  compare: 'auto' | 'always' | 'never';
  /** Where other nodes that write this image are known. */
  neighbours_url?: string;
}

export interface ImageInfo {
  id: string;
  /** Of the plain stream; may be empty where `chunks` is there. */
  urls: string[];
  disk_format: string;
  /** Of the bytes as they are downloaded. */
  hash?: { algorithm: HashAlgorithm; value: string };
  /** base64 of a gzip of an ISO or FAT image, or a URL of that text. */
  configdrive?: string;
  node_uuid?: string;
  chunks?: ImageChunks;
  /** Ours: what the undercloud vouches for. An agent that has the undercloud's key writes nothing without it. */
  manifest?: SignedManifest;
  /** Ours: partitions beyond the image's end that have to outlive the write. */
  preserve?: PreservedPartitions;
}

/** By GPT name. `required`: refuse to write where one of them is not on the disk; else it is no matter. */
export interface PreservedPartitions {
  names: string[];
  required: boolean;
}

function readPreserve(value: unknown, what: string): PreservedPartitions {
  const preserve = object(value, what);
  // UEFI 2.10, table 5.6: a name has 36 UTF-16 units.
  const names = list(preserve.names, `${what}.names`, 16).map((name, i) => text(name, `${what}.names[${i}]`, 36));
  return { names, required: optional(preserve.required, `${what}.required`, truth) ?? true };
}

const CHECKSUM_BY_LENGTH: Record<number, HashAlgorithm> = {
  32: 'md5',
  40: 'sha1',
  64: 'sha256',
  96: 'sha384',
  128: 'sha512',
};

/** os_hash_value wins over checksum (IPA does the same); a checksum's algorithm is told by its length. */
function readHash(info: JsonObject): ImageInfo['hash'] {
  const value = optional(info.os_hash_value, 'image_info.os_hash_value', (v, what) => text(v, what, 128));
  if (value !== undefined) {
    const name = text(info.os_hash_algo, 'image_info.os_hash_algo', 16).toLowerCase();
    const algorithm = HASH_ALGORITHMS.find((known) => known === name);
    if (algorithm === undefined)
      throw new ProtocolError(
        `image_info.os_hash_algo is ${shown(name)}; this agent knows ${HASH_ALGORITHMS.join(', ')}.`,
      );
    return { algorithm, value: value.toLowerCase() };
  }
  const checksum = optional(info.checksum, 'image_info.checksum', (v, what) => text(v, what, 8192));
  if (checksum === undefined) return undefined;
  const algorithm = CHECKSUM_BY_LENGTH[checksum.length];
  if (algorithm === undefined || !/^[0-9a-f]+$/i.test(checksum))
    throw new ProtocolError(
      `image_info.checksum is ${shown(checksum)}, no checksum that this agent knows; give os_hash_algo and os_hash_value.`,
    );
  return { algorithm, value: checksum.toLowerCase() };
}

function readChunks(value: unknown): ImageChunks {
  const chunks = object(value, 'image_info.chunks');
  const objects: Record<string, string> = {};
  for (const [name, url] of Object.entries(object(chunks.objects, 'image_info.chunks.objects')))
    objects[name] = httpUrl(url, `image_info.chunks.objects[${shown(name)}]`);
  const compare = chunks.compare ?? 'auto';
  if (compare !== 'auto' && compare !== 'always' && compare !== 'never')
    throw new ProtocolError(`image_info.chunks.compare must be auto, always or never, not ${shown(compare)}.`);
  const neighbours = optional(chunks.neighbours_url, 'image_info.chunks.neighbours_url', httpUrl);
  return {
    index_url: httpUrl(chunks.index_url, 'image_info.chunks.index_url'),
    index_sha256: sha256(chunks.index_sha256, 'image_info.chunks.index_sha256'),
    objects,
    compare,
    ...(neighbours === undefined ? {} : { neighbours_url: neighbours }),
  };
}

/** A config drive of 64 MiB (Ironic's limit), gzipped and in base64, stays below this. */
const CONFIG_DRIVE_TEXT_MAX = 96 * 1_048_576;

export function readImageInfo(value: unknown): ImageInfo {
  const info = object(value, 'image_info');
  const urls = list(info.urls ?? [], 'image_info.urls', 16).map((url, i) => httpUrl(url, `image_info.urls[${i}]`));
  const chunks = optional(info.chunks, 'image_info.chunks', readChunks);
  if (urls.length === 0 && chunks === undefined)
    throw new ProtocolError('image_info names neither urls nor chunks: there is nothing to write.');
  const hash = readHash(info);
  const configdrive = readConfigDrive(info.configdrive, 'image_info.configdrive');
  const manifest = optional(info.manifest, 'image_info.manifest', readSignedManifest);
  const preserve = optional(info.preserve, 'image_info.preserve', readPreserve);
  const nodeUuid = optional(info.node_uuid, 'image_info.node_uuid', (v, what) => text(v, what, 64));
  return {
    id: text(info.id, 'image_info.id', 1024),
    urls,
    disk_format: optional(info.disk_format, 'image_info.disk_format', (v, what) => text(v, what, 32)) ?? 'raw',
    ...(hash === undefined ? {} : { hash }),
    ...(configdrive === undefined ? {} : { configdrive }),
    ...(nodeUuid === undefined ? {} : { node_uuid: nodeUuid }),
    ...(chunks === undefined ? {} : { chunks }),
    ...(manifest === undefined ? {} : { manifest }),
    ...(preserve === undefined ? {} : { preserve }),
  };
}

export function readConfigDrive(value: unknown, what: string): string | undefined {
  return value === '' ? undefined : optional(value, what, (v, name) => text(v, name, CONFIG_DRIVE_TEXT_MAX));
}

/** A file for kexec: fetched and verified, or read from a partition (by number; default the root one) of the written disk. */
export type HandOverFile = { url: string; sha256: string } | { path: string; partition?: number };

export interface HandOver {
  kernel: HandOverFile;
  initrd?: HandOverFile;
  cmdline: string;
}

function readHandOverFile(value: unknown, what: string): HandOverFile {
  const file = typeof value === 'string' ? { path: value } : object(value, what);
  if ('url' in file && file.url !== undefined)
    return { url: httpUrl(file.url, `${what}.url`), sha256: sha256(file.sha256, `${what}.sha256`) };
  const path = text(file.path, `${what}.path`, 1024);
  if (!path.startsWith('/') || path.split('/').includes('..') || path.includes('\0'))
    throw new ProtocolError(`${what} must be an absolute path without "..", not ${shown(path)}.`);
  const partition = optional('partition' in file ? file.partition : undefined, `${what}.partition`, (v, name) =>
    whole(v, name, 1, 128),
  );
  return partition === undefined ? { path } : { path, partition };
}

/** Reads the `kexec` parameter of standby.run_image. The kernel's own limit on a command line is 2,048 bytes on x86. */
export function readHandOver(value: unknown): HandOver {
  const kexec = object(value, 'kexec');
  const initrd = optional(kexec.initrd, 'kexec.initrd', readHandOverFile);
  const cmdline = text(kexec.cmdline, 'kexec.cmdline', 2047);
  if (/[\0\n]/.test(cmdline)) throw new ProtocolError('kexec.cmdline must be one line.');
  return {
    kernel: readHandOverFile(kexec.kernel, 'kexec.kernel'),
    ...(initrd === undefined ? {} : { initrd }),
    cmdline,
  };
}
