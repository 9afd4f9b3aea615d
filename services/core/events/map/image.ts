export interface ImageEvents {
  'image.created': { name: string | null };
  /** The image has all its bytes. */
  'image.active': { name: string | null; size: number; chunks: number | null };
  /** It could not be cut into chunks, and cannot be deployed. */
  'image.not-converted': { reason: string; remedy: string };
  'image.import-failed': { reason: string; remedy: string };
  /** Bytes that nothing named any more were removed. */
  'image.collected': { blobs: number; bytes: number };
  'image.deleted': { name: string | null };
}
