/** Front door of the ironic-python-agent protocol: shapes, their checks, and the conductor's side of the wire. */
export {
  CHUNK_FORMAT,
  CHUNK_IMAGE_MAX_BYTES,
  CHUNK_INDEX_MAX_BYTES,
  CHUNK_SIZE,
  type ChunkIndex,
  ChunkIndexError,
  type ChunkObject,
  type ChunkRef,
  chunkLength,
  encodeChunkIndex,
  parseChunkIndex,
  validateChunkIndex,
} from './chunk-index.ts';
